/* The core asks for its machines whether a silent host forwards, and tells them. */
#include "rig.h"

#include "base/cleanup.h"
#include "false_group.h"
#include "wire/pulse.h"

static void asks_and_is_answered(void **state)
{
	const struct group_effect effects[] = {
		{ .kind = GROUP_ASK, .address = { { 2, 0, 0, 0, 0, 5 } }, .secret = 77 },
		{ .kind = GROUP_STANDING },
	};
	const struct group_event any = { .kind = GROUP_STRANGER };
	struct group_event told = { 0 };
	struct rig *r = rig_new(4);
	static struct anchor_view view;
	struct rig_cluster c;
	struct pulse p;
	struct group *g;
	uint8_t frame[HEARTBEAT_LEN_MAX];
	struct writer w = writer_of(frame, sizeof(frame));

	rig_cluster(&c, 3, 1, 1);
	rig_set(r, &c, 12);
	/* What an earlier run left there. */
	assert_int_equal(rig_count(r, ORDER_STANDING), 1);
	assert_int_equal(rig_order(r, ORDER_STANDING, 0)->standing, 0);
	g = (struct group *)anchor_core_group(r->core, 3);
	g->cluster_hash = heartbeat_cluster("lan", c.record.name, c.record.key);
	g->standing.octet[0] = 6;
	false_say(effects, ARRAY_LEN(effects));
	rig_forget(r);
	anchor_core_event(r->core, 3, &any, rig_now);
	assert_int_equal(rig_order(r, ORDER_SEND, 0)->vlan, 12);
	assert_true(pulse_read(rig_order(r, ORDER_SEND, 0)->frame,
			       rig_order(r, ORDER_SEND, 0)->len, &p));
	assert_int_equal(p.kind, PULSE_QUESTION);
	assert_int_equal(p.to.octet[5], 5);
	assert_int_equal(p.from.octet[5], 0x11);
	assert_int_equal(p.secret, 77);
	assert_int_equal(rig_order(r, ORDER_STANDING, 0)->slot, 3);
	assert_int_equal(rig_order(r, ORDER_STANDING, 0)->standing, 6);
	/* The answer is its machine's; a question, and what came elsewhere, is nobody's. */
	pulse_write(&w, &p);
	anchor_core_frame(r->core, 1, 12, frame, PULSE_LEN, rig_now);
	frame[18] = PULSE_ANSWER;
	anchor_core_frame(r->core, 1, 0, frame, PULSE_LEN, rig_now);
	anchor_core_frame(r->core, 2, 12, frame, PULSE_LEN, rig_now);
	frame[35]++;
	anchor_core_frame(r->core, 1, 12, frame, PULSE_LEN, rig_now);
	frame[35]--;
	assert_int_equal(false_told(GROUP_PULSE, NULL), 0);
	anchor_core_frame(r->core, 1, 12, frame, PULSE_LEN, rig_now);
	assert_int_equal(false_told(GROUP_PULSE, &told), 1);
	assert_int_equal(told.secret, 77);
	assert_true(anchor_core_look(r->core, 3, rig_now, &view));
	assert_int_equal(view.asked, 1);
	assert_int_equal(view.answered, 1);
	/* Who has left asks nobody. */
	rig_forget(r);
	anchor_core_remove(r->core, 3, rig_now);
	assert_int_equal(rig_order(r, ORDER_STANDING, 0)->standing, 0);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(asks_and_is_answered) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
