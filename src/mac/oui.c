/* Vendors: IEEE's registry as it comes in CSV files, and the longest prefix of an address in it. */
#include <vmac/classify.h>

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

#define MAC_BITS 48

static const struct {
	const char *name;
	uint8_t digits; /* of an assignment */
} registries[] = { { "MA-L", 6 }, { "MA-M", 7 }, { "MA-S", 9 }, { "IAB", 9 }, { "CID", 6 } };

/* Cuts the next field off: unquotes it in place, ends it with a zero, moves *at behind its comma.
 * NULL when there is none, or when something follows a closing quote.  A quote that the line does
 * not close ends with the line (RFC 4180 section 2.6: a field may hold line breaks). */
static char *next_field(char **at)
{
	char *from = *at, *to = *at, *start = *at;
	bool quoted = from && *from == '"';

	if (!from)
		return NULL;
	for (from += quoted; *from; *to++ = *from++) {
		if (quoted && *from == '"') {
			if (from[1] != '"') { /* the closing one; two of them are one in the text */
				quoted = false;
				from++;
				if (*from != ',' && *from != '\0')
					return NULL;
				break;
			}
			from++;
		} else if (!quoted && *from == ',') {
			break;
		}
	}
	/* Where the field was quoted, the zero falls on the quote or before it. */
	*at = *from == ',' ? from + 1 : NULL;
	*to = '\0';
	return start;
}

static bool is_space(char c)
{
	return (c >= '\t' && c <= '\r') || c == ' ';
}

/* Takes white space off both ends and makes every run inside one space. */
static void squeeze(char *text)
{
	char *to = text;

	for (char *from = text; *from; from++) {
		if (!is_space(*from))
			*to++ = *from;
		else if (to > text && to[-1] != ' ')
			*to++ = ' ';
	}
	if (to > text && to[-1] == ' ')
		to--;
	*to = '\0';
}

/* Exactly `digits` hex digits, left-aligned in 48 bits. */
static bool read_prefix(const char *text, unsigned int digits, uint64_t *ret)
{
	static const char hex[] = "0123456789ABCDEF0123456789abcdef";
	uint64_t n = 0;

	if (strlen(text) != digits)
		return false;
	for (; *text; text++) {
		const char *digit = strchr(hex, *text);

		if (!digit)
			return false;
		n = n << 4 | ((uint64_t)(digit - hex) & 0xf);
	}
	*ret = n << (MAC_BITS - 4 * digits);
	return true;
}

int vmac_oui_parse_csv(char *line, struct vmac_oui *ret)
{
	char *registry, *assignment, *vendor;
	char *at = line;
	uint64_t prefix;

	for (char *c = line; *c; c++)
		if (*c == '\r' || *c == '\n')
			*c = '\0';
	if (line[0] == '\0')
		return 0;
	registry = next_field(&at);
	assignment = next_field(&at);
	vendor = next_field(&at);
	if (!registry || !assignment || !vendor)
		return -EINVAL;
	if (strcmp(registry, "Registry") == 0)
		return 0;
	squeeze(vendor);
	if (vendor[0] == '\0')
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_LEN(registries); i++) {
		if (strcmp(registry, registries[i].name) != 0)
			continue;
		if (!read_prefix(assignment, registries[i].digits, &prefix))
			return -EINVAL;
		*ret = (struct vmac_oui){ prefix, (uint8_t)(4 * registries[i].digits), vendor };
		return 1;
	}
	return -EINVAL;
}

static int compare_prefix(const struct vmac_oui *a, uint64_t prefix, uint8_t bits)
{
	if (a->prefix != prefix)
		return a->prefix < prefix ? -1 : 1;
	return (int)a->bits - (int)bits;
}

int vmac_oui_compare(const void *a, const void *b)
{
	const struct vmac_oui *x = a, *y = b;
	int r = compare_prefix(x, y->prefix, y->bits);

	return r != 0 ? r : strcmp(x->vendor, y->vendor);
}

/* The first entry with exactly this prefix. */
static const struct vmac_oui *find_exactly(const struct vmac_oui *sorted, size_t count,
					   uint64_t prefix, uint8_t bits)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_prefix(&sorted[middle], prefix, bits) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < count && compare_prefix(&sorted[low], prefix, bits) == 0)
		return &sorted[low];
	return NULL;
}

static const struct vmac_oui *find_longest(const struct vmac_oui *sorted, size_t count, uint64_t n)
{
	static const uint8_t lengths[] = { 36, 28, 24 };

	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		uint64_t mask = ~((UINT64_C(1) << (MAC_BITS - lengths[i])) - 1);
		const struct vmac_oui *o = find_exactly(sorted, count, n & mask, lengths[i]);

		if (o)
			return o;
	}
	return NULL;
}

const struct vmac_oui *vmac_oui_find(const struct vmac_oui *sorted, size_t count, vmac_mac_t m)
{
	const struct vmac_oui *o = find_longest(sorted, count, vmac_mac_u64(m));

	if (!o && vmac_mac_is_group(m)) {
		m.octet[0] &= 0xfe;
		o = find_longest(sorted, count, vmac_mac_u64(m));
	}
	return o;
}
