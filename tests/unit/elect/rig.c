#include "rig.h"

#include "base/cleanup.h"
#include "wire/ip.h"

mono_t rig_now = { RIG_START_NS };
bool hear_unicast, hear_unflushed;
uint8_t hear_ttl;
int hear_link;

/* --- memory ---------------------------------------------------------------------------------- */

static void *rig_alloc(void *ctx, size_t size)
{
	struct host *h = ctx;

	if (h->refuse_after >= 0 && h->refuse_after-- == 0)
		return NULL;
	h->allocated++;
	return calloc(1, size);
}

static void rig_free(void *ctx, void *p)
{
	if (p)
		((struct host *)ctx)->allocated--;
	free(p);
}

/* --- orders ---------------------------------------------------------------------------------- */

static struct order *record(struct host *h, enum order_kind kind, const struct elect_router *r,
			    const struct elect_set *s)
{
	struct order *o = &h->orders[h->count++];

	assert_true(h->count < RIG_ORDERS_MAX);
	*o = (struct order){ .kind = kind };
	if (s)
		r = elect_set_router(s);
	if (s) {
		o->set = elect_set_index(s);
		o->ifindex = elect_set_ifindex(s);
	}
	if (r)
		o->router = elect_router_record(r)->id;
	h->counts[kind]++;
	return o;
}

static void on_send(void *ctx, const struct elect_set *s, const void *frame, size_t len)
{
	struct order *o = record(ctx, ORDER_SEND, NULL, s);

	o->lent = frame;
	o->len = len;
}

static void on_send_to(void *ctx, const struct elect_set *s, const struct ip *peer,
		       const void *payload, size_t len)
{
	struct order *o = record(ctx, ORDER_SEND_TO, NULL, s);

	o->lent = payload;
	o->len = len;
	o->peer = *peer;
}

static void on_lease(void *ctx, const struct elect_set *s, mono_t until)
{
	record(ctx, ORDER_LEASE, NULL, s)->until = until;
}

static void on_embody(void *ctx, const struct elect_router *r, bool there)
{
	struct host *h = ctx;

	record(h, there ? ORDER_EMBODY : ORDER_DISEMBODY, r, NULL);
	h->embodied[elect_router_record(r)->id] = there;
}

static void on_report(void *ctx, const struct elect_router *r, const struct elect_report *report)
{
	record(ctx, ORDER_REPORT, r, NULL)->report = *report;
}

static void on_flush(void *ctx)
{
	struct host *h = ctx;

	for (; h->flushed < h->count; h->flushed++) {
		struct order *o = &h->orders[h->flushed];

		if (!o->lent)
			continue;
		o->frame = malloc(o->len);
		assert_non_null(o->frame);
		memcpy(o->frame, o->lent, o->len);
		o->lent = NULL;
	}
	record(h, ORDER_FLUSH, NULL, NULL);
	h->flushed = h->count;
}

static void on_gone(void *ctx, const struct elect_router *r)
{
	struct host *h = ctx;

	assert_int_equal(h->flushed, h->count);
	assert_false(h->embodied[elect_router_record(r)->id]);
	record(h, ORDER_GONE, r, NULL);
	h->flushed = h->count;
}

static wall_t on_wall(void *ctx)
{
	const struct host *h = ctx;

	return (wall_t){ 1700000000000 + rig_now.ns / 1000000 + h->clock_ms };
}

static const struct elect_ops ops = {
	.send = on_send,
	.send_to = on_send_to,
	.lease = on_lease,
	.embody = on_embody,
	.report = on_report,
	.flush = on_flush,
	.gone = on_gone,
};

/* --- hosts ----------------------------------------------------------------------------------- */

struct host *host_new(unsigned int number, bool devices)
{
	struct host *h = calloc(1, sizeof(*h));
	struct elect_core_config config = { .ops = &ops, .wall_now = on_wall, .devices = devices };
	struct error e;

	assert_non_null(h);
	h->number = number;
	h->refuse_after = -1;
	h->mem = (struct mem){ rig_alloc, rig_free, h };
	config.mem = &h->mem;
	config.ctx = h;
	config.seed = number;
	assert_int_equal(elect_core_new(&config, &h->core, &e), 0);
	return h;
}

void host_free(struct host *h)
{
	elect_core_free(h->core);
	assert_int_equal(h->allocated, 0);
	host_forget(h);
	free(h);
}

struct ip host_ip(const struct host *h, int link, uint8_t family)
{
	if (family == 4)
		return (struct ip){ 4, { 10, 0, (uint8_t)link, (uint8_t)h->number } };
	return (struct ip){ 6,
			    { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (uint8_t)link, 0,
			      (uint8_t)h->number } };
}

