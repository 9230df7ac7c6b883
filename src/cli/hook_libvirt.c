/* vmac hook libvirt: libvirt calls it at each step of a guest's life, with the guest's XML.
 *
 * Theory of operation
 *
 *   migrate begin   at the destination, before all else: the addresses of ours are prepared, and
 *                   the holder's answer is waited for, so that a migration that cannot end well
 *                   does not begin.
 *   prepare begin   the taps are made, here as for a guest that is started: closed until the
 *                   guest's first frame where it comes from elsewhere.
 *   started begin   on an incoming migration this comes before the guest's memory, so it says
 *                   nothing of who runs: a hint only where this host holds the address.
 *   stopped end     the guest runs here no more.
 *   release end     the taps go, and what was prepared for a migration that failed.
 *
 * A vMAC is recognized by its address, in whichever segment has it; what vmacd knows nothing of is
 * left alone.  Nothing is printed: that would be a new XML.  libvirt waits for its hooks and holds
 * locks meanwhile, hence the time limit, and that libvirt is asked nothing. */
#include "cli/hook.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/account.h"
#include "cli/hook_domain.h"

#define TIME_LIMIT_S 5
#define POLL_MS	     10

struct guest {
	struct command *c;
	const char *name;
	char mark[HOOK_MARK_MAX];
	struct domain domain;
	json_t *segments;
	bool in_doubt; /* nobody can be asked whose an address is */
	const char *segment_of[DOMAIN_NICS_MAX]; /* NULL: no vMAC of ours */
};

/* --- time ------------------------------------------------------------------------------------ */

static char late[256];

static void on_alarm(int sig)
{
	if (write(STDERR_FILENO, late, strlen(late)) < 0)
		_exit(8);
	_exit(1);
}

/* What to say when the time is over. */
static void late_says(const char *what)
{
	char text[sizeof(late)];

	snprintf(text, sizeof(text), "vmac: %.200s: no answer in %d s\n", what, TIME_LIMIT_S);
	memcpy(late, text, sizeof(late));
}

/* --- what libvirt says ----------------------------------------------------------------------- */

static int read_domain(struct domain *ret)
{
	TEXT_AUTO xml = malloc(DOMAIN_XML_MAX + 1);
	struct error error;
	size_t len = 0;
	ssize_t n;

	if (!xml)
		call_no_memory();
	while (len <= DOMAIN_XML_MAX &&
	       (n = read(STDIN_FILENO, xml + len, DOMAIN_XML_MAX + 1 - len)) != 0) {
		if (n < 0 && errno != EINTR) {
			perror("vmac: standard input");
			return 1;
		}
		len += n > 0 ? (size_t)n : 0;
	}
	if (domain_parse(xml, len, ret, &error) == 0)
		return 0;
	call_complain(error.message, error.hint);
	return 1;
}

static const char *segment_at(const struct guest *g, size_t i)
{
	return json_text(json_array_get(g->segments, i), "name");
}

static char *wanted(const char *what, const struct domain_nic *nic)
{
	char text[VMAC_MAC_TEXT_MAX], *said;

	if (asprintf(&said, "%s %s", what, vmac_mac_format(nic->mac, VMAC_MAC_COLON, text)) < 0)
		call_no_memory();
	return said;
}

/* This host's own record of an address, in whichever segment; NULL: it has none. */
static json_t *own_record(struct guest *g, const struct domain_nic *nic)
{
	struct vmac_reply why;
	json_t *v = NULL;

	for (size_t i = 0; !v && i < json_array_size(g->segments); i++) {
		TEXT_AUTO path = hook_path(g->c, segment_at(g, i), nic->mac, NULL);

		hook_ask(g->c, "GET", path, NULL, &v, &why);
	}
	return v;
}

/* --- migrate begin --------------------------------------------------------------------------- */

static bool is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

/* Until the holder has granted it.  0, or the exit status with the reason told. */
static int await_grant(struct guest *g, const struct domain_nic *nic, const char *segment)
{
	static const char *const granted[] = { "ready", "live", "held", "offered", "frozen", NULL };
	static const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	TEXT_AUTO what = wanted("preparing the move of", nic);

	for (;;) {
		JSON_AUTO m = hook_move(g->c, segment, nic->mac);
		const char *state = json_text(m, "state"), *reason = json_text(m, "reason");
		struct vmac_reply why = { .exit_status = 1 };

		if (is_one_of(state, granted))
			return 0;
		if (strcmp(reason, "refused") == 0) {
			snprintf(why.message, sizeof(why.message), "%s: %s", json_text(m, "holder"),
				 json_text(m, "because"));
			return hook_complain(what, &why);
		}
		nanosleep(&pause, NULL);
	}
}

