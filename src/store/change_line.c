#include "store/change_line.h"

#include <assert.h>

static const void *change_image(const struct change *c)
{
	return c->after ? c->after : c->before;
}

uint32_t change_segment(const struct change *c)
{
	const void *image = change_image(c);

	switch (c->kind) {
	case CHANGE_SEGMENT:
		return ((const struct segment *)image)->id;
	case CHANGE_POOL:
		return ((const struct pool *)image)->segment;
	case CHANGE_VMAC:
		return ((const struct vmac *)image)->segment;
	case CHANGE_PORT:
		return ((const struct port *)image)->segment;
	case CHANGE_CLUSTER:
		return ((const struct cluster *)image)->segment;
	case CHANGE_ROUTER: /* lives on links, whoever else shares them */
	case CHANGE_SHARED:
		return 0;
	case CHANGE_KIND_COUNT:
		break;
	}
	assert(!"a kind of change that is none");
	return 0;
}

static const char *change_subject(const struct change *c, char buf[static VMAC_MAC_TEXT_MAX])
{
	const void *image = change_image(c);

	switch (c->kind) {
	case CHANGE_SEGMENT:
		return ((const struct segment *)image)->name;
	case CHANGE_POOL:
		return ((const struct pool *)image)->name;
	case CHANGE_VMAC:
		return vmac_mac_format(((const struct vmac *)image)->address, VMAC_MAC_COLON, buf);
	case CHANGE_PORT:
		return ((const struct port *)image)->name;
	case CHANGE_ROUTER:
		return ((const struct router *)image)->name;
	case CHANGE_CLUSTER:
		return ((const struct cluster *)image)->name;
	case CHANGE_SHARED: /* has no line */
		return "";
	case CHANGE_KIND_COUNT:
		break;
	}
	assert(!"a kind of change that is none");
	return "";
}

void change_line_fill(const struct change *c, const struct store_txn *txn, const char *segment,
		      struct change_line *ret)
{
	ret->line = (struct history){
		.at = txn->at,
		.kind = c->kind,
		.segment = segment,
		.subject = change_subject(c, ret->subject),
		.verb = c->verb,
		.actor = txn->actor,
		.reason = c->reason ? c->reason : "",
		.from = change_state_text(c->kind, c->before, ret->from),
		.to = change_state_text(c->kind, c->after, ret->to),
	};
}
