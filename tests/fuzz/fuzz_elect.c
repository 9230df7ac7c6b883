/* A core with a router of each protocol, and a second host's worth of octets and time.
 *
 * The input is a row of steps: an octet that says what happens, and what that needs.  Frames are
 * given as they come, or with their sums put right (or nothing that the fuzzer finds would get past
 * them), from a core of the same records on another host, or as that core sent them but altered in
 * one octet.
 *
 * Held against: a router embodies only in ACTIVE and LEAVING; a lease of a router that does not is
 * ended; nothing leaves with a vMAC as its source outside of a lease; each frame has exactly one
 * verdict, counted once; deadlines lie ahead once time has passed. */
#include "elect/core.h"
#include "fuzz.h"
#include "wire/advert.h"
#include "wire/checksum.h"

#define ROUTERS	  6
#define FRAME_MAX 256
#define STEPS_MAX 512
#define LINK	  7
#define START_NS  1000000000000LL

struct side {
	struct elect_core *core;
	mono_t lease[ROUTERS + 1];
	bool embodied[ROUTERS + 1], ordered;
	const void *lent[ROUTERS + 1];
	size_t lent_len[ROUTERS + 1];
	uint8_t last[ROUTERS + 1][FRAME_MAX];
	size_t last_len[ROUTERS + 1];
	uint64_t fed;
};

static mono_t now;

/* --- orders ---------------------------------------------------------------------------------- */

static uint32_t id_of(const struct elect_router *r)
{
	return elect_router_record(r)->id;
}

static void on_send(void *ctx, const struct elect_set *s, const void *frame, size_t len)
{
	vmac_mac_t mac = elect_set_mac(s);
	uint32_t id = id_of(elect_set_router(s));
	struct side *side = ctx;

	MUST(len >= 14 && len <= FRAME_MAX);
	if (memcmp((const uint8_t *)frame + 6, mac.octet, 6) == 0)
		MUST(side->lease[id].ns > now.ns);
	side->ordered = true;
	side->lent[id] = frame;
	side->lent_len[id] = len;
}

static void on_send_to(void *ctx, const struct elect_set *s, const struct ip *peer,
		       const void *payload, size_t len)
{
	((struct side *)ctx)->ordered = true;
}

static void on_lease(void *ctx, const struct elect_set *s, mono_t until)
{
	struct side *side = ctx;

	side->ordered = true;
	side->lease[id_of(elect_set_router(s))] = until;
}

static void on_embody(void *ctx, const struct elect_router *r, bool there)
{
	struct side *side = ctx;

	side->ordered = true;
	side->embodied[id_of(r)] = there;
}

static void on_report(void *ctx, const struct elect_router *r, const struct elect_report *report)
{
	MUST(report->reason < FHRP_REASON_COUNT && report->to < FHRP_STATE_COUNT);
	MUST(report->transition == (report->from != report->to));
	((struct side *)ctx)->ordered = true;
}

static void on_flush(void *ctx)
{
	struct side *side = ctx;

	for (uint32_t id = 1; id <= ROUTERS; id++) {
		if (!side->lent[id])
			continue;
		memcpy(side->last[id], side->lent[id], side->lent_len[id]);
		side->last_len[id] = side->lent_len[id];
		side->lent[id] = NULL;
	}
	side->ordered = false;
}

static void on_gone(void *ctx, const struct elect_router *r)
{
	struct side *side = ctx;

	MUST(!side->embodied[id_of(r)] && !side->ordered);
	side->lease[id_of(r)] = (mono_t){ 0 };
}

static wall_t on_wall(void *ctx)
{
	return (wall_t){ 1700000000000 + now.ns / 1000000 };
}

static void *alloc(void *ctx, size_t size)
{
	return calloc(1, size);
}

static void give_back(void *ctx, void *p)
{
	free(p);
}

static const struct mem mem = { alloc, give_back, NULL };
static const struct elect_ops ops = {
	.send = on_send,
	.send_to = on_send_to,
	.lease = on_lease,
	.embody = on_embody,
	.report = on_report,
	.flush = on_flush,
	.gone = on_gone,
};

/* --- the two sides --------------------------------------------------------------------------- */

