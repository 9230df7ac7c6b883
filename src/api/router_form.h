/* From what somebody wrote of a router to its record: requests and the configuration file say it in
 * the same words. */
#pragma once

#include "api/body.h"
#include "api/out.h"
#include "model/router.h"

/* The record that `given` makes: of `before` (a change: what was not given stays) or, where that is
 * NULL, of the protocol's defaults.  Keys without a secret keep the one that `before` has for their
 * id.  The record borrows from all three; it is not checked yet. */
void router_form_fill(const struct body_router *given, const struct router *before,
		      struct router *ret);

#define ROUTER_FORM_IN_FORCE 1u /* with what follows by itself: MAC and device of each set */
#define ROUTER_FORM_SECRETS  2u /* with the secrets of its keys: for whoever wrote them */

/* Writes the members of the object that would make this record. */
void router_form_write(struct out *o, const struct router *r, unsigned int flags);