static int prepare_in(struct guest *g, unsigned int n, const char *segment, bool *ret_known)
{
	const struct domain_nic *nic = &g->domain.nics[n];
	TEXT_AUTO what = wanted("preparing the move of", nic);
	struct vmac_reply why;
	int r;

	late_says(what);
	*ret_known = true;
	if (hook_hint(g->c, segment, nic->mac, "prepare", g->mark, NULL, &why) < 0) {
		*ret_known = strcmp(why.code, "not_found") != 0;
		return *ret_known ? hook_complain(what, &why) : 0;
	}
	r = await_grant(g, nic, segment);
	if (r == 0)
		g->segment_of[n] = segment;
	else
		hook_hint(g->c, segment, nic->mac, "abort", g->mark, NULL, &why);
	return r;
}

/* Hosts share their pools: an address that is in none of them is hardly one of ours. */
static bool is_in_pools(struct guest *g, const struct domain_nic *nic)
{
	JSON_AUTO answer = NULL;
	const json_t *pool, *text;
	struct vmac_mac_range range;
	struct vmac_reply why;
	size_t i, k;

	if (hook_ask(g->c, "GET", "/v1/pools", NULL, &answer, &why) < 0)
		return true;
	json_array_foreach (json_object_get(answer, "items"), i, pool)
		json_array_foreach (json_object_get(pool, "ranges"), k, text)
			if (vmac_mac_range_parse(json_string_value(text), &range, NULL) == 0 &&
			    vmac_mac_range_has(range, nic->mac))
				return true;
	return false;
}

static int prepare(struct guest *g, unsigned int n)
{
	static const char *const here[] = { "reserved", "bound", NULL };
	JSON_AUTO v = own_record(g, &g->domain.nics[n]);
	bool known = false;
	int r = 0;

	if (is_one_of(json_text(v, "state"), here) ||
	    (g->in_doubt && !v && !is_in_pools(g, &g->domain.nics[n])))
		return 0;
	for (size_t i = 0; r == 0 && !known && i < json_array_size(g->segments); i++)
		r = prepare_in(g, n, segment_at(g, i), &known);
	return r;
}

/* All or none. */
static int migrate_begin(struct guest *g)
{
	JSON_AUTO status = NULL;
	struct vmac_reply why;
	const json_t *fleet;
	int r = 0;

	if (hook_ask(g->c, "GET", "/v1/status", NULL, &status, &why) < 0)
		return hook_complain("asking vmacd", &why);
	fleet = json_object_get(status, "fleet");
	if (!json_yes(fleet, "shared"))
		return 0;
	g->in_doubt = !json_yes(fleet, "reachable") || !json_yes(fleet, "joined");
	for (unsigned int n = 0; r == 0 && n < g->domain.nic_count; n++)
		if (g->domain.nics[n].has_mac)
			r = prepare(g, n);
	for (unsigned int n = 0; r != 0 && n < g->domain.nic_count; n++)
		if (g->segment_of[n])
			hook_hint(g->c, g->segment_of[n], g->domain.nics[n].mac, "abort", g->mark,
				  NULL, &why);
	return r;
}

/* --- taps ------------------------------------------------------------------------------------ */

/* One that is the host's to make, and so ours. */
static bool wants_tap(const struct domain_nic *nic)
{
	return nic->has_mac && nic->ethernet && nic->unmanaged && nic->dev[0];
}

static char *port_path(const struct guest *g, const struct domain_nic *nic)
{
	return call_path(g->c, (const char *[]){ "ports", nic->dev, NULL }, false);
}

static bool carries(const json_t *port, const struct domain_nic *nic)
{
	char text[VMAC_MAC_TEXT_MAX];

	return strcmp(json_text(port, "vmac"), vmac_mac_format(nic->mac, VMAC_MAC_COLON, text)) ==
	       0;
}

/* Writes the note with the mark, or without it. */
static int set_mark(struct guest *g, const char *segment, const struct domain_nic *nic, bool marked,
		    struct vmac_reply *ret_why)
{
	TEXT_AUTO path = hook_path(g->c, segment, nic->mac, NULL);
	JSON_AUTO v = NULL;
	JSON_AUTO body = NULL;
	TEXT_AUTO note = NULL;
	const char *now;
	long before;

