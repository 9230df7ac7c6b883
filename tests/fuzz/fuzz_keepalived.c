#include "cli/keepalived.h"
#include "fuzz.h"

/* Every statement came from a line of the file, and blocks end. */
static unsigned int walk(const struct keepalived_node *n, unsigned int deep)
{
	unsigned int count = 0;

	MUST(deep <= KEEPALIVED_DEPTH_MAX);
	for (; n; n = n->next) {
		MUST(n->word_count > 0 && n->word_count < KEEPALIVED_WORDS_MAX);
		MUST(n->line > 0 && strcmp(n->file, "fuzz") == 0);
		MUST(!n->words[n->word_count]);
		MUST(n->block || !n->children);
		count += 1 + walk(n->children, deep + 1);
	}
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct keepalived *k = keepalived_new("fuzz", NULL, NULL);
	struct keepalived_import m;
	struct error e = { 0 };

	MUST(k);
	if (keepalived_parse(k, "fuzz", (const char *)data, size, &e) == 0) {
		MUST(!e.message[0]);
		MUST(walk(keepalived_first(k), 0) <= KEEPALIVED_NODES_MAX);
		MUST(keepalived_map(k, &m) == 0);
		keepalived_check(&m);
		MUST(json_array_size(m.routers) == m.origin_count);
		for (unsigned int i = 0; i < m.note_count; i++)
			MUST(m.notes[i].router < (int)m.origin_count);
		keepalived_import_done(&m);
	} else {
		MUST(strncmp(e.message, "fuzz:", 5) == 0 || e.code == ERROR_NO_MEMORY);
	}
	keepalived_free(k);
	return 0;
}