struct elect_link host_link(const struct host *h, int link, bool usable)
{
	static char names[RIG_LINKS_MAX + 1][IFNAME_MAX_LEN + 1];

	snprintf(names[link], sizeof(names[link]), "lan%d", link);
	return (struct elect_link){
		.ifname = names[link],
		.ifindex = link,
		.usable = usable,
		.address = { { 0x0e, 0, 0, 0, (uint8_t)link, (uint8_t)h->number } },
		.source4 = host_ip(h, link, 4),
		.source6 = host_ip(h, link, 6),
	};
}

void host_plug(struct host *h, int link)
{
	struct elect_link l = host_link(h, link, true);

	h->plugged[link] = true;
	elect_core_link(h->core, &l, rig_now);
}

void host_unplug(struct host *h, int link)
{
	struct elect_link l = host_link(h, link, false);

	h->plugged[link] = false;
	elect_core_link(h->core, &l, rig_now);
}

void host_forget(struct host *h)
{
	assert_int_equal(h->flushed, h->count);
	for (unsigned int i = 0; i < h->count; i++)
		free(h->orders[i].frame);
	h->count = h->flushed = h->delivered = 0;
	memset(h->counts, 0, sizeof(h->counts));
}

const struct order *host_last(const struct host *h, enum order_kind kind)
{
	for (unsigned int i = h->count; i-- > 0;)
		if (h->orders[i].kind == kind)
			return &h->orders[i];
	fail_msg("no order of kind %d", kind);
	return NULL;
}

const uint8_t *host_last_advert(const struct host *h)
{
	for (unsigned int i = h->count; i-- > 0;) {
		const struct order *o = &h->orders[i];
		struct reader r = reader_of(o->frame, o->len);
		struct advert advert;

		if (o->kind == ORDER_SEND &&
		    advert_decode(&r, 0, &advert, NULL, NULL) == VERDICT_ACCEPTED)
			return o->frame;
	}
	fail_msg("no advertisement");
	return NULL;
}

unsigned int host_reports(const struct host *h, enum fhrp_reason reason)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < h->count; i++)
		n += h->orders[i].kind == ORDER_REPORT && h->orders[i].report.reason == reason;
	return n;
}

uint8_t host_state(const struct host *h, uint32_t id)
{
	struct elect_router *r = elect_core_find(h->core, id);

	assert_non_null(r);
	return elect_router_machine(r)->state;
}

struct elect_counters host_counters(const struct host *h, uint32_t id)
{
	struct elect_router *r = elect_core_find(h->core, id);
	struct elect_counters counters;

	assert_non_null(r);
	elect_router_counters(r, &counters);
	return counters;
}

/* --- records --------------------------------------------------------------------------------- */

#define RECORDS_MAX 8

static struct record_room {
	struct router router;
	struct router_set sets[ROUTER_SETS_MAX];
	struct router_address addresses[ROUTER_SETS_MAX][ROUTER_SET_ADDRESSES_MAX];
	struct router_key keys[ROUTER_KEYS_MAX];
} rooms[RECORDS_MAX];

static unsigned int rooms_used;

static struct record_room *room_of(struct router *r)
{
	return (struct record_room *)r;
}

struct router *record_of(uint32_t id, enum router_protocol p, uint16_t group, uint8_t priority)
{
	struct record_room *room = &rooms[rooms_used++ % RECORDS_MAX];
	struct router *r = &room->router;

	memset(room, 0, sizeof(*room));
	router_defaults(r, p);
	r->id = id;
	snprintf(r->name, sizeof(r->name), "r%u", id);
	r->priority = priority;
	r->preempt = true;
	r->sets = room->sets;
	for (unsigned int i = 0; i < r->key_count; i++)
		room->keys[i] = r->keys[i];
	r->keys = room->keys;
	if (p == ROUTER_CARP)
		record_add_key(r, 0, "love");
	record_add_set(r, 1, group, 4);
	return r;
}

struct router_set *record_add_set(struct router *r, int link, uint16_t group, uint8_t family)
{
	struct record_room *room = room_of(r);
	struct router_set *s = &room->sets[r->set_count];
	struct router_address *a = room->addresses[r->set_count++];

	s->addresses = a;
	s->group = group;
	s->family = family;
	s->address_count = 1;
	snprintf(s->ifname, sizeof(s->ifname), "lan%d", link);
	if (family == 4)
		a[0] = (struct router_address){ { 4, { 10, 0, (uint8_t)link, 200 } }, 24 };
	else
		a[0] = (struct router_address){ { 6, { 0xfe, 0x80, [13] = (uint8_t)link, 0, 200 } },
						64 };
	a[0].ip.octet[family == 4 ? 3 : 15] = (uint8_t)(200 + group % 50);
	return s;
}