	if (hook_ask(g->c, "GET", path, NULL, &v, ret_why) < 0)
		return -1;
	now = json_text(v, "note");
	before = hook_marked(now, g->mark);
	if ((before >= 0) == marked)
		return 0;
	if (asprintf(&note, "%.*s%s%s", before >= 0 ? (int)before : (int)strlen(now), now,
		     marked && now[0] ? "; " : "", marked ? g->mark : "") < 0)
		call_no_memory();
	body = json_pack("{s:s, s:s}", "note", note, "reason", g->mark);
	return hook_ask(g->c, "PATCH", path, body, NULL, ret_why);
}

static json_t *tap_body(const struct guest *g, const struct domain_nic *nic, const char *segment)
{
	const char *user = command_option(g->c, "user"), *group = command_option(g->c, "group");
	char text[VMAC_MAC_TEXT_MAX];
	json_t *body = json_pack(
		"{s:s, s:s, s:s, s:s, s:s}", "name", nic->dev, "kind", "tap", "segment", segment,
		"vmac", vmac_mac_format(nic->mac, VMAC_MAC_COLON, text), "reason", g->mark);

	if (!body)
		call_no_memory();
	if (user)
		json_object_set_new(body, "owner_uid", json_integer(account_user(user)));
	if (group)
		json_object_set_new(body, "owner_gid", json_integer(account_group(group)));
	if (nic->queues > 1)
		json_object_set_new(body, "queues", json_integer(nic->queues));
	return body;
}

static void delete_tap(struct guest *g, const struct domain_nic *nic)
{
	TEXT_AUTO path = port_path(g, nic);
	struct vmac_reply why;

	hook_ask(g->c, "DELETE", path, NULL, NULL, &why);
}

static int add_tap_in(struct guest *g, unsigned int n, const char *segment, bool *ret_known)
{
	const struct domain_nic *nic = &g->domain.nics[n];
	TEXT_AUTO what = wanted("making a tap for", nic);
	JSON_AUTO body = tap_body(g, nic, segment);
	struct vmac_reply why;

	late_says(what);
	*ret_known = true;
	if (hook_ask(g->c, "POST", "/v1/ports", body, NULL, &why) < 0) {
		*ret_known = strcmp(why.code, "not_found") != 0;
		return *ret_known ? hook_complain(what, &why) : 0;
	}
	if (set_mark(g, segment, nic, true, &why) < 0) {
		delete_tap(g, nic);
		return hook_complain(what, &why);
	}
	g->segment_of[n] = segment;
	return 0;
}

/* One that somebody made by hand is his, and stays when the guest goes. */
static int keep_tap(struct guest *g, const json_t *port, const struct domain_nic *nic)
{
	TEXT_AUTO what = wanted("the tap of", nic);
	struct vmac_reply why = { .exit_status = 4 };

	if (carries(port, nic)) {
		set_mark(g, json_text(port, "segment"), nic, false, &why);
		return 0;
	}
	snprintf(why.message, sizeof(why.message), "port %s is there, and carries %s", nic->dev,
		 json_text(port, "vmac"));
	return hook_complain(what, &why);
}

static int add_tap(struct guest *g, unsigned int n)
{
	const struct domain_nic *nic = &g->domain.nics[n];
	TEXT_AUTO path = port_path(g, nic);
	JSON_AUTO port = NULL;
	struct vmac_reply why;
	bool known = false;
	int r = 0;

	if (hook_ask(g->c, "GET", path, NULL, &port, &why) == 0)
		return keep_tap(g, port, nic);
	if (strcmp(why.code, "not_found") != 0)
		return hook_complain("asking vmacd", &why);
	for (size_t i = 0; r == 0 && !known && i < json_array_size(g->segments); i++)
		r = add_tap_in(g, n, segment_at(g, i), &known);
	return r;
}

static int prepare_begin(struct guest *g)
{
	int r = 0;

	for (unsigned int n = 0; r == 0 && n < g->domain.nic_count; n++)
		if (wants_tap(&g->domain.nics[n]))
			r = add_tap(g, n);
	for (unsigned int n = 0; r != 0 && n < g->domain.nic_count; n++)
		if (g->segment_of[n])
			delete_tap(g, &g->domain.nics[n]);
	return r;
}

/* --- the rest -------------------------------------------------------------------------------- */