/* Number id's record: 1 … ROUTERS. */
static void set_router(struct side *side, uint32_t id, uint8_t priority, unsigned int variant)
{
	static const enum router_protocol protocols[ROUTERS] = {
		ROUTER_VRRP2, ROUTER_VRRP3, ROUTER_HSRP1, ROUTER_HSRP2, ROUTER_CARP, ROUTER_VRRP3,
	};
	const struct router_key keys[] = { { 1, "one" }, { 2, "two" } };
	struct router_address addresses[2] = { { { 4, { 10, 0, 0, (uint8_t)(100 + id) } }, 24 },
					       { { 4, { 10, 0, 0, (uint8_t)(200 + id) } }, 24 } };
	struct router_set set = { .ifname = "lan", .group = (uint16_t)id, .family = 4 };
	const struct router *held;
	struct router r;
	struct error e;

	router_defaults(&r, protocols[id - 1]);
	r.id = id;
	snprintf(r.name, sizeof(r.name), "r%u", id);
	r.priority = priority ? priority : 1;
	r.enabled = variant % 16 != 15;
	r.preempt = variant & 1;
	r.learn = router_is_hsrp(r.protocol);
	r.also_v2 = id == 2 && variant & 2;
	if (id == 6) {
		r.auth = ROUTER_AUTH_HMAC;
		r.auth_mode = (variant >> 1) % ROUTER_AUTH_MODE_COUNT;
	}
	if (id == 6 || r.protocol == ROUTER_CARP) {
		r.keys = keys;
		r.key_count = 1 + (variant & 1);
	}
	set.addresses = addresses;
	set.address_count = router_is_hsrp(r.protocol) ? variant >> 2 & 1 : 1 + (variant >> 2 & 1);
	r.sets = &set;
	r.set_count = 1;
	if (router_check(&r, &e) < 0)
		return;
	held = router_record_new(&r, &mem);
	MUST(elect_core_set(side->core, held, now, &e) == 0);
	router_release(held);
}

static void tell_link(struct side *side, uint8_t host, bool usable)
{
	const struct elect_link link = { .ifname = "lan",
					 .ifindex = LINK,
					 .usable = usable,
					 .address = { { 0x0e, 0, 0, 0, 0, host } },
					 .source4 = { 4, { 10, 0, 0, host } } };

	elect_core_link(side->core, &link, now);
}

static void side_open(struct side *side, uint8_t host)
{
	const struct elect_core_config config = {
		.mem = &mem, .ops = &ops, .ctx = side, .wall_now = on_wall, .seed = host
	};
	struct error e;

	*side = (struct side){ 0 };
	MUST(elect_core_new(&config, &side->core, &e) == 0);
	tell_link(side, host, true);
	for (uint32_t id = 1; id <= ROUTERS; id++)
		set_router(side, id, (uint8_t)(100 + host), 5);
}

static void count_link(void *ctx, const char *ifname, const struct elect_counters *counters)
{
	*(uint64_t *)ctx += counters->received;
}

static void check(const struct side *side)
{
	uint64_t received = 0;

	elect_core_link_counters(side->core, count_link, &received);
	MUST(!side->ordered);
	for (uint32_t id = 1; id <= ROUTERS; id++) {
		const struct elect_router *r = elect_core_find(side->core, id);
		struct elect_counters counters;
		uint64_t verdicts = 0;
		bool embodies;

		if (!r) {
			MUST(!side->embodied[id]);
			continue;
		}
		embodies = fhrp_embodies(elect_router_machine(r));
		MUST(side->embodied[id] == embodies);
		MUST(embodies || side->lease[id].ns == 0);
		elect_router_counters(r, &counters);
		for (unsigned int v = 0; v < VERDICT_COUNT; v++)
			verdicts += counters.verdicts[v];
		MUST(verdicts == counters.received);
		received += counters.received;
	}
	MUST(received <= side->fed);
}

/* --- frames ---------------------------------------------------------------------------------- */

static void put_sum(uint8_t *at, uint16_t sum)
{
	at[0] = (uint8_t)(sum >> 8);
	at[1] = (uint8_t)sum;
}

/* IPv4 without options, and VRRP's or CARP's own sum behind it, or no UDP sum. */
static void repair(uint8_t *frame, size_t len)
{
	uint8_t *ip = frame + 14, *payload = ip + 20;
	size_t payload_len;

	if (len < 14 + 20 + 8 || frame[12] != 8 || frame[13] != 0 || ip[0] != 0x45)
		return;
	payload_len = len - 34;
	put_sum(ip + 2, (uint16_t)(len - 14));
	put_sum(ip + 10, 0);
	put_sum(ip + 10, checksum_finish(checksum_add(0, ip, 20)));
	if (ip[9] == IP_PROTOCOL_VRRP) {
		put_sum(payload + 6, 0);
		put_sum(payload + 6, checksum_finish(checksum_add(0, payload, payload_len)));
	} else if (ip[9] == 17) {
		put_sum(payload + 4, (uint16_t)payload_len);
		put_sum(payload + 6, 0);
	}
}

