#include "cli/hook.h"
#include "cli/nouns.h"

#include <stdio.h>
#include <string.h>

int hook_ask(struct command *c, const char *method, const char *path, const json_t *body,
	     json_t **ret_json, struct vmac_reply *ret_why)
{
	TEXT_AUTO text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct vmac_reply answer;
	int r;

	if (body && !text)
		call_no_memory();
	r = vmac_client_call(c->client, method, path, text, ret_why);
	if (r == 0 && ret_json)
		*ret_json = ret_why->len ? json_loadb(ret_why->body, ret_why->len, 0, NULL) : NULL;
	/* The texts stay. */
	answer = *ret_why;
	vmac_reply_done(&answer);
	ret_why->body = NULL;
	return r;
}

int hook_complain(const char *wanted, const struct vmac_reply *why)
{
	TEXT_AUTO text = NULL;

	if (asprintf(&text, "%s: %s", wanted, why->message) < 0)
		call_no_memory();
	call_complain(text, why->hint);
	return why->exit_status ? why->exit_status : 1;
}

json_t *hook_segments(struct command *c, struct vmac_reply *ret_why)
{
	JSON_AUTO answer = NULL;

	if (hook_ask(c, "GET", "/v1/segments", NULL, &answer, ret_why) < 0)
		return NULL;
	return json_incref(json_object_get(answer, "items"));
}

char *hook_path(const struct command *c, const char *segment, vmac_mac_t mac, const char *verb)
{
	char text[VMAC_MAC_TEXT_MAX];

	vmac_mac_format(mac, VMAC_MAC_COLON, text);
	return call_path(c, (const char *[]){ "vmacs", segment, text, verb, NULL }, false);
}

int hook_hint(struct command *c, const char *segment, vmac_mac_t mac, const char *verb,
	      const char *reason, json_t **ret_move, struct vmac_reply *ret_why)
{
	TEXT_AUTO path = hook_path(c, segment, mac, verb);
	JSON_AUTO body = json_pack("{s:s}", "reason", reason);

	return hook_ask(c, "POST", path, body, ret_move, ret_why);
}

bool hook_is_moot(const struct vmac_reply *why)
{
	return strcmp(why->code, "wrong_state") == 0 || strcmp(why->code, "not_found") == 0;
}

json_t *hook_move(struct command *c, const char *segment, vmac_mac_t mac)
{
	char text[VMAC_MAC_TEXT_MAX];
	JSON_AUTO answer = NULL;
	struct vmac_reply why;
	json_t *move;
	size_t i;

	vmac_mac_format(mac, VMAC_MAC_COLON, text);
	if (hook_ask(c, "GET", "/v1/moves", NULL, &answer, &why) < 0)
		return NULL;
	json_array_foreach (json_object_get(answer, "items"), i, move)
		if (strcmp(json_text(move, "address"), text) == 0 &&
		    strcmp(json_text(move, "segment"), segment) == 0)
			return json_incref(move);
	return NULL;
}

void hook_mark(const char *guest, char ret[static HOOK_MARK_MAX])
{
	snprintf(ret, HOOK_MARK_MAX, "libvirt %s", guest);
	/* vmacd takes no control characters in a note. */
	for (char *at = ret; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = '?';
}

long hook_marked(const char *note, const char *mark)
{
	size_t len = strlen(note), tail = strlen(mark);

	if (len < tail || strcmp(note + len - tail, mark) != 0)
		return -1;
	if (len == tail)
		return 0;
	return len >= tail + 2 && strncmp(note + len - tail - 2, "; ", 2) == 0
		       ? (long)(len - tail - 2)
		       : -1;
}

/* clang-format off */
static const struct option libvirt_options[] = {
	{ "segment", "NAME", OPTION_TEXT, "look for the guest's addresses only there" },
	{ "user", "USER", OPTION_TEXT, "who may open the taps (root)" },
	{ "group", "GROUP", OPTION_TEXT, "which group may" },
};
static const struct option qmp_options[] = {
	{ "dir", "DIR", OPTION_TEXT, "watch every socket that is, or comes to be, in this directory" },
};

static const struct verb verbs[] = {
	{ .name = "libvirt", .args = "GUEST OPERATION SUB-OPERATION [EXTRA]", .args_min = 3, .args_max = 4,
	  .run = hook_libvirt, OPTIONS(libvirt_options),
	  .summary = "What libvirt's hook calls; the guest's XML is on standard input",
	  .more = "Prepares the moves of guests that come, and makes and deletes the taps of guests whose\n"
		  "interfaces are <interface type='ethernet'> with <target dev='NAME' managed='no'/> and have\n"
		  "a vMAC of ours.  All others are left alone.  It never asks libvirt, and takes 5 s at most.",
	  .examples = "  vmac hook libvirt web1 migrate begin - < web1.xml\n" },
	{ .name = "libvirt-events", .args = "", .run = hook_libvirt_events,
	  .summary = "Read what `virsh event` prints: guests that stand still, and that run again",
	  .examples = "  virsh event --event lifecycle --loop --timestamp | vmac hook libvirt-events\n" },
	{ .name = "qmp", .args = "[SOCKET]...", .args_max = ARGUMENTS_MAX, .run = hook_qmp, OPTIONS(qmp_options),
	  .summary = "Watch QEMUs without libvirt: each gets a second monitor for it",
	  .more = "Such as -qmp unix:/run/vms/web1.watch,server=on,wait=off; nobody else may use that one.",
	  .examples = "  vmac hook qmp /run/vms/web1.watch\n"
		      "  vmac hook qmp --dir /run/vms/watch\n" },
};
/* clang-format on */

const struct noun noun_hook = { "hook", "what hypervisors call", verbs, ARRAY_LEN(verbs) };
