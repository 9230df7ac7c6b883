/* What resources with a name (segments, pools, ports) have in common: how they are shown, and how
 * the answer to a command on one is given. */
#pragma once

#include "api/internal.h"

/* Writes the view of that name as one JSON object; an engine's error otherwise. */
typedef int (*named_look_fn)(struct request *r, const char *name, struct out *o,
			     struct error *ret_error);

/* A list that is all in one answer: its items come in between. */
void named_list_begin(struct out *o);
void named_list_end(struct request *r, struct out *o);

/* Answers 200 with the object that the path names. */
void named_show(struct request *r, named_look_fn look);

/* Answers a command with its object.  That this is gone again already does not make the command
 * fail: then the answer is empty. */
void named_answer(struct request *r, int status, named_look_fn look, const char *name);

/* An answer_fn (ctx: the request) for a command that leaves nothing to show. */
void named_gone(void *ctx, const struct answer *answer);
