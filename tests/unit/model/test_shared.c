#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "shared_case.h"

static struct shared_case one, other;

/* --- memory that counts, and runs out -------------------------------------------------------- */

static long blocks, left = -1;
static size_t asked;

static void *count_alloc(void *ctx, size_t size)
{
	if (left == 0)
		return NULL;
	left -= left > 0;
	blocks++;
	asked = size;
	return calloc(1, size);
}

static void count_free(void *ctx, void *p)
{
	blocks -= p != NULL;
	free(p);
}

static const struct mem mem = { count_alloc, count_free, NULL };

/* --- uuids ----------------------------------------------------------------------------------- */

static void uuids_lead_back(void **state)
{
	char text[UUID_TEXT_MAX];
	struct uuid u, v;

	assert_int_equal(uuid_parse("00112233-4455-6677-8899-aAbBcCdDeEfF", &u), 0);
	assert_int_equal(u.octet[0], 0);
	assert_int_equal(u.octet[4], 0x44);
	assert_int_equal(u.octet[15], 0xff);
	assert_string_equal(uuid_format(&u, text), "00112233-4455-6677-8899-aabbccddeeff");
	for (uint64_t seed = 0; seed < 1000; seed++) {
		one.state = seed;
		case_uuid(&one, &u, true);
		assert_int_equal(uuid_parse(uuid_format(&u, text), &v), 0);
		assert_true(uuid_equal(&u, &v));
		assert_int_equal(strlen(text), UUID_TEXT_MAX - 1);
	}
	assert_true(uuid_is_none(&(struct uuid){ 0 }));
	assert_false(uuid_is_none(&(struct uuid){ .octet = { [15] = 1 } }));
}

static void what_is_no_uuid(void **state)
{
	static const char *const bad[] = {
		"",
		"0",
		"00112233-4455-6677-8899-aabbccddeef",
		"00112233-4455-6677-8899-aabbccddeeff0",
		"00112233-4455-6677-8899-aabbccddeeff ",
		"00112233445566778899aabbccddeeff",
		"0011223-34455-6677-8899-aabbccddeeff",
		"00112233-4455-6677-8899_aabbccddeeff",
		"g0112233-4455-6677-8899-aabbccddeeff",
		"00112233-4455-6677-8899-aabbccddeef-",
		"{00112233-4455-6677-8899-aabbccddeeff}",
	};
	struct uuid u = { .octet = { 7 } };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(uuid_parse(bad[i], &u), -EINVAL);
		assert_int_equal(u.octet[0], 7);
	}
}

/* --- names ----------------------------------------------------------------------------------- */

static void names_lead_back(void **state)
{
	for (int i = 0; i < SHARED_KIND_COUNT; i++)
		assert_int_equal(shared_kind_from_name(shared_kind_name(i)), i);
	for (int i = 0; i < HOST_STATE_COUNT; i++)
		assert_int_equal(host_state_from_name(host_state_name(i)), i);
	for (int i = 0; i < SHARED_VMAC_STATE_COUNT; i++)
		assert_int_equal(shared_vmac_state_from_name(shared_vmac_state_name(i)), i);
	for (int i = 0; i < ASK_WHY_COUNT; i++)
		assert_int_equal(ask_why_from_name(ask_why_name(i)), i);
	assert_int_equal(shared_kind_from_name("Meta"), -EINVAL);
	assert_int_equal(host_state_from_name(""), -EINVAL);
	assert_int_equal(shared_vmac_state_from_name("held "), -EINVAL);
	assert_int_equal(ask_why_from_name("forc"), -EINVAL);
	assert_string_equal(shared_kind_name(SHARED_IDENTITY), "identity");
}

/* --- keys ------------------------------------------------------------------------------------ */

static void equal_keys_hash_alike_and_others_do_not(void **state)
{
	for (int kind = 0; kind < SHARED_KIND_COUNT; kind++) {
		for (uint64_t seed = 0; seed < 200; seed++) {
			case_shared(&one, kind, seed);
			case_shared(&other, kind, seed);
			assert_true(shared_same_key(&one.r, &other.r));
			assert_int_equal(shared_key_hash(&one.r), shared_key_hash(&other.r));
			case_shared(&other, kind, seed + 1000);
			/* There is one META. */
			assert_int_equal(shared_same_key(&one.r, &other.r), kind == SHARED_META);
			if (kind != SHARED_META)
				assert_true(shared_key_hash(&one.r) != shared_key_hash(&other.r));
		}
		if (kind > 0) {
			case_shared(&one, kind, 1);
			case_shared(&other, kind - 1, 1);
			assert_false(shared_same_key(&one.r, &other.r));
		}
	}
}

