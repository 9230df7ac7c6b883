#include "model/text.h"

#include <string.h>

#include "base/cleanup.h"

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

int name_check(const char *what, const char *name, struct error *ret_error)
{
	static const char hint[] =
		"use letters, digits, '.', '_' and '-', and start with a letter or "
		"a digit";
	size_t len = strlen(name);
	vmac_mac_t m;

	if (len == 0)
		return error_set(ret_error, ERROR_BAD_NAME, hint, "%s is empty", what);
	if (len > NAME_MAX_LEN)
		return error_set(ret_error, ERROR_BAD_NAME, NULL,
				 "%s has %zu characters, %d are allowed", what, len, NAME_MAX_LEN);
	if (!is_alnum(name[0]))
		return error_set(ret_error, ERROR_BAD_NAME, hint,
				 "%s does not start with a letter or a digit", what);
	for (size_t i = 1; i < len; i++)
		if (!is_alnum(name[i]) && !strchr("._-", name[i]))
			return error_set(ret_error, ERROR_BAD_NAME, hint,
					 "%s has a character that is not allowed at position %zu",
					 what, i + 1);
	if (vmac_mac_parse(name, &m, NULL) == 0)
		return error_set(ret_error, ERROR_BAD_NAME,
				 "names and addresses are used side by side, so a name must not "
				 "read as an address",
				 "%s '%s' is a MAC address", what, name);
	return 0;
}

/* --- UTF-8 (RFC 3629 section 4) -------------------------------------------------------------- */

/* The character at `at`; *ret_len is how many octets it takes, 0 when they are not UTF-8: cut off
 * (the zero at the end of a text continues nothing), overlong, a surrogate, or above U+10FFFF. */
static uint32_t utf8_at(const uint8_t *at, size_t *ret_len)
{
	static const struct {
		uint8_t mask, lead;
		uint32_t least; /* what a shorter form cannot say */
	} forms[] = {
		{ 0x80, 0x00, 0 },
		{ 0xe0, 0xc0, 0x80 },
		{ 0xf0, 0xe0, 0x800 },
		{ 0xf8, 0xf0, 0x10000 },
	};
	size_t n = 0;
	uint32_t c;

	*ret_len = 0;
	while (n < ARRAY_LEN(forms) && (at[0] & forms[n].mask) != forms[n].lead)
		n++;
	if (n == ARRAY_LEN(forms))
		return 0;
	c = at[0] & (uint8_t)~forms[n].mask;
	for (size_t i = 1; i <= n; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (at[i] & 0x3f);
	}
	if (c < forms[n].least || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
		return 0;
	*ret_len = n + 1;
	return c;
}

static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

static int characters_check(const char *what, const char *text, enum error_code code,
			    struct error *ret_error)
{
	size_t len = strlen(text), step;

	for (size_t i = 0; i < len; i += step) {
		uint32_t c = utf8_at((const uint8_t *)text + i, &step);

		if (step == 0)
			return error_set(ret_error, code, "send the text as UTF-8",
					 "%s is not valid UTF-8 at octet %zu", what, i + 1);
		if (is_control(c))
			return error_set(ret_error, code,
					 "leave out line breaks, tabs and other control characters",
					 "%s has the control character U+%04X at octet %zu", what,
					 (unsigned int)c, i + 1);
	}
	return 0;
}

int text_check(const char *what, const char *text, size_t max, struct error *ret_error)
{
	size_t len = strlen(text);

	if (len > max)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "%s has %zu octets, %zu are allowed", what, len, max);
	return characters_check(what, text, ERROR_BAD_VALUE, ret_error);
}

/* --- interface names ------------------------------------------------------------------------- */

int ifname_check(const char *what, const char *name, struct error *ret_error)
{
	static const char hint[] =
		"the kernel takes 1 to 15 printable characters without '/', ':', "
		"'%' and spaces";
	size_t len = strlen(name);

	if (len == 0)
		return error_set(ret_error, ERROR_BAD_NAME, hint, "%s is empty", what);
	if (len > IFNAME_MAX_LEN)
		return error_set(ret_error, ERROR_BAD_NAME, hint,
				 "%s has %zu octets, an interface name has at most %d", what, len,
				 IFNAME_MAX_LEN);
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return error_set(ret_error, ERROR_BAD_NAME, hint,
				 "%s '%s' is not an interface name", what, name);
	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)name[i];

		/* 0xa0, even inside a UTF-8 character, is white space to the kernel's isspace(). */
		if (c == ' ' || c == 0xa0 || strchr("/:%", c))
			return error_set(ret_error, ERROR_BAD_NAME, hint,
					 "%s has a character that is not allowed at octet %zu",
					 what, i + 1);
	}
	return characters_check(what, name, ERROR_BAD_NAME, ret_error);
}
