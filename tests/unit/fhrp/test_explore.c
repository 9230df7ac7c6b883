/* Every sequence of events up to a depth, from the start of every protocol, under every condition
 * that changes the rows: the invariants hold after each step. */
#include "rig.h"

#define DEPTH 6

enum what {
	START,
	BOOT,
	STOP,
	HALT,
	CUT_OFF,
	LATE_EVENT,
	ADJUST,
	CONFIGURE,
	DEADLINE,
	LONG_AFTER,
	HEARD_FIRST, /* … and one for each of the protocol's advertisements */
};

struct advertisement {
	uint8_t message, sender;
	uint32_t priority;
	int64_t interval_ms;
	uint8_t host;
};

static const struct advertisement vrrp[] = {
	{ .priority = 0, .interval_ms = 1000, .host = 20 },
	{ .priority = 50, .interval_ms = 1000, .host = 20 },
	{ .priority = 100, .interval_ms = 1000, .host = 5 },
	{ .priority = 100, .interval_ms = 10, .host = 20 },
	{ .priority = 255, .interval_ms = 1000, .host = 20 },
};

static const struct advertisement carp[] = {
	{ .priority = 0, .interval_ms = 255996, .host = 20 },
	{ .priority = 99, .interval_ms = 1610, .host = 20 },
	{ .priority = 255, .interval_ms = 1000, .host = 20 },
	{ .priority = 255, .interval_ms = 9000, .host = 20 },
};

static const struct advertisement hsrp[] = {
	{ FHRP_HELLO, HSRP_STATE_SPEAK, 150, 3000, 20 },
	{ FHRP_HELLO, HSRP_STATE_ACTIVE, 150, 3000, 20 },
	{ FHRP_HELLO, HSRP_STATE_ACTIVE, 50, 3000, 20 },
	{ FHRP_HELLO, HSRP_STATE_STANDBY, 150, 3000, 20 },
	{ FHRP_HELLO, HSRP_STATE_STANDBY, 50, 2000, 20 },
	{ FHRP_COUP, HSRP_STATE_LISTEN, 150, 3000, 20 },
	{ FHRP_RESIGN, HSRP_STATE_ACTIVE, 150, 3000, 20 },
};

struct explorer {
	struct fhrp_config config, other;
	const struct advertisement *heard;
	unsigned int heard_count;
	uint64_t steps;
	unsigned int effects_most;
	uint32_t states; /* reached, a bit each */
};

static void step_hear(struct rig *t, const struct advertisement *a)
{
	const struct fhrp_heard h = {
		.version = 3,
		.message = a->message,
		.state = a->sender,
		.priority = a->priority,
		.interval = SPAN_MS(a->interval_ms),
		.hold = SPAN_MS(a->interval_ms * 3 + 1000),
		.from = rig_address(a->host),
		.virtual_address = { 10, 0, 0, 1 },
	};

	rig_hear(t, &h);
}

static void step(struct explorer *x, struct rig *t, unsigned int what)
{
	const mono_t expiry = fhrp_next_expiry(&t->m);

	switch (what) {
	case START:
		return rig_start(t);
	case BOOT:
		return rig_boot(t);
	case STOP:
		return rig_stop(t);
	case HALT:
		return rig_halt(t, FHRP_REASON_FAULT);
	case CUT_OFF:
		return rig_halt(t, FHRP_REASON_RECONFIGURED);
	case LATE_EVENT:
		return rig_late(t);
	case ADJUST:
		return rig_adjust(t, t->m.priority == 60 ? 100 : 60);
	case CONFIGURE:
		t->config = t->m.config.interval.ns == x->config.interval.ns ? x->other : x->config;
		return rig_configure(t);
	case DEADLINE:
		if (expiry.ns != MONO_NEVER.ns)
			t->now = expiry.ns > t->now.ns ? expiry : t->now;
		return rig_time(t, 0);
	case LONG_AFTER:
		return rig_time(t, 3000);
	default:
		return step_hear(t, &x->heard[what - HEARD_FIRST]);
	}
}

