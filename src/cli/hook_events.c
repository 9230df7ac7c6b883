/* vmac hook libvirt-events: lines of `virsh event --event lifecycle --loop --timestamp`, such as
 *
 *	2026-11-23 01:36:59.787+0000: event 'lifecycle' for domain 'g1': Suspended Migrated
 *
 * and what they mean for the vMACs whose note says that the guest has them. */
#include "cli/hook.h"

#include <stdio.h>
#include <string.h>

#define LINE_MAX_LEN 4096

/* NULL: it says nothing of who runs where. */
static const char *verb_of(const char *event)
{
	static const char *const stops[] = { "Suspended Migrated", "Suspended Paused",
					     "Suspended Post-copy" };

	for (size_t i = 0; i < ARRAY_LEN(stops); i++)
		if (strcmp(event, stops[i]) == 0)
			return "stop";
	return strncmp(event, "Resumed ", 8) == 0 ? "resume" : NULL;
}

/* Takes a line apart, in place. */
static const char *line_parse(char *line, const char **ret_guest)
{
	static const char about[] = " event 'lifecycle' for domain '";
	char *guest = strstr(line, about), *end, *at;

	if (!guest)
		return NULL;
	guest += sizeof(about) - 1;
	/* A guest's name may have the same marks in it; what follows it has not. */
	end = NULL;
	for (at = guest; (at = strstr(at, "': ")) != NULL; at++)
		end = at;
	if (!end)
		return NULL;
	*end = '\0';
	*ret_guest = guest;
	return verb_of(end + 3);
}

static void hint(struct command *c, const json_t *v, const char *verb, const char *reason)
{
	struct vmac_reply why;
	vmac_mac_t mac;

	if (vmac_mac_parse(json_text(v, "address"), &mac, NULL) < 0)
		return;
	if (hook_hint(c, json_text(v, "segment"), mac, verb, reason, NULL, &why) == 0) {
		if (!c->quiet)
			printf("%s: %s, %s\n", json_text(v, "address"), verb, reason);
	} else if (!hook_is_moot(&why)) {
		hook_complain(json_text(v, "address"), &why);
	}
}

static void happened(struct command *c, const char *guest, const char *verb)
{
	/* Bound first: a guest that stops has one of those, and is in a hurry. */
	static const char *const paths[] = { "/v1/vmacs?state=bound&limit=10000",
					     "/v1/vmacs?state=moving&limit=10000",
					     "/v1/vmacs?state=away&limit=10000" };
	char mark[HOOK_MARK_MAX];
	struct vmac_reply why;

	hook_mark(guest, mark);
	for (size_t p = 0; p < ARRAY_LEN(paths); p++) {
		JSON_AUTO answer = NULL;
		const json_t *v;
		size_t i;

		if (hook_ask(c, "GET", paths[p], NULL, &answer, &why) < 0) {
			hook_complain("asking vmacd", &why);
			return;
		}
		json_array_foreach (json_object_get(answer, "items"), i, v)
			if (json_text(v, "port")[0] && hook_marked(json_text(v, "note"), mark) >= 0)
				hint(c, v, verb, mark);
	}
}

int hook_libvirt_events(struct command *c)
{
	char line[LINE_MAX_LEN + 2];
	bool whole = true;
	int r = call_open(c);

	if (r != 0)
		return r;
	while (fgets(line, sizeof(line), stdin)) {
		size_t len = strlen(line);
		bool ends = len > 0 && line[len - 1] == '\n', begins = whole;
		const char *guest, *verb;

		/* A longer line is none of virsh's: skipped to its end. */
		whole = ends;
		if (!ends || !begins)
			continue;
		line[len - 1] = '\0';
		verb = line_parse(line, &guest);
		if (verb)
			happened(c, guest, verb);
		fflush(stdout);
	}
	return ferror(stdin) ? 1 : 0;
}
