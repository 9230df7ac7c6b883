#include "api/out.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/text.h"

#define OUT_FIRST 512

void out_done(struct out *o)
{
	free(o->data);
	*o = (struct out){ 0 };
}

/* Makes room for len more octets and a terminating zero. */
static bool out_reserve(struct out *o, size_t len)
{
	size_t need = o->len + len + 1, capacity = o->capacity ? o->capacity : OUT_FIRST;
	char *data;

	if (o->failed)
		return false;
	if (need <= o->capacity)
		return true;
	while (capacity < need)
		capacity *= 2;
	data = realloc(o->data, capacity);
	if (!data) {
		o->failed = true;
		return false;
	}
	o->data = data;
	o->capacity = capacity;
	return true;
}

void out_bytes(struct out *o, const char *data, size_t len)
{
	if (!out_reserve(o, len))
		return;
	memcpy(o->data + o->len, data, len);
	o->len += len;
}

void out_puts(struct out *o, const char *text)
{
	out_bytes(o, text, strlen(text));
}

void out_printf(struct out *o, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !out_reserve(o, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(o->data + o->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	o->len += (size_t)n;
}

/* The length of the UTF-8 character at p (RFC 3629: no overlong forms, no surrogates, at most
 * U+10FFFF), or 0 when there is none.  p ends with a zero, which no continuation octet is. */
static size_t utf8_len(const unsigned char *p)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		len = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		len = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

static bool json_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\' && c != 0x7f;
}

void out_json(struct out *o, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	out_bytes(o, "\"", 1);
	while (*p) {
		const unsigned char *from = p;
		size_t len;

		while (json_plain(*p))
			p++;
		out_bytes(o, (const char *)from, (size_t)(p - from));
		if (!*p)
			break;
		if (*p == '"' || *p == '\\') {
			out_printf(o, "\\%c", *p++);
		} else if (*p < 0x20 || *p == 0x7f) {
			out_printf(o, "\\u%04x", *p++);
		} else if ((len = utf8_len(p)) > 0) {
			out_bytes(o, (const char *)p, len);
			p += len;
		} else {
			out_puts(o, "\xef\xbf\xbd");
			p++;
		}
	}
	out_bytes(o, "\"", 1);
}

/* A comma, unless this is the first thing behind an opening bracket or a key. */
static void out_comma(struct out *o)
{
	if (o->len > 0 && !strchr("{[:", o->data[o->len - 1]))
		out_bytes(o, ",", 1);
}

void out_open(struct out *o, char bracket)
{
	assert(bracket == '{' || bracket == '[');
	out_comma(o);
	out_bytes(o, &bracket, 1);
}

void out_close(struct out *o, char bracket)
{
	assert(bracket == '}' || bracket == ']');
	out_bytes(o, &bracket, 1);
}

void out_key(struct out *o, const char *key)
{
	out_comma(o);
	out_json(o, key);
	out_bytes(o, ":", 1);
}

void out_text(struct out *o, const char *key, const char *text)
{
	out_key(o, key);
	out_json(o, text);
}

void out_u64(struct out *o, const char *key, uint64_t n)
{
	char digits[24];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	out_key(o, key);
	out_bytes(o, digits + at, sizeof(digits) - at);
}

void out_bool(struct out *o, const char *key, bool b)
{
	out_key(o, key);
	out_puts(o, b ? "true" : "false");
}

static void out_mac_quoted(struct out *o, vmac_mac_t m)
{
	static const char hex[] = "0123456789abcdef";
	char text[VMAC_MAC_TEXT_MAX + 1];
	char *at = text;

	*at++ = '"';
	for (unsigned int i = 0; i < VMAC_MAC_LEN; i++) {
		if (i > 0)
			*at++ = ':';
		*at++ = hex[m.octet[i] >> 4];
		*at++ = hex[m.octet[i] & 15];
	}
	*at++ = '"';
	out_bytes(o, text, (size_t)(at - text));
}

void out_mac(struct out *o, const char *key, vmac_mac_t m)
{
	out_key(o, key);
	out_mac_quoted(o, m);
}

void out_time(struct out *o, const char *key, wall_t t)
{
	char text[WALL_TEXT_MAX];

	out_text(o, key, wall_format(t, text));
}

void out_duration(struct out *o, const char *key, int64_t ms)
{
	char text[DURATION_TEXT_MAX];

	out_text(o, key, duration_format(ms, text));
}

void out_item_text(struct out *o, const char *text)
{
	out_comma(o);
	out_json(o, text);
}

void out_item_mac(struct out *o, vmac_mac_t m)
{
	out_comma(o);
	out_mac_quoted(o, m);
}

static void out_error_body(struct out *o, const struct error *e)
{
	out_open(o, '{');
	out_text(o, "code", error_name(e->code));
	out_text(o, "message", e->message);
	out_text(o, "hint", e->hint);
	out_close(o, '}');
}

void out_trouble(struct out *o, const char *key, const struct error *e)
{
	if (e->code == ERROR_NONE)
		return;
	out_key(o, key);
	out_error_body(o, e);
}

void out_error(struct out *o, const struct error *e)
{
	out_open(o, '{');
	out_key(o, "error");
	out_error_body(o, e);
	out_close(o, '}');
}

char *out_take(struct out *o, size_t *ret_len)
{
	char *data;

	if (!out_reserve(o, 0)) {
		out_done(o);
		return NULL;
	}
	data = o->data;
	data[o->len] = '\0';
	*ret_len = o->len;
	*o = (struct out){ 0 };
	return data;
}
