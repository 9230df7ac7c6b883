/* The tables of the bodies about many hosts: moves, and the hosts themselves. */
#include "api/tables.h"

#define STATE_MAX_LEN 16

/* clang-format off */
static const struct field body_move_prepare_fields[] = {
	PARSED("lifetime", struct body, move.lifetime_ms, field_parse_duration),
	REASON,
};
SCHEMA(body_move_prepare, "MovePrepare");

static const struct field body_move_hint_fields[] = {
	REASON,
};
SCHEMA(body_move_hint, "MoveHint");

static const struct field body_move_take_fields[] = {
	BOOL("force", struct body, move.force),
	REASON,
};
SCHEMA(body_move_take, "MoveTake");

static const struct field body_host_set_fields[] = {
	FIELD("state", FIELD_TEXT, struct body, host_set.state, .most = STATE_MAX_LEN, REQUIRED),
	TEXT("fenced_by", struct body, host_set.fenced_by, OWNER_MAX_LEN),
	REASON,
};
SCHEMA(body_host_set, "HostSet");
/* clang-format on */
