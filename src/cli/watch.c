#include "cli/call.h"
#include "cli/nouns.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmac/client.h>

struct watching {
	struct command *c;
	unsigned long long left; /* events until the end; 0 = no end */
};

static void print_event(const char *what, const json_t *e)
{
	const char *from = json_text(e, "from"), *to = json_text(e, "to");
	const char *reason = json_text(e, "reason");

	const char *subject = json_text(e, "subject"), *actor = json_text(e, "actor");

	printf("%s  %-8s %s  %s", json_text(e, "at"), what, subject[0] ? subject : "-",
	       json_text(e, "verb"));
	/* What hosts agree upon, and what a guest does, nobody here commanded. */
	if (actor[0])
		printf(" by %s", actor);
	if (json_text(e, "segment")[0])
		printf(" in %s", json_text(e, "segment"));
	if (from[0] || to[0])
		printf(": %s -> %s", from[0] ? from : "-", to[0] ? to : "-");
	if (reason[0])
		printf(" (%s)", reason);
	putchar('\n');
}

/* Lines go out at once: somebody is watching, or a program reads them. */
static int happened(void *ctx, const char *id, const char *what, const char *json)
{
	struct watching *w = ctx;
	JSON_AUTO e = json_loads(json, 0, NULL);

	if (strcmp(what, "lost") == 0)
		fprintf(stderr, "vmac: %llu events were lost: too many at once\n",
			json_number(e, "count"));
	else if (w->c->json)
		puts(json);
	else
		print_event(what, e);
	fflush(stdout);
	return strcmp(what, "lost") != 0 && w->left > 0 && --w->left == 0;
}

static int number(const struct command *c, const char *option, unsigned long long most,
		  unsigned long long *ret)
{
	const char *text = command_option(c, option);
	unsigned long long n;
	char *end;

	*ret = 0;
	if (!text)
		return 0;
	n = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || n == 0 || n > most)
		return command_misuse(c, "--%s: \"%s\" is not in 1 ... %llu", option, text, most);
	*ret = n;
	return 0;
}

static int run(struct command *c)
{
	struct watching w = { .c = c };
	struct vmac_reply reply;
	unsigned long long seconds;
	int r = number(c, "count", INT64_MAX, &w.left);

	if (r == 0)
		r = number(c, "seconds", 1000000, &seconds);
	if (r == 0)
		r = call_open(c);
	if (r != 0)
		return r;
	if (vmac_client_events(c->client, NULL, (unsigned int)seconds, happened, &w, &reply) < 0) {
		call_complain(reply.message, reply.hint);
		r = reply.exit_status;
	}
	vmac_reply_done(&reply);
	return r;
}

/* clang-format off */
static const struct option options[] = {
	{ "count", "N", OPTION_NUMBER, "end after this many events" },
	{ "seconds", "N", OPTION_NUMBER, "end after this time" },
};

static const struct verb verbs[] = {
	{ .name = "", .args = "", .run = run, OPTIONS(options),
	  .summary = "Print what happens as it happens, a line each",
	  .examples = "  vmac watch\n"
		      "  vmac --json watch --seconds 60 | jq .subject\n" },
};
/* clang-format on */

const struct noun noun_watch = { "watch", "what happens, as it happens", verbs, ARRAY_LEN(verbs) };
