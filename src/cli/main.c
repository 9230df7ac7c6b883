/* vmac: the command line. */
#include <locale.h>
#include <stdio.h>

#include "cli/call.h"
#include "cli/nouns.h"

int main(int argc, char **argv)
{
	const struct noun nouns[] = { noun_segment, noun_pool,	   noun_mac,	 noun_port,
				      noun_router,  noun_cluster,  noun_history, noun_status,
				      noun_watch,   noun_classify, noun_decode,	 noun_import,
				      noun_host,    noun_registry, noun_hook };
	struct command c;
	int r;

	/* Only for the width of characters; numbers and sorting stay those of the C locale. */
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		setlocale(LC_CTYPE, "");
	r = command_parse(nouns, ARRAY_LEN(nouns), argc, argv, &c);
	if (r != 0)
		return r;
	if (c.version) {
		puts("vmac " VMAC_VERSION);
	} else if (c.help) {
		command_help(nouns, ARRAY_LEN(nouns), &c);
	} else {
		r = c.verb->run(&c);
		call_close(&c);
	}
	/* A full disk behind a pipe must not look like success. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("vmac: standard output");
		return r ? r : 1;
	}
	return r;
}
