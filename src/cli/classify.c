/* vmac classify: what addresses say about themselves.  Works without a daemon. */
#include "cli/call.h"
#include "cli/grid.h"
#include "cli/nouns.h"
#include "cli/vendors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmac/classify.h>

#define LINE_MAX_LEN 256
#define EXIT_BAD     2

static const char *kind_of(const struct vmac_class *k, vmac_mac_t m)
{
	if (vmac_mac_u64(m) == UINT64_C(0xffffffffffff))
		return "broadcast";
	return k->group ? "multicast" : "unicast";
}

static json_t *range_json(const struct vmac_class *k)
{
	const struct vmac_well_known *w = k->well_known;
	json_t *o = json_object();

	json_object_set_new(o, "protocol", json_string(w->protocol));
	json_object_set_new(o, "meaning", json_string(w->meaning));
	json_object_set_new(o, "use", json_string(vmac_well_known_use_name(w->use)));
	if (w->group_bits > 0) {
		json_object_set_new(o, "group_name",
				    json_string(w->group_name ? w->group_name : "group"));
		json_object_set_new(o, "group", json_integer(k->group_number));
	}
	if (w->member_bits > 0)
		json_object_set_new(o, "member", json_integer(k->member_number));
	return o;
}

static void print_json(vmac_mac_t m, const struct vmac_class *k, const char *vendor)
{
	char text[VMAC_MAC_TEXT_MAX];
	JSON_AUTO o = json_object();
	char *line;

	json_object_set_new(o, "address", json_string(vmac_mac_format(m, VMAC_MAC_COLON, text)));
	json_object_set_new(o, "kind", json_string(kind_of(k, m)));
	json_object_set_new(o, "group", json_boolean(k->group));
	json_object_set_new(o, "local", json_boolean(k->local));
	json_object_set_new(o, "slap",
			    k->local ? json_string(vmac_slap_name(k->slap)) : json_null());
	json_object_set_new(o, "well_known", k->well_known ? range_json(k) : json_null());
	json_object_set_new(o, "vendor", vendor ? json_string(vendor) : json_null());
	line = json_dumps(o, JSON_COMPACT);
	if (!line)
		call_no_memory();
	puts(line);
	free(line);
}

static void add_row(struct grid *g, vmac_mac_t m, const struct vmac_class *k, const char *vendor)
{
	const struct vmac_well_known *w = k->well_known;
	char text[VMAC_MAC_TEXT_MAX], range[160] = "";
	size_t used = 0;

	if (w)
		used = (size_t)snprintf(range, sizeof(range), "%s", w->protocol);
	if (w && w->group_bits > 0 && used < sizeof(range))
		used += (size_t)snprintf(range + used, sizeof(range) - used, " %s %u",
					 w->group_name ? w->group_name : "group", k->group_number);
	if (w && w->member_bits == 32 && used < sizeof(range)) /* an IPv4 address */
		snprintf(range + used, sizeof(range) - used, " %u.%u.%u.%u", k->member_number >> 24,
			 k->member_number >> 16 & 255, k->member_number >> 8 & 255,
			 k->member_number & 255);
	else if (w && w->member_bits > 0 && used < sizeof(range))
		snprintf(range + used, sizeof(range) - used, " member %u", k->member_number);
	grid_add(g, vmac_mac_format(m, VMAC_MAC_COLON, text));
	grid_add(g, kind_of(k, m));
	grid_addf(g, "%s%s%s", k->local ? "local" : "universal", k->local ? " " : "",
		  k->local ? vmac_slap_name(k->slap) : "");
	grid_add(g, range);
	grid_add(g, vendor ? vendor : "");
	grid_add(g, w ? w->meaning : "");
}

struct classifying {
	struct command *c;
	struct vendors vendors;
	struct grid grid;
	bool bad;
};

/* One that is no address is told, and the others go on. */
static void classify_one(struct classifying *g, const char *text)
{
	const struct vmac_oui *oui;
	struct vmac_mac_fault fault;
	struct vmac_class k;
	vmac_mac_t m;

	if (vmac_mac_parse(text, &m, &fault) < 0) {
		char message[LINE_MAX_LEN + 128];

		snprintf(message, sizeof(message),
			 "\"%.60s\" is no MAC address: %s at position %zu", text, fault.reason,
			 fault.position + 1);
		call_complain(message, "");
		g->bad = true;
		return;
	}
	k = vmac_classify(m);
	/* A local address has no vendor, but for those that an extended local identifier names. */
	oui = k.local ? NULL : vendors_find(&g->vendors, m);
	if (g->c->json)
		print_json(m, &k, oui ? oui->vendor : NULL);
	else
		add_row(&g->grid, m, &k, oui ? oui->vendor : NULL);
}

static void classify_stdin(struct classifying *g)
{
	char line[LINE_MAX_LEN];

	while (fgets(line, sizeof(line), stdin)) {
		size_t len = strcspn(line, "\r\n");

		line[len] = '\0';
		if (len > 0)
			classify_one(g, line);
	}
}

static int run(struct command *c)
{
	static const char *const headings[] = { "ADDRESS",    "KIND",	"SCOPE",
						"WELL KNOWN", "VENDOR", "MEANING" };
	const char *directory = command_option(c, "ieee-data");
	struct classifying g = { .c = c, .grid = grid_of(headings, ARRAY_LEN(headings)) };

	if (vendors_load(&g.vendors, directory ? directory : VENDORS_DIRECTORY) == 0)
		call_complain("the vendors are not known here",
			      "the Debian package ieee-data has them; or see --ieee-data");
	for (unsigned int i = 0; i < c->arg_count; i++) {
		if (strcmp(c->args[i], "-") == 0)
			classify_stdin(&g);
		else
			classify_one(&g, c->args[i]);
	}
	if (g.c->json || g.grid.count == 0)
		g.grid.failed = true; /* nothing to print */
	grid_print(&g.grid);
	vendors_done(&g.vendors);
	return g.bad ? EXIT_BAD : 0;
}

/* clang-format off */
static const struct option options[] = {
	{ "ieee-data", "DIR", OPTION_TEXT, "where IEEE's oui.csv, mam.csv, oui36.csv, iab.csv are" },
};

static const struct verb verbs[] = {
	{ .name = "", .args = "ADDRESS|-...", .args_min = 1, .args_max = ARGUMENTS_MAX, .run = run,
	  OPTIONS(options),
	  .summary = "Tell what addresses say: kind, SLAP quadrant, well-known range, vendor",
	  .more = "Needs no daemon.  - reads addresses from standard input, one a line; with --json\n"
		  "one object a line is printed.",
	  .examples = "  vmac classify 00:00:5e:00:01:0a 02-42-AC-11-00-02\n"
		      "  ip -br link | awk '{print $3}' | vmac classify -\n" },
};
/* clang-format on */

const struct noun noun_classify = { "classify", "what an address says about itself (offline)",
				    verbs, ARRAY_LEN(verbs) };
