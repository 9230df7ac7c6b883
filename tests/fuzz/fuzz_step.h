/* Octets as a history of one machine: what each fuzz_*_step target runs.
 *
 * The first eight octets are the configuration, then each event is one octet that says what, and
 * operands behind it. */
#pragma once

#include "../unit/fhrp/invariants.h"
#include "fuzz.h"

#define FUZZ_EVENTS_MAX 1024

struct fuzz_input {
	const uint8_t *at, *end;
};

static inline uint8_t fuzz_octet(struct fuzz_input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

/* Short ones densely, long ones too: 0 … about three days; now and then nonsense. */
static inline span_t fuzz_span(struct fuzz_input *in)
{
	const uint8_t value = fuzz_octet(in);

	if (value == 255)
		return SPAN_NS(INT64_MAX);
	if (value == 254)
		return SPAN_NS(-1);
	return SPAN_NS((int64_t)(value & 15) << (14 + 2 * (value >> 4)));
}

static inline struct fhrp_config fuzz_config(struct fuzz_input *in, enum router_protocol p)
{
	const uint8_t bits = fuzz_octet(in), priority = fuzz_octet(in);

	return (struct fhrp_config){
		.protocol = p,
		.set_count = 2,
		.priority = priority > 0 ? priority : 1,
		.learn = bits & 1,
		.preempt = bits & 2,
		.know_address = bits & 4,
		.interval = SPAN_MS(1 + fuzz_octet(in) * (bits & 8 ? 10 : 1000)),
		.hold = SPAN_MS(fuzz_octet(in) * (bits & 8 ? 30 : 3000)),
		.preempt_delay = SPAN_MS(fuzz_octet(in) * 100),
		.boot_hold = SPAN_MS(fuzz_octet(in) * 100),
		.linger = SPAN_MS(bits & 16 ? fuzz_octet(in) * 100 : -1),
		.announce_count = (uint8_t)(1 + fuzz_octet(in) % 16),
		.announce_refresh = SPAN_MS(bits & 32 ? fuzz_octet(in) * 1000 : 0),
	};
}

static inline struct fhrp_heard fuzz_heard(struct fuzz_input *in)
{
	struct fhrp_heard h = { .set = fuzz_octet(in) % 2, .from = { .address = { 10 } } };
	const uint8_t bits = fuzz_octet(in);

	h.version = bits & 1 ? 2 : 3;
	h.message = bits >> 1 & 3;
	h.state = bits >> 3 & 7;
	h.virtual_address[0] = bits >> 6;
	h.priority = fuzz_octet(in);
	h.interval = fuzz_span(in);
	h.hold = fuzz_span(in);
	h.from.address[3] = fuzz_octet(in);
	h.from.len = h.from.address[3] % 8 == 7 ? 16 : 4;
	return h;
}

/* One event; false: the input is over. */
static inline bool fuzz_event(struct fuzz_input *in, struct fhrp *m, mono_t *now,
			      struct fhrp_effects *out, struct watched *w)
{
	static const enum fhrp_reason reasons[] = { FHRP_REASON_SHUTDOWN, FHRP_REASON_FAULT,
						    FHRP_REASON_DISABLED,
						    FHRP_REASON_RECONFIGURED };
	struct fhrp_event e = { 0 };
	struct fhrp_config config;
	struct fhrp_heard heard;

	if (in->at == in->end)
		return false;
	/* Most of what happens is heard or a deadline. */
	switch (fuzz_octet(in) % 16) {
	case 0:
		e.kind = FHRP_EVENT_START;
		e.boot = fuzz_octet(in) & 1;
		break;
	case 1:
		e.kind = FHRP_EVENT_STOP;
		e.reason = FHRP_REASON_SHUTDOWN;
		break;
	case 2:
		e.kind = FHRP_EVENT_HALT;
		e.reason = reasons[fuzz_octet(in) % 4];
		break;
	case 3:
		e.kind = FHRP_EVENT_ADJUST;
		e.priority = fuzz_octet(in);
		break;
	case 4:
		e.kind = FHRP_EVENT_LATE;
		break;
	case 5:
		config = fuzz_config(in, m->config.protocol);
		e.kind = FHRP_EVENT_CONFIG;
		e.config = &config;
		break;
	case 6:
	case 7: {
		const span_t passed = fuzz_span(in);

		if (passed.ns > 0 && passed.ns < SPAN_S(100000).ns)
			*now = mono_after(*now, passed);
		e.kind = FHRP_EVENT_TIME;
		break;
	}
	case 8:
	case 9:
	case 10:
		if (fhrp_next_expiry(m).ns < SPAN_S(INT32_MAX).ns &&
		    fhrp_next_expiry(m).ns > now->ns)
			*now = fhrp_next_expiry(m);
		e.kind = FHRP_EVENT_TIME;
		break;
	default:
		heard = fuzz_heard(in);
		e.kind = FHRP_EVENT_HEARD;
		e.heard = &heard;
	}
	fhrp_step(m, &e, *now, out);
	watch_step(w, m, out, e.kind == FHRP_EVENT_TIME, *now);
	return true;
}

static inline void fuzz_machine(enum router_protocol p, const uint8_t *data, size_t size)
{
	const struct fhrp_own own[2] = { { .address = { 10, 0, 0, 77 }, .len = 4 } };
	struct fuzz_input in = { data, data + size };
	struct watched w = { .state = FHRP_INITIALIZE };
	const struct fhrp_config config = fuzz_config(&in, p);
	mono_t now = { SPAN_S(1).ns };
	struct fhrp_effects out;
	struct fhrp m;

	fhrp_init(&m, &config, own, now);
	for (unsigned int i = 0; i < FUZZ_EVENTS_MAX && fuzz_event(&in, &m, &now, &out, &w); i++)
		;
}