static void feed(struct side *side, const uint8_t *data, size_t len, bool flush)
{
	/* Memory of exactly that length, so that a sanitizer sees what is read behind it. */
	uint8_t *frame = malloc(len ? len : 1);
	enum verdict v;

	MUST(frame);
	memcpy(frame, data, len);
	v = elect_core_frame(side->core, LINK, frame, len, 0, now);
	MUST(v < VERDICT_COUNT);
	side->fed++;
	free(frame);
	if (flush)
		elect_core_flush(side->core);
}

/* What the other side sent last for a router, with one octet changed and the sums put right. */
static void feed_altered(struct side *to, const struct side *from, uint32_t id, uint8_t at,
			 uint8_t change)
{
	uint8_t frame[FRAME_MAX];
	size_t len = from->last_len[id];

	if (len == 0)
		return;
	memcpy(frame, from->last[id], len);
	if (change) {
		frame[at % len] ^= change;
		repair(frame, len);
	}
	feed(to, frame, len, true);
}

/* --- steps ----------------------------------------------------------------------------------- */

enum step {
	STEP_RAW,
	STEP_REPAIRED,
	STEP_OTHERS,
	STEP_ALTERED,
	STEP_WAIT,
	STEP_WAIT_LONG,
	STEP_RECORD,
	STEP_LINK,
	STEP_TRACK,
	STEP_REMOVE,
	STEP_COUNT
};

static void pass(struct side *a, struct side *b, int64_t ns)
{
	mono_t end = mono_after(now, SPAN_NS(ns));

	for (unsigned int i = 0; i < 64; i++) {
		mono_t next = elect_core_next_expiry(a->core), other;

		other = elect_core_next_expiry(b->core);
		if (other.ns < next.ns)
			next = other;
		if (next.ns > end.ns)
			break;
		if (next.ns > now.ns)
			now = next;
		elect_core_time(a->core, now);
		elect_core_time(b->core, now);
		MUST(elect_core_next_expiry(a->core).ns > now.ns);
		MUST(elect_core_next_expiry(b->core).ns > now.ns);
	}
	now = end;
	elect_core_time(a->core, now);
	elect_core_time(b->core, now);
}

static void feed_raw(struct side *a, struct reader *r, bool repaired)
{
	uint8_t frame[FRAME_MAX];
	size_t len = read_u8(r);
	const uint8_t *data;

	if (len > reader_left(r))
		len = reader_left(r);
	data = read_bytes(r, len);
	if (len > 0)
		memcpy(frame, data, len);
	if (repaired)
		repair(frame, len);
	feed(a, frame, len, len & 1);
}

static void step(struct side *a, struct side *b, struct reader *r)
{
	enum step what = read_u8(r) % STEP_COUNT;
	uint32_t id = what > STEP_REPAIRED ? 1u + read_u8(r) % ROUTERS : 0;

	switch (what) {
	case STEP_RAW:
	case STEP_REPAIRED:
		feed_raw(a, r, what == STEP_REPAIRED);
		break;
	case STEP_OTHERS:
		feed_altered(a, b, id, 0, 0);
		feed_altered(b, a, id, 0, 0);
		break;
	case STEP_ALTERED: {
		uint8_t at = read_u8(r);

		feed_altered(a, b, id, at, read_u8(r));
		break;
	}
	case STEP_WAIT:
		pass(a, b, (int64_t)read_u8(r) * 50000000);
		break;
	case STEP_WAIT_LONG:
		/* Nobody woke us. */
		now = mono_after(now, SPAN_S(read_u8(r)));
		elect_core_time(a->core, now);
		elect_core_time(b->core, now);
		break;
	case STEP_RECORD: {
		uint8_t priority = read_u8(r);

		set_router(a, id, priority, read_u8(r));
		break;
	}
	case STEP_LINK:
		tell_link(a, 1, read_u8(r) & 1);
		break;
	case STEP_TRACK: {
		uint8_t adjust = read_u8(r);

		elect_core_track(a->core, id, (int8_t)adjust * 2, adjust == 0, now);
		break;
	}
	case STEP_REMOVE:
		elect_core_remove(a->core, id, now);
		break;
	case STEP_COUNT:
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_of(data, size);
	static struct side a, b;

	now = (mono_t){ START_NS };
	side_open(&a, 1);
	side_open(&b, 2);
	for (unsigned int i = 0; i < STEPS_MAX && reader_left(&r) > 0; i++) {
		step(&a, &b, &r);
		elect_core_flush(a.core);
		elect_core_flush(b.core);
		check(&a);
		check(&b);
	}
	elect_core_stop(a.core, now);
	pass(&a, &b, 100000000000);
	check(&a);
	for (uint32_t id = 1; id <= ROUTERS; id++)
		MUST(!a.embodied[id] && a.lease[id].ns == 0);
	MUST(elect_core_stopped(a.core));
	elect_core_free(a.core);
	elect_core_free(b.core);
	return 0;
}