/* Where this host holds the address: elsewhere a guest that is about to come is no news. */
static int hint_held(struct guest *g, const char *verb)
{
	static const char *const held[] = { "held", "offered", "paused", NULL };
	struct vmac_reply why;
	int r = 0;

	for (unsigned int n = 0; n < g->domain.nic_count; n++) {
		const struct domain_nic *nic = &g->domain.nics[n];
		JSON_AUTO v = nic->has_mac ? own_record(g, nic) : NULL;

		if (!is_one_of(json_text(json_object_get(v, "move"), "state"), held))
			continue;
		if (hook_hint(g->c, json_text(v, "segment"), nic->mac, verb, g->mark, NULL, &why) <
			    0 &&
		    !hook_is_moot(&why)) {
			TEXT_AUTO what = wanted(verb, nic);

			r = hook_complain(what, &why);
		}
	}
	return r;
}

static int started_begin(struct guest *g)
{
	return hint_held(g, "resume");
}

static int stopped_end(struct guest *g)
{
	return hint_held(g, "stop");
}

/* What was prepared here, and came to nothing. */
static void give_up(struct guest *g, const struct domain_nic *nic)
{
	static const char *const waiting[] = { "asked", "ready", NULL };
	struct vmac_reply why;

	for (size_t i = 0; i < json_array_size(g->segments); i++) {
		JSON_AUTO m = hook_move(g->c, segment_at(g, i), nic->mac);

		if (is_one_of(json_text(m, "state"), waiting))
			hook_hint(g->c, segment_at(g, i), nic->mac, "abort", g->mark, NULL, &why);
	}
}

static int release_tap(struct guest *g, const struct domain_nic *nic)
{
	TEXT_AUTO path = port_path(g, nic);
	TEXT_AUTO what = wanted("releasing", nic);
	JSON_AUTO port = NULL;
	JSON_AUTO v = NULL;
	struct vmac_reply why;

	if (hook_ask(g->c, "GET", path, NULL, &port, &why) < 0)
		return strcmp(why.code, "not_found") == 0 ? 0 : hook_complain(what, &why);
	if (!carries(port, nic))
		return 0;
	v = own_record(g, nic);
	if (hook_marked(json_text(v, "note"), g->mark) < 0)
		return 0;
	/* While it is still this host's to write; a failure leaves a remark, and no more. */
	set_mark(g, json_text(port, "segment"), nic, false, &why);
	return hook_ask(g->c, "DELETE", path, NULL, NULL, &why) < 0 ? hook_complain(what, &why) : 0;
}

static int release_end(struct guest *g)
{
	int r = 0;

	for (unsigned int n = 0; n < g->domain.nic_count; n++) {
		const struct domain_nic *nic = &g->domain.nics[n];

		if (nic->has_mac)
			give_up(g, nic);
		if (wants_tap(nic) && release_tap(g, nic) != 0)
			r = 1;
	}
	return r;
}

/* --- the call -------------------------------------------------------------------------------- */

static const struct {
	const char *operation, *sub;
	int (*run)(struct guest *g);
} operations[] = {
	{ "migrate", "begin", migrate_begin }, { "prepare", "begin", prepare_begin },
	{ "started", "begin", started_begin }, { "stopped", "end", stopped_end },
	{ "release", "end", release_end },
};

static int check_accounts(const struct command *c)
{
	const char *user = command_option(c, "user"), *group = command_option(c, "group");

	if (user && account_user(user) < 0)
		return command_misuse(c, "--user: there is no user %s", user);
	if (group && account_group(group) < 0)
		return command_misuse(c, "--group: there is no group %s", group);
	return 0;
}

static int run_in(struct guest *g, int (*run)(struct guest *g))
{
	const char *only = command_option(g->c, "segment");
	struct vmac_reply why;

	g->segments = only ? json_pack("[{s:s}]", "name", only) : hook_segments(g->c, &why);
	if (!g->segments) {
		hook_complain("asking vmacd", &why);
		return 1;
	}
	return run(g) == 0 ? 0 : 1;
}

int hook_libvirt(struct command *c)
{
	struct guest g = { .c = c, .name = c->args[0] };
	unsigned int i = 0;
	int r = check_accounts(c);

	while (i < ARRAY_LEN(operations) && (strcmp(c->args[1], operations[i].operation) != 0 ||
					     strcmp(c->args[2], operations[i].sub) != 0))
		i++;
	/* The others, and those that later versions of libvirt may have, do not concern us. */
	if (r != 0 || i == ARRAY_LEN(operations))
		return r;
	late_says("asking vmacd");
	signal(SIGALRM, on_alarm);
	alarm(TIME_LIMIT_S);
	hook_mark(g.name, g.mark);
	r = read_domain(&g.domain);
	if (r == 0 && g.domain.nic_count > 0) {
		r = call_open(c);
		if (r == 0)
			r = run_in(&g, operations[i].run);
	}
	alarm(0);
	json_decref(g.segments);
	return r;
}