void record_add_key(struct router *r, uint32_t id, const char *secret)
{
	room_of(r)->keys[r->key_count++] = (struct router_key){ id, secret };
}

static void *record_alloc(void *ctx, size_t size)
{
	return calloc(1, size);
}

static void record_free(void *ctx, void *p)
{
	free(p);
}

static const struct mem record_mem = { record_alloc, record_free, NULL };

int host_try(struct host *h, const struct router *r, struct error *e)
{
	const struct router *held;
	struct error checked;
	int result;

	if (router_check(r, &checked) != 0)
		fail_msg("record of the test: %s", checked.message);
	held = router_record_new(r, &record_mem);
	result = elect_core_set(h->core, held, rig_now, e);
	router_release(held);
	return result;
}

void host_set(struct host *h, const struct router *r)
{
	struct error e;

	if (host_try(h, r, &e) != 0)
		fail_msg("%s", e.message);
}

/* --- LANs ------------------------------------------------------------------------------------ */

/* A unicast payload as the kernel would put it on the wire. */
static size_t frame_of_payload(const struct host *h, const struct order *o, uint8_t *frame)
{
	struct writer w = writer_of(frame, RIG_FRAME_MAX);
	struct eth eth = { .to = { { 0x0e } }, .from = { { 0x0e, 1 } }, .type = ETH_TYPE_IPV4 };
	struct ipv4 ip = { .payload_len = (uint16_t)o->len,
			   .ttl = 255,
			   .protocol = IP_PROTOCOL_VRRP };
	struct ip from = host_ip(h, o->ifindex, 4);

	memcpy(ip.from, from.octet, 4);
	memcpy(ip.to, o->peer.octet, 4);
	eth_encode(&w, &eth);
	ipv4_encode(&w, &ip);
	write_bytes(&w, o->frame, o->len);
	assert_false(w.failed);
	return writer_used(&w);
}

static void give(struct host *from, const struct order *o, struct host *to)
{
	uint8_t frame[RIG_FRAME_MAX];
	struct ip own;
	size_t len;

	if (!to->plugged[o->ifindex] || !from->plugged[o->ifindex])
		return;
	if (o->kind == ORDER_SEND) {
		elect_core_frame(to->core, o->ifindex, o->frame, o->len, 0, rig_now);
	} else {
		own = host_ip(to, o->ifindex, 4);
		if (!ip_equal(&own, &o->peer))
			return;
		len = frame_of_payload(from, o, frame);
		elect_core_frame(to->core, o->ifindex, frame, len, 0, rig_now);
	}
	elect_core_flush(to->core);
}

void lan_deliver(struct host **hosts, unsigned int count)
{
	bool any = true;

	for (unsigned int round = 0; any; round++) {
		any = false;
		assert_true(round < 100);
		for (unsigned int i = 0; i < count; i++) {
			while (hosts[i]->delivered < hosts[i]->count) {
				struct order o = hosts[i]->orders[hosts[i]->delivered++];

				if (o.kind != ORDER_SEND && o.kind != ORDER_SEND_TO)
					continue;
				any = true;
				for (unsigned int k = 0; k < count; k++)
					if (k != i)
						give(hosts[i], &o, hosts[k]);
			}
		}
	}
}

void lan_run(struct host **hosts, unsigned int count, span_t span)
{
	mono_t end = mono_after(rig_now, span);

	lan_deliver(hosts, count);
	for (;;) {
		mono_t next = MONO_NEVER;

		for (unsigned int i = 0; i < count; i++) {
			mono_t at = elect_core_next_expiry(hosts[i]->core);

			if (at.ns < next.ns)
				next = at;
		}
		if (next.ns > end.ns)
			break;
		if (next.ns > rig_now.ns)
			rig_now = next;
		for (unsigned int i = 0; i < count; i++)
			if (mono_due(elect_core_next_expiry(hosts[i]->core), rig_now))
				elect_core_time(hosts[i]->core, rig_now);
		lan_deliver(hosts, count);
		for (unsigned int i = 0; i < count; i++)
			if (hosts[i]->count > RIG_ORDERS_MAX / 2)
				host_forget(hosts[i]);
	}
	rig_now = end;
}

/* --- frames made by hand --------------------------------------------------------------------- */

static uint8_t address_sent[4];

struct vrrp vrrp_frame(uint8_t version, uint8_t group, uint8_t priority)
{
	uint8_t address[4] = { 10, 0, 1, (uint8_t)(200 + group % 50) };

	memcpy(address_sent, address, 4);
	return (struct vrrp){
		.version = version,
		.group = group,
		.priority = priority,
		.interval_cs = 100,
		.address_count = 1,
		.addresses = address_sent,
	};
}

