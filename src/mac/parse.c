/* Text to addresses and ranges.
 *
 * Theory of operation
 *
 * A cursor walks over the text once and stops at the first character with which no address can go
 * on.  Which style the text is written in shows itself behind the second digit (':' or '-'), behind
 * the fourth ('.') or not at all (bare), so nothing is ever read twice and the position of a fault
 * is simply where the cursor stands. */
#include <vmac/mac.h>

#include <errno.h>

#define DIGITS (2 * VMAC_MAC_LEN)

struct cursor {
	const char *text;
	size_t at;
};

static int fault_at(struct vmac_mac_fault *ret_fault, size_t position, const char *reason, int r)
{
	if (ret_fault)
		*ret_fault = (struct vmac_mac_fault){ position, reason };
	return r;
}

static int fault(const struct cursor *c, struct vmac_mac_fault *ret_fault, const char *reason)
{
	return fault_at(ret_fault, c->at, reason, -EINVAL);
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool is_separator(char c)
{
	return c == ':' || c == '-' || c == '.';
}

/* Why `found` cannot stand where the separator `wanted` has to. */
static const char *separator_reason(char wanted, char found)
{
	if (found == '\0')
		return "text ends before the sixth octet";
	if (!is_separator(found)) {
		switch (wanted) {
		case ':':
			return "expected ':'";
		case '-':
			return "expected '-'";
		default:
			return "expected '.'";
		}
	}
	switch (wanted) {
	case ':':
		return found == '-' ? "separator changes from ':' to '-'"
				    : "separator changes from ':' to '.'";
	case '-':
		return found == ':' ? "separator changes from '-' to ':'"
				    : "separator changes from '-' to '.'";
	default:
		return found == ':' ? "separator changes from '.' to ':'"
				    : "separator changes from '.' to '-'";
	}
}

/* Why `found` cannot stand where a digit has to, in an address with this separator ('\0': none). */
static const char *digit_reason(const struct cursor *c, char separator)
{
	if (c->text[c->at] == '\0')
		return c->at == 0 ? "address is empty" : "text ends before the sixth octet";
	if (separator == '.')
		return "expected four hex digits";
	if (separator == '\0' && c->at == 2)
		return "expected ':', '-' or a hex digit";
	if (separator == '\0' && c->at == 4)
		return "expected '.' or a hex digit";
	if (separator == '\0' && c->at > 2)
		return "expected twelve hex digits";
	return "expected two hex digits";
}

/* Reads one address and stops behind it, whatever follows; *ret_separator is what it was written
 * with ('\0': bare). */
static int cursor_address(struct cursor *c, vmac_mac_t *ret, char *ret_separator,
			  struct vmac_mac_fault *ret_fault)
{
	unsigned int group = DIGITS; /* digits between two separators */
	char separator = '\0';
	uint64_t value = 0;

	for (unsigned int n = 0; n < DIGITS; n++) {
		char now = c->text[c->at];
		int digit;

		if (n == 2 && (now == ':' || now == '-')) {
			separator = now;
			group = 2;
		} else if (n == 4 && group == DIGITS && now == '.') {
			separator = now;
			group = 4;
		}
		if (n > 0 && n % group == 0) {
			if (now != separator)
				return fault(c, ret_fault, separator_reason(separator, now));
			c->at++;
		}
		digit = digit_value(c->text[c->at]);
		if (digit < 0)
			return fault(c, ret_fault, digit_reason(c, separator));
		value = value << 4 | (unsigned int)digit;
		c->at++;
	}
	*ret = vmac_mac_from_u64(value);
	*ret_separator = separator;
	return 0;
}

static int cursor_end(const struct cursor *c, struct vmac_mac_fault *ret_fault)
{
	if (c->text[c->at] != '\0')
		return fault(c, ret_fault, "text goes on behind the address");
	return 0;
}

int vmac_mac_parse(const char *text, vmac_mac_t *ret, struct vmac_mac_fault *ret_fault)
{
	struct cursor c = { text, 0 };
	char separator;
	vmac_mac_t m;
	int r;

	r = cursor_address(&c, &m, &separator, ret_fault);
	if (r < 0)
		return r;
	r = cursor_end(&c, ret_fault);
	if (r < 0)
		return r;
	*ret = m;
	return 0;
}

/* Behind "ADDRESS/": the number of bits, and the range that it makes of the address. */
static int cursor_prefix(struct cursor *c, vmac_mac_t first, struct vmac_mac_range *ret,
			 struct vmac_mac_fault *ret_fault)
{
	size_t bits_at = c->at;
	unsigned int bits = 0;
	uint64_t rest;

	/* Two digits at most, so that the number cannot overflow. */
	while (c->at < bits_at + 2 && c->text[c->at] >= '0' && c->text[c->at] <= '9')
		bits = bits * 10 + (unsigned int)(c->text[c->at++] - '0');
	if (c->at == bits_at)
		return fault(c, ret_fault, "expected a number of bits, 8 to 48");
	if (c->text[c->at] != '\0')
		return fault(c, ret_fault, "text goes on behind the number of bits");
	if (bits < 8 || bits > 48 || c->text[bits_at] == '0')
		return fault_at(ret_fault, bits_at, "expected a number of bits, 8 to 48", -EINVAL);
	rest = (UINT64_C(1) << (48 - bits)) - 1;
	if (vmac_mac_u64(first) & rest)
		return fault_at(ret_fault, bits_at, "the address has bits set behind these",
				-EINVAL);
	*ret = (struct vmac_mac_range){ first, vmac_mac_from_u64(vmac_mac_u64(first) | rest) };
	return 0;
}

/* Behind "FIRST-" or "FIRST..": the last address. */
static int cursor_last(struct cursor *c, vmac_mac_t first, bool by_dash, struct vmac_mac_range *ret,
		       struct vmac_mac_fault *ret_fault)
{
	struct vmac_mac_range range = { .first = first };
	size_t last_at = c->at;
	char separator;
	int r;

	r = cursor_address(c, &range.last, &separator, ret_fault);
	if (r < 0)
		return r;
	if (by_dash && separator == '-')
		return fault_at(ret_fault, last_at + 2,
				"addresses with '-' need \"..\" between them", -EINVAL);
	r = cursor_end(c, ret_fault);
	if (r < 0)
		return r;
	r = vmac_mac_range_check(range);
	if (r == -EINVAL)
		return fault_at(ret_fault, last_at, "the last address is before the first", r);
	if (r < 0)
		return fault_at(ret_fault, last_at,
				"the last address has another first octet than the first", r);
	*ret = range;
	return 0;
}

int vmac_mac_range_parse(const char *text, struct vmac_mac_range *ret,
			 struct vmac_mac_fault *ret_fault)
{
	struct cursor c = { text, 0 };
	vmac_mac_t first;
	char separator;
	int r;

	r = cursor_address(&c, &first, &separator, ret_fault);
	if (r < 0)
		return r;
	switch (text[c.at]) {
	case '\0':
		*ret = (struct vmac_mac_range){ first, first };
		return 0;
	case '/':
		c.at++;
		return cursor_prefix(&c, first, ret, ret_fault);
	case '-':
		if (separator == '-')
			return fault(&c, ret_fault, "addresses with '-' need \"..\" between them");
		c.at++;
		return cursor_last(&c, first, true, ret, ret_fault);
	case '.':
		c.at++;
		if (text[c.at] != '.')
			return fault(&c, ret_fault, "expected \"..\" between two addresses");
		c.at++;
		return cursor_last(&c, first, false, ret, ret_fault);
	default:
		return fault(&c, ret_fault, "expected \"..\", '-', '/' or the end");
	}
}