/* An octet here and an octet there: what belongs to the key, and what does not. */
static void only_the_key_is_the_key(void **state)
{
	struct shared_record a = { .kind = SHARED_BLOCK, .block = { .pool = "p", .number = 1 } };
	struct shared_record b = a;

	b.block.host.octet[3] = 1;
	b.revision = 9;
	assert_true(shared_same_key(&a, &b));
	assert_false(shared_equal(&a, &b));
	b = a;
	b.block.number = 2;
	assert_false(shared_same_key(&a, &b));
	b = a;
	b.block.pool[0] = 'q';
	assert_false(shared_same_key(&a, &b));

	a = (struct shared_record){ .kind = SHARED_IMAGE, .image = { .pool = "p" } };
	b = a;
	b.image.host.octet[0] = 1;
	assert_true(shared_same_key(&a, &b));
	/* Of no pool, every host has its own. */
	a.image.pool[0] = b.image.pool[0] = '\0';
	assert_false(shared_same_key(&a, &b));
	assert_true(shared_key_hash(&a) != shared_key_hash(&b));

	a = (struct shared_record){ .kind = SHARED_IDENTITY,
				    .identity = { .pool = "p", .identity = "ab" } };
	b = a;
	memcpy(b.identity.pool, "pa", 3);
	memcpy(b.identity.identity, "b", 2);
	assert_false(shared_same_key(&a, &b));
	assert_true(shared_key_hash(&a) != shared_key_hash(&b));
}

/* --- equality -------------------------------------------------------------------------------- */

static void every_kind_equals_itself(void **state)
{
	for (int kind = 0; kind < SHARED_KIND_COUNT; kind++) {
		for (uint64_t seed = 0; seed < 200; seed++) {
			case_shared(&one, kind, seed);
			case_shared(&other, kind, seed);
			other.r.revision = 77;
			assert_true(shared_equal(&one.r, &other.r));
			case_shared(&other, kind, seed + 1000);
			assert_false(shared_equal(&one.r, &other.r));
		}
	}
}

#define DIFFERS(kind, ...)                                                                         \
	do {                                                                                       \
		case_shared(&one, kind, 5);                                                        \
		case_shared(&other, kind, 5);                                                      \
		assert_true(shared_equal(&one.r, &other.r));                                       \
		{                                                                                  \
			struct shared_record *r = &other.r;                                        \
			(void)r;                                                                   \
			__VA_ARGS__;                                                               \
		}                                                                                  \
		assert_false(shared_equal(&one.r, &other.r));                                      \
	} while (0)