/* Ethernet and IPv4 around a payload. */
static enum verdict hear_payload(struct host *h, unsigned int from, const uint8_t to[4],
				 uint8_t protocol, uint8_t ttl, const void *payload, size_t len)
{
	uint8_t frame[RIG_FRAME_MAX];
	struct writer w = writer_of(frame, sizeof(frame));
	struct eth eth = { .from = { { 0x0e, 0, 0, 0, 1, (uint8_t)from } }, .type = ETH_TYPE_IPV4 };
	struct ipv4 ip = { .payload_len = (uint16_t)len,
			   .ttl = hear_ttl ? hear_ttl : ttl,
			   .protocol = protocol,
			   .from = { 10, 0, 1, (uint8_t)from } };

	memcpy(ip.to, to, 4);
	eth.to = hear_unicast ? (vmac_mac_t){ { 0x0e } }
			      : (vmac_mac_t){ { 1, 0, 0x5e, to[1], to[2], to[3] } };
	eth_encode(&w, &eth);
	ipv4_encode(&w, &ip);
	write_bytes(&w, payload, len);
	assert_false(w.failed);
	return hear_raw(h, frame, writer_used(&w));
}

enum verdict hear_raw(struct host *h, const void *frame, size_t len)
{
	enum verdict v;

	v = elect_core_frame(h->core, hear_link ? hear_link : 1, frame, len, 0, rig_now);
	if (!hear_unflushed)
		elect_core_flush(h->core);
	return v;
}

static void destination(const struct host *h, const uint8_t group[4], uint8_t ret[4])
{
	struct ip own = host_ip(h, 1, 4);

	memcpy(ret, hear_unicast ? own.octet : group, 4);
}

enum verdict hear_vrrp(struct host *h, unsigned int from, struct vrrp *v, const char *hmac_key,
		       uint8_t key_id, uint64_t sequence)
{
	static const uint8_t group[4] = VRRP_GROUP_IPV4;
	struct vrrp_path path = { .family = 4, .from = { 10, 0, 1, (uint8_t)from } };
	uint8_t payload[RIG_FRAME_MAX], trailer[VRRP_HMAC_LEN];
	struct writer w = writer_of(payload, sizeof(payload));

	destination(h, group, path.to);
	vrrp_encode(&w, &path, v, NULL, 0);
	if (hmac_key) {
		vrrp_hmac_sign(&path, payload, writer_used(&w), key_id, sequence, hmac_key,
			       strlen(hmac_key), trailer);
		write_bytes(&w, trailer, sizeof(trailer));
	}
	assert_false(w.failed);
	return hear_payload(h, from, path.to, IP_PROTOCOL_VRRP, VRRP_TTL, payload, writer_used(&w));
}

enum verdict hear_carp(struct host *h, unsigned int from, struct carp *v, const char *key)
{
	static const uint8_t group[4] = VRRP_GROUP_IPV4;
	struct vrrp_path path = { .family = 4, .from = { 10, 0, 1, (uint8_t)from } };
	uint8_t payload[CARP_LEN], address[4] = { 10, 0, 1, (uint8_t)(200 + v->group % 50) };
	struct writer w = writer_of(payload, sizeof(payload));

	destination(h, group, path.to);
	carp_sign(v, key, 4, address, 1);
	carp_encode(&w, &path, v);
	assert_false(w.failed);
	return hear_payload(h, from, path.to, IP_PROTOCOL_VRRP, VRRP_TTL, payload, writer_used(&w));
}

enum verdict hear_hsrp(struct host *h, unsigned int from, struct hsrp *v, const char *key)
{
	static const uint8_t group1[4] = HSRP1_GROUP_IPV4, group2[4] = HSRP2_GROUP_IPV4;
	uint8_t payload[HSRP_LEN_MAX], datagram[HSRP_LEN_MAX + UDP_HEADER_LEN], to[4];
	struct writer p = writer_of(payload, sizeof(payload));
	struct writer w = writer_of(datagram, sizeof(datagram));
	struct udp udp = { .from = HSRP_PORT, .to = HSRP_PORT };
	struct ipv4 ip = { .from = { 10, 0, 1, (uint8_t)from } };

	destination(h, v->version == 1 ? group1 : group2, to);
	hsrp_encode(&p, v, key);
	udp.payload_len = (uint16_t)writer_used(&p);
	memcpy(ip.to, to, 4);
	udp4_encode(&w, &ip, &udp, payload);
	assert_false(p.failed || w.failed);
	return hear_payload(h, from, to, IP_PROTOCOL_UDP, HSRP_TTL, datagram, writer_used(&w));
}