static void explore(struct explorer *x, const struct rig *from, unsigned int depth)
{
	for (unsigned int what = 0; what < HEARD_FIRST + x->heard_count; what++) {
		struct rig t = *from;

		step(x, &t, what);
		x->steps++;
		x->states |= 1u << t.m.state;
		if (t.out.count > x->effects_most)
			x->effects_most = t.out.count;
		if (depth > 1)
			explore(x, &t, depth - 1);
	}
}

/* Of so many effects is the bound that the contract names. */
static void explore_all(struct explorer *x, uint32_t states, unsigned int depth)
{
	struct rig t = { .config = x->config };

	x->other = x->config;
	x->other.interval = SPAN_MS(200);
	x->other.preempt = !x->config.preempt;
	x->other.know_address = true;
	rig_init(&t);
	explore(x, &t, depth);
	printf("%llu steps, at most %u effects\n", (unsigned long long)x->steps, x->effects_most);
	assert_true(x->effects_most <= FHRP_EFFECTS_MAX);
	assert_int_equal(x->states, states);
}

#define BIT(state) (1u << (state))
#define OF_ALL	   (BIT(FHRP_INITIALIZE) | BIT(FHRP_ACTIVE) | BIT(FHRP_LEAVING))
#define OF_HSRP	   (OF_ALL | BIT(FHRP_LISTEN) | BIT(FHRP_SPEAK) | BIT(FHRP_STANDBY))

static struct explorer explorer(enum router_protocol p)
{
	struct explorer x = { .config = rig_config(p) };

	x.config.boot_hold = SPAN_MS(2500);
	x.heard = p == ROUTER_CARP ? carp : p == ROUTER_HSRP1 ? hsrp : vrrp;
	x.heard_count = p == ROUTER_CARP    ? ARRAY_LEN(carp)
			: p == ROUTER_HSRP1 ? ARRAY_LEN(hsrp)
					    : ARRAY_LEN(vrrp);
	return x;
}

static void every_short_history_of_vrrp(void **state)
{
	struct explorer x = explorer(ROUTER_VRRP3);

	x.config.announce_refresh = SPAN_S(5);
	explore_all(&x, OF_ALL | BIT(FHRP_BACKUP), DEPTH);
}

static void every_short_history_of_an_owner(void **state)
{
	struct explorer x = explorer(ROUTER_VRRP3);

	x.config.priority = 255;
	x.config.linger = SPAN_NS(0);
	explore_all(&x, (OF_ALL | BIT(FHRP_BACKUP)) & ~BIT(FHRP_LEAVING), DEPTH - 1);
}

static void every_short_history_of_vrrp_without_preemption(void **state)
{
	struct explorer x = explorer(ROUTER_VRRP2);

	x.config.preempt = false;
	x.config.linger = SPAN_S(20);
	explore_all(&x, OF_ALL | BIT(FHRP_BACKUP), DEPTH - 1);
}

static void every_short_history_of_carp(void **state)
{
	struct explorer x = explorer(ROUTER_CARP);

	x.config.preempt_delay = SPAN_S(2);
	explore_all(&x, OF_ALL | BIT(FHRP_BACKUP), DEPTH - 1);
}

/* Also from Speak and Active on, which lie far behind the start. */
static void every_short_history_of_hsrp(void **state)
{
	struct explorer x = explorer(ROUTER_HSRP1);
	struct rig t = { .config = x.config };

	explore_all(&x, OF_HSRP, DEPTH - 1);
	rig_init(&t);
	rig_start(&t);
	rig_until(&t, FHRP_SPEAK);
	explore(&x, &t, DEPTH - 2);
	rig_until(&t, FHRP_ACTIVE);
	explore(&x, &t, DEPTH - 2);
}

static void every_short_history_of_hsrp_that_learns_and_preempts(void **state)
{
	struct explorer x = explorer(ROUTER_HSRP1);

	x.config.know_address = false;
	x.config.learn = x.config.preempt = true;
	explore_all(&x, OF_HSRP | BIT(FHRP_LEARN), DEPTH - 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_short_history_of_vrrp),
		cmocka_unit_test(every_short_history_of_an_owner),
		cmocka_unit_test(every_short_history_of_vrrp_without_preemption),
		cmocka_unit_test(every_short_history_of_carp),
		cmocka_unit_test(every_short_history_of_hsrp),
		cmocka_unit_test(every_short_history_of_hsrp_that_learns_and_preempts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