static void each_member_counts(void **state)
{
	DIFFERS(SHARED_META, r->meta.format++);
	DIFFERS(SHARED_META, r->meta.cluster.octet[15] ^= 1);
	DIFFERS(SHARED_META, r->meta.importing = !r->meta.importing);
	DIFFERS(SHARED_HOST, r->host.number ^= 1);
	DIFFERS(SHARED_HOST, r->host.key_check[0] ^= 1);
	DIFFERS(SHARED_HOST, r->host.state = (r->host.state + 1) % HOST_STATE_COUNT);
	DIFFERS(SHARED_HOST, r->host.name[0] = 'm');
	DIFFERS(SHARED_HOST, r->host.address = (struct ip){ .family = 4, .octet = { 1 } });
	DIFFERS(SHARED_HOST, r->host.tunnel_port ^= 1);
	DIFFERS(SHARED_HOST, memcpy(r->host.version, "~", 2));
	DIFFERS(SHARED_HOST, r->host.incarnation ^= 1);
	DIFFERS(SHARED_HOST, memcpy(r->host.fenced_by, "~", 2));
	DIFFERS(SHARED_ALIVE, r->alive.incarnation ^= 1);
	DIFFERS(SHARED_SEGMENT, r->segment.vlan ^= 1);
	DIFFERS(SHARED_SEGMENT, r->segment.number ^= 1);
	DIFFERS(SHARED_POOL, r->pool.segment[0] = 'm');
	DIFFERS(SHARED_POOL, r->pool.block_size *= 2);
	DIFFERS(SHARED_POOL, r->pool.pool.range_count--);
	DIFFERS(SHARED_POOL, r->pool.pool.ranges[0].last.octet[5] ^= 1);
	DIFFERS(SHARED_POOL, r->pool.pool.exclude_count ^= 1);
	DIFFERS(SHARED_POOL, r->pool.pool.key[15] ^= 1);
	DIFFERS(SHARED_POOL, r->pool.pool.quarantine_ms ^= 1);
	DIFFERS(SHARED_POOL, r->pool.pool.limit ^= 1);
	DIFFERS(SHARED_BLOCK, r->block.host.octet[0] ^= 1);
	DIFFERS(SHARED_BLOCK, r->block.request.octet[0] ^= 1);
	DIFFERS(SHARED_VMAC, r->vmac.state ^= 1);
	DIFFERS(SHARED_VMAC, r->vmac.kind ^= 1);
	DIFFERS(SHARED_VMAC, r->vmac.origin ^= 1);
	DIFFERS(SHARED_VMAC, r->vmac.epoch ^= 1);
	DIFFERS(SHARED_VMAC, r->vmac.holder.octet[0] ^= 2);
	DIFFERS(SHARED_VMAC, r->vmac.to.octet[0] ^= 2);
	DIFFERS(SHARED_VMAC, r->vmac.move.octet[0] ^= 2);
	DIFFERS(SHARED_VMAC, r->vmac.request.octet[0] ^= 2);
	DIFFERS(SHARED_VMAC, r->vmac.lifetime_ms ^= 1);
	DIFFERS(SHARED_VMAC, r->vmac.quarantine_ms ^= 1);
	DIFFERS(SHARED_VMAC, r->vmac.pool = "other");
	DIFFERS(SHARED_VMAC, r->vmac.name = "other");
	DIFFERS(SHARED_VMAC, r->vmac.owner = "~");
	DIFFERS(SHARED_VMAC, r->vmac.tenant = "~");
	DIFFERS(SHARED_VMAC, r->vmac.note = "~");
	DIFFERS(SHARED_VMAC, r->vmac.ip_count ^= 1; r->vmac.ips = one.ips);
	DIFFERS(SHARED_VMAC, r->vmac.ttl_ms ^= 1);
	DIFFERS(SHARED_IDENTITY, r->identity.address.octet[5] ^= 1);
	DIFFERS(SHARED_IDENTITY, r->identity.host.octet[0] ^= 2);
	DIFFERS(SHARED_IDENTITY, r->identity.request.octet[0] ^= 2);
	DIFFERS(SHARED_ASK, r->ask.why ^= 1);
	DIFFERS(SHARED_ASK, r->ask.host.octet[0] ^= 2);
	DIFFERS(SHARED_ASK, r->ask.move.octet[0] ^= 2);
	DIFFERS(SHARED_ASK, r->ask.lifetime_ms ^= 1);
	DIFFERS(SHARED_ASK, r->ask.refused = "~");
	DIFFERS(SHARED_CLUSTER, r->cluster.segment = "other");
	DIFFERS(SHARED_CLUSTER, other.cluster.c.generation ^= 1);
	DIFFERS(SHARED_CLUSTER, other.cluster.c.changed.ms ^= 1);
	DIFFERS(SHARED_CLUSTER, other.cluster.c.rise ^= 1);
	DIFFERS(SHARED_IMAGE, r->image.segment[0] = 'm');
	DIFFERS(SHARED_IMAGE, r->image.host.octet[0] ^= 2);
	DIFFERS(SHARED_IMAGE, r->image.count--);
	DIFFERS(SHARED_IMAGE, other.vmacs[0].epoch ^= 1);
	DIFFERS(SHARED_IMAGE, other.vmacs[0].until.ms ^= 1);
	DIFFERS(SHARED_IMAGE, other.vmacs[0].name = "other");
}

static void what_is_the_readers_own_does_not(void **state)
{
	case_shared(&one, SHARED_POOL, 5);
	case_shared(&other, SHARED_POOL, 5);
	other.r.pool.pool.id = 7;
	other.r.pool.pool.segment = 7;
	other.r.pool.pool.cursor = 7;
	other.r.pool.pool.created.ms = 7;
	assert_true(shared_equal(&one.r, &other.r));
	case_shared(&one, SHARED_CLUSTER, 5);
	case_shared(&other, SHARED_CLUSTER, 5);
	other.cluster.c.id = other.cluster.c.segment = 7;
	other.cluster.c.created.ms = 7;
	assert_true(shared_equal(&one.r, &other.r));
	case_shared(&one, SHARED_IMAGE, 5);
	case_shared(&other, SHARED_IMAGE, 5);
	assert_true(one.r.image.count > 0);
	other.vmacs[0].segment = other.vmacs[0].pool = other.vmacs[0].port = 7;
	other.vmacs[0].row = 7;
	assert_true(shared_equal(&one.r, &other.r));
}

/* --- copies ---------------------------------------------------------------------------------- */

static bool inside(const void *p, const void *block)
{
	return (const char *)p >= (const char *)block &&
	       (const char *)p < (const char *)block + asked;
}

