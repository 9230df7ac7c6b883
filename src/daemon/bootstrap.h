/* The segments and pools of the configuration: made where they do not exist, never changed or
 * deleted. */
#pragma once

#include "daemon/config.h"
#include "engine/engine.h"

/* What could not be made is logged; it is tried again at the next start. */
void bootstrap(struct engine *e, const struct config *c);

/* Makes the configuration file's routers be those of *c. */
void bootstrap_routers(struct engine *e, const struct config *c, answer_fn done, void *ctx);