static void expect_inside(const struct shared_record *copy)
{
	if (copy->kind == SHARED_VMAC) {
		const struct shared_vmac *v = &copy->vmac;

		assert_true(inside(v->segment, copy) && inside(v->pool, copy));
		assert_true(inside(v->name, copy) && inside(v->owner, copy));
		assert_true(inside(v->tenant, copy) && inside(v->note, copy));
		assert_true(v->ip_count == 0 ? !v->ips : inside(v->ips, copy));
	}
	if (copy->kind == SHARED_ASK)
		assert_true(inside(copy->ask.segment, copy) && inside(copy->ask.refused, copy));
	if (copy->kind == SHARED_CLUSTER) {
		const struct cluster *c = copy->cluster.cluster;

		assert_true(inside(c, copy) && inside(copy->cluster.segment, copy));
		assert_true(inside(c->note, copy) && inside(c->check_target, copy));
		assert_true(inside(c->faces, copy));
		assert_true(c->member_count == 0 ? !c->members : inside(c->members, copy));
		assert_true(c->rule_count == 0 ? !c->rules : inside(c->rules, copy));
	}
	if (copy->kind != SHARED_IMAGE)
		return;
	assert_true(copy->image.count == 0 ? !copy->image.vmacs : inside(copy->image.vmacs, copy));
	for (size_t i = 0; i < copy->image.count; i++) {
		const struct vmac *v = &copy->image.vmacs[i];

		assert_true(inside(v->name, copy) && inside(v->owner, copy));
		assert_true(inside(v->tenant, copy) && inside(v->note, copy));
		assert_true(v->ip_count == 0 ? !v->ips : inside(v->ips, copy));
	}
}

static void a_copy_stands_alone(void **state)
{
	for (int kind = 0; kind < SHARED_KIND_COUNT; kind++) {
		for (uint64_t seed = 0; seed < 100; seed++) {
			struct shared_record *copy;

			case_shared(&one, kind, seed);
			case_shared(&other, kind, seed);
			one.r.revision = seed;
			copy = shared_copy(&mem, &one.r);
			expect_inside(copy);
			memset(&one, 0xee, sizeof(one));
			assert_true(shared_equal(copy, &other.r));
			assert_int_equal(copy->revision, seed);
			mem_free(&mem, copy);
		}
	}
	assert_int_equal(blocks, 0);
}

static void no_memory_no_copy(void **state)
{
	left = 0;
	for (int kind = 0; kind < SHARED_KIND_COUNT; kind++) {
		case_shared(&one, kind, 3);
		assert_null(shared_copy(&mem, &one.r));
	}
	left = -1;
	assert_int_equal(blocks, 0);
}

static void a_bare_key_is_copied_with_empty_texts(void **state)
{
	struct shared_record r = { .kind = SHARED_VMAC, .vmac.segment = "lan" };
	struct shared_record *copy = shared_copy(&mem, &r);

	assert_string_equal(copy->vmac.segment, "lan");
	assert_string_equal(copy->vmac.pool, "");
	assert_string_equal(copy->vmac.name, "");
	assert_string_equal(copy->vmac.owner, "");
	assert_string_equal(copy->vmac.tenant, "");
	assert_string_equal(copy->vmac.note, "");
	assert_null(copy->vmac.ips);
	mem_free(&mem, copy);
	r = (struct shared_record){ .kind = SHARED_CLUSTER,
				    .cluster.cluster = &(struct cluster){ .name = "web" } };
	copy = shared_copy(&mem, &r);
	assert_string_equal(copy->cluster.cluster->name, "web");
	assert_string_equal(copy->cluster.cluster->note, "");
	assert_string_equal(copy->cluster.cluster->check_target, "");
	assert_string_equal(copy->cluster.segment, "");
	mem_free(&mem, copy);
	r = (struct shared_record){ .kind = SHARED_ASK, .ask.segment = "lan" };
	copy = shared_copy(&mem, &r);
	assert_string_equal(copy->ask.refused, "");
	mem_free(&mem, copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uuids_lead_back),
		cmocka_unit_test(what_is_no_uuid),
		cmocka_unit_test(names_lead_back),
		cmocka_unit_test(equal_keys_hash_alike_and_others_do_not),
		cmocka_unit_test(only_the_key_is_the_key),
		cmocka_unit_test(every_kind_equals_itself),
		cmocka_unit_test(each_member_counts),
		cmocka_unit_test(what_is_the_readers_own_does_not),
		cmocka_unit_test(a_copy_stands_alone),
		cmocka_unit_test(no_memory_no_copy),
		cmocka_unit_test(a_bare_key_is_copied_with_empty_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
