/* Clusters that are everybody's: agreed upon, told, deleted while a host was away, lost by a
 * backup; and their faces, whose anchors are told behind the fact. */
#include "model/cluster.h"
#include "steps.h"

struct said {
	int code;
	char message[ERROR_TEXT_MAX];
};

static void answered(void *ctx, const struct shared_record *r, const struct error *error)
{
	struct said *s = ctx;

	s->code = error ? (int)error->code : 0;
	snprintf(s->message, sizeof(s->message), "%s", error ? error->message : "");
}

/* --- records --------------------------------------------------------------------------------- */

struct web {
	struct cluster c;
	struct shared_record r;
	vmac_mac_t face;
	struct ip address;
	struct cluster_member members[2];
};

static void web_init(struct web *w, const char *name, int face, unsigned int host_octet)
{
	memset(w, 0, sizeof(*w));
	cluster_defaults(&w->c);
	snprintf(w->c.name, sizeof(w->c.name), "%s", name);
	w->face = rig_name(face).address;
	w->address = (struct ip){ .family = 4, .octet = { 10, 0, 0, (uint8_t)host_octet } };
	w->members[0] = (struct cluster_member){ .id = 1, .weight = 100 };
	w->members[1] = (struct cluster_member){ .id = 2, .weight = 100 };
	w->members[0].address = vmac_mac_from_u64(0x120000000001);
	w->members[1].address = vmac_mac_from_u64(0x120000000002);
	w->c.faces = &w->face;
	w->c.addresses = &w->address;
	w->c.members = w->members;
	w->c.face_count = w->c.address_count = 1;
	w->c.member_count = 2;
	w->c.generation = 1;
	w->c.key[0] = (uint8_t)face;
	w->r = (struct shared_record){ .kind = SHARED_CLUSTER,
				       .cluster = { .cluster = &w->c, .segment = "lan" } };
}

static int agree(unsigned int host, const struct web *w)
{
	struct said said = { -1, "" };

	fleet_agree(rig.hosts[host].fleet, &w->r, answered, &said, rig.now);
	rig_run(&rig, 1000);
	assert_int_not_equal(said.code, -1);
	return said.code;
}

static int retire(unsigned int host, const struct shared_record *r)
{
	struct said said = { -1, "" };

	fleet_retire(rig.hosts[host].fleet, r, answered, &said, rig.now);
	rig_run(&rig, 1500);
	assert_int_not_equal(said.code, -1);
	return said.code;
}

/* What that host's engine was told of it; NULL: nothing, or that it is gone. */
static const struct cluster *told(unsigned int host, const struct web *w)
{
	for (int i = 0; i < RIG_CLUSTERS; i++)
		if (rig.hosts[host].clusters[i] &&
		    shared_same_key(rig.hosts[host].clusters[i], &w->r))
			return rig.hosts[host].clusters[i]->cluster.cluster;
	return NULL;
}

static bool kept(unsigned int host, const struct web *w)
{
	for (int i = 0; i < RIG_RECORDS; i++)
		if (rig.hosts[host].kept[i] && shared_same_key(rig.hosts[host].kept[i], &w->r))
			return true;
	return false;
}

static void agreed_upon(void **state)
{
	struct shared_record lan = { .kind = SHARED_SEGMENT, .segment = { .name = "lan" } };
	struct web web, other;
	unsigned int before;

	start(2);
	web_init(&web, "web", 200, 100);
	assert_int_equal(agree(0, &web), 0);
	for (unsigned int i = 0; i < 2; i++) {
		assert_true(cluster_equal(told(i, &web), &web.c));
		assert_int_equal(told(i, &web)->generation, 1);
		assert_true(kept(i, &web));
	}
	/* The same again is what is. */
	before = rig.hosts[0].clusters_told;
	assert_int_equal(agree(0, &web), 0);
	assert_int_equal(agree(1, &web), 0);
	assert_int_equal(rig.hosts[0].clusters_told, before);
	/* Another of that name, and one that skips or repeats a generation. */
	web_init(&other, "web", 201, 101);
	assert_int_equal(agree(1, &other), ERROR_CONFLICT);
	other = web;
	other.c.generation = 2;
	other.c.faces = &other.face;
	other.c.members = other.members;
	other.members[1].weight = 50;
	other.r.cluster.cluster = &other.c;
	assert_int_equal(agree(1, &other), 0);
	assert_int_equal(told(0, &web)->members[1].weight, 50);
	other.members[1].weight = 60;
	assert_int_equal(agree(0, &other), ERROR_CONFLICT);
	other.c.generation = 4;
	assert_int_equal(agree(0, &other), ERROR_CONFLICT);
	other.c.generation = 3;
	other.r.cluster.segment = "dmz";
	assert_int_equal(agree(0, &other), ERROR_CONFLICT);
	other.r.cluster.segment = "lan";
	other.c.key[0]++;
	assert_int_equal(agree(0, &other), ERROR_CONFLICT);
	assert_int_equal(told(1, &web)->generation, 2);
	/* The segment stays while the cluster is in it. */
	assert_int_equal(retire(0, &(struct shared_record){ .kind = SHARED_SEGMENT,
							    .segment = { .name = "lan" } }),
			 ERROR_WRONG_STATE);
	assert_non_null(rig_find(&rig, &lan));
	assert_int_equal(retire(1, &web.r), 0);
	assert_null(told(0, &web));
	assert_null(told(1, &web));
	assert_false(kept(0, &web) || kept(1, &web));
	assert_int_equal(retire(0, &web.r), 0);
	other.c.generation = 5;
	assert_int_equal(agree(0, &other), ERROR_CONFLICT);
	rig_done(&rig);
}

static void what_clusters_have_is_theirs_alone(void **state)
{
	struct said one = { -1, "" }, two = { -1, "" };
	struct web a, b;

	start(2);
	web_init(&a, "a", 200, 100);
	assert_int_equal(agree(0, &a), 0);
	web_init(&b, "b", 200, 101);
	assert_int_equal(agree(1, &b), ERROR_ADDRESS_IN_USE);
	web_init(&b, "b", 201, 100);
	assert_int_equal(agree(1, &b), ERROR_ADDRESS_IN_USE);
	b.r.cluster.segment = "dmz";
	assert_int_equal(agree(1, &b), 0);
	/* At the same time: one of both. */
	web_init(&a, "c", 202, 110);
	web_init(&b, "d", 203, 110);
	fleet_agree(rig.hosts[0].fleet, &a.r, answered, &one, rig.now);
	fleet_agree(rig.hosts[1].fleet, &b.r, answered, &two, rig.now);
	rig_run(&rig, 2000);
	assert_true((one.code == 0) != (two.code == 0));
	assert_int_equal(one.code + two.code, ERROR_ADDRESS_IN_USE);
	assert_non_null(strstr(one.code ? one.message : two.message, "has one of its addresses"));
	/* What comes later may collide too. */
	web_init(&a, "e", 204, 120);
	assert_int_equal(agree(0, &a), 0);
	a.c.generation = 2;
	a.address.octet[3] = 110;
	assert_int_equal(agree(0, &a), ERROR_ADDRESS_IN_USE);
	a.address.octet[3] = 121;
	assert_int_equal(agree(0, &a), 0);
	rig_done(&rig);
}

static void out_of_reach(void **state)
{
	struct said said = { -1, "" };
	struct web w;

	start(2);
	web_init(&w, "web", 200, 100);
	rig_cut(&rig, 0, true);
	fleet_agree(rig.hosts[0].fleet, &w.r, answered, &said, rig.now);
	assert_int_equal(said.code, ERROR_REGISTRY_UNREACHABLE);
	rig_cut(&rig, 0, false);
	rig_run(&rig, 1000);
	/* Done, told, and its answer lost: it is what was wanted. */
	rig.hosts[0].answer_lost = true;
	said.code = -1;
	fleet_agree(rig.hosts[0].fleet, &w.r, answered, &said, rig.now);
	rig_run(&rig, 1000);
	assert_int_equal(said.code, 0);
	rig.hosts[0].answer_lost = false;
	assert_non_null(told(1, &w));
	rig_done(&rig);
}

/* --- restarts -------------------------------------------------------------------------------- */

static void while_a_host_was_away(void **state)
{
	struct web a, b, c;

	start(2);
	web_init(&a, "a", 200, 100);
	web_init(&b, "b", 201, 101);
	web_init(&c, "c", 202, 102);
	assert_int_equal(agree(0, &a), 0);
	assert_int_equal(agree(0, &b), 0);
	rig_down(&rig, 1);
	assert_int_equal(retire(0, &a.r), 0);
	b.c.generation = 2;
	b.members[0].weight = 7;
	assert_int_equal(agree(0, &b), 0);
	assert_int_equal(agree(0, &c), 0);
	/* With nobody in reach it goes by what it knew. */
	rig.hosts[1].cut = true;
	rig_up(&rig, 1);
	rig_run(&rig, 5000);
	assert_non_null(told(1, &a));
	assert_int_equal(told(1, &b)->generation, 1);
	assert_null(told(1, &c));
	rig_cut(&rig, 1, false);
	rig_run(&rig, 3000);
	assert_null(told(1, &a));
	assert_false(kept(1, &a));
	assert_int_equal(told(1, &b)->members[0].weight, 7);
	assert_non_null(told(1, &c));
	/* And once more, from what is kept now. */
	rig_down(&rig, 1);
	rig.hosts[1].cut = true;
	rig_up(&rig, 1);
	assert_null(told(1, &a));
	assert_int_equal(told(1, &b)->generation, 2);
	rig_done(&rig);
}

/* Deleted and made anew under its name while a host was away: the old one ends first. */
static void made_anew(void **state)
{
	struct web old, new;
	unsigned int before;

	start(2);
	web_init(&old, "web", 200, 100);
	assert_int_equal(agree(0, &old), 0);
	rig_down(&rig, 1);
	assert_int_equal(retire(0, &old.r), 0);
	web_init(&new, "web", 201, 100);
	assert_int_equal(agree(0, &new), 0);
	before = rig.hosts[1].clusters_told;
	rig_up(&rig, 1);
	rig_run(&rig, 3000);
	assert_int_equal(told(1, &new)->key[0], 201);
	assert_int_equal(rig.hosts[1].clusters_told - before, 3); /* old, gone, new */
	rig_done(&rig);
}

static void an_old_backup(void **state)
{
	static struct shared_record *backup[RIG_RECORDS];
	struct web a, b;

	start(2);
	web_init(&a, "a", 200, 100);
	web_init(&b, "b", 201, 101);
	assert_int_equal(agree(0, &a), 0);
	rig_backup(&rig, backup);
	/* A host that comes back is what tells an old registry from a young one. */
	for (unsigned int i = 0; i < 2; i++) {
		rig_down(&rig, i);
		rig_up(&rig, i);
		rig_run(&rig, 3000);
	}
	a.c.generation = 2;
	a.members[0].weight = 9;
	assert_int_equal(agree(0, &a), 0);
	assert_int_equal(agree(0, &b), 0);
	rig_restore(&rig, backup);
	rig_drop_backup(&rig, backup);
	rig_run(&rig, 20000);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(told(i, &a)->generation, 2);
		assert_non_null(told(i, &b));
	}
	assert_int_equal(rig_find(&rig, &a.r)->cluster.cluster->generation, 2);
	assert_non_null(rig_find(&rig, &b.r));
	rig_done(&rig);
}

/* --- faces ----------------------------------------------------------------------------------- */

#define FACE 200 /* of no pool */

static void claimed(void *ctx, const struct shared_vmac *r, const struct error *error)
{
	*(int *)ctx = error ? (int)error->code : 0;
}

static void anchor(unsigned int host, uint64_t epoch)
{
	struct fleet_name n = rig_name(FACE);

	fleet_anchor(rig.hosts[host].fleet, &n, epoch, rig.now);
	rig_run(&rig, 100);
}

static bool is_anchor(unsigned int host, uint64_t epoch)
{
	const struct shared_vmac *r = rig_record(&rig, FACE);

	return r && r->kind == VMAC_CLUSTER && r->state == SHARED_HELD && r->epoch == epoch &&
	       uuid_equal(&r->holder, &rig.hosts[host].uuid);
}

static void start_faced(unsigned int hosts, struct web *w)
{
	struct shared_vmac v;
	int said = -1;

	start(hosts);
	v = wanted(FACE);
	v.kind = VMAC_CLUSTER;
	fleet_claim(rig.hosts[0].fleet, &v, NULL, claimed, &said, rig.now);
	rig_run(&rig, 1000);
	assert_int_equal(said, 0);
	rig_face(&rig, 0, FACE, 1);
	web_init(w, "web", FACE, 100);
	assert_int_equal(agree(0, w), 0);
	assert_true(is_anchor(0, 1) && rig_held(&rig, 0, FACE));
}

static void anchors(void **state)
{
	struct fleet_name n = rig_name(FACE);
	struct error e;
	struct web w;
	unsigned int low, high;

	start_faced(2, &w);
	anchor(1, 2);
	assert_true(is_anchor(1, 2) && rig_held(&rig, 1, FACE));
	assert_false(rig_held(&rig, 0, FACE));
	assert_int_equal(rig.hosts[0].places[FACE].v.state, VMAC_AWAY);
	assert_int_equal(rig.hosts[0].places[FACE].v.epoch, 2);
	/* An older one says nothing, nor does the same again. */
	anchor(0, 1);
	anchor(1, 2);
	assert_true(is_anchor(1, 2));
	anchor(0, 3);
	assert_true(is_anchor(0, 3) && rig_held(&rig, 0, FACE));
	assert_int_equal(rig.hosts[0].places[FACE].v.epoch, 3);
	assert_int_equal(rig.hosts[1].places[FACE].v.state, VMAC_AWAY);
	/* Again and again, without a plan: a face is never frozen, and nobody is alarmed. */
	for (uint64_t epoch = 4; epoch < 40; epoch++) {
		anchor(epoch % 2, epoch);
		assert_true(is_anchor(epoch % 2, epoch));
	}
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(rig.hosts[i].notes[FLEET_ALARM], 0);
		assert_int_equal(rig.hosts[i].notes[FLEET_MOVE], 0);
		assert_int_equal(rig.hosts[i].places[FACE].announced, 0);
	}
	/* Two at one epoch: the lower number, whoever comes first. */
	low = facts(0).number < facts(1).number ? 0 : 1;
	high = 1 - low;
	anchor(high, 50);
	anchor(low, 50);
	assert_true(is_anchor(low, 50));
	anchor(high, 50);
	assert_true(is_anchor(low, 50));
	assert_int_equal(fleet_hint(rig.hosts[high].fleet, MIGRATE_ACTIVATE, &n, 0, rig.now, &e),
			 -error_errno(ERROR_WRONG_STATE));
	assert_non_null(strstr(e.message, "cluster's face"));
	rig_done(&rig);
}

static void told_when_it_may_be(void **state)
{
	struct web w;

	start_faced(2, &w);
	rig_cut(&rig, 1, true);
	anchor(1, 5);
	rig_run(&rig, 5000);
	anchor(1, 7);
	assert_true(is_anchor(0, 1));
	rig_cut(&rig, 1, false);
	rig_run(&rig, 3000);
	assert_true(is_anchor(1, 7));
	/* Higher meanwhile. */
	rig_cut(&rig, 1, true);
	anchor(1, 8);
	anchor(0, 9);
	rig_cut(&rig, 1, false);
	rig_run(&rig, 3000);
	assert_true(is_anchor(0, 9));
	assert_int_equal(rig.hosts[1].places[FACE].v.state, VMAC_AWAY);
	/* Without a record, and without a cluster. */
	rig_put(&rig,
		&(struct shared_record){ .kind = SHARED_VMAC, .vmac = *rig_record(&rig, FACE) },
		true);
	rig_run(&rig, 1000);
	anchor(1, 10);
	assert_true(is_anchor(1, 10));
	assert_int_equal(retire(0, &w.r), 0);
	anchor(0, 11);
	assert_true(is_anchor(1, 10));
	/* Its anchor releases it; of no pool, it has no quarantine. */
	rig_release(&rig, 1, FACE);
	rig_run(&rig, 1000);
	assert_null(rig_record(&rig, FACE));
	rig_done(&rig);
}

static void forgotten_hosts_leave_faces(void **state)
{
	struct shared_record host = { .kind = SHARED_HOST };
	struct error e;
	struct web w;

	start_faced(3, &w);
	anchor(2, 2);
	assert_true(is_anchor(2, 2));
	rig_down(&rig, 2);
	host.host.uuid = rig.hosts[2].uuid;
	rig_put(&rig, &(struct shared_record){ .kind = SHARED_ALIVE, .alive.host = host.host.uuid },
		true);
	rig_run(&rig, 1000);
	assert_int_equal(fleet_host_state(rig.hosts[0].fleet, "kvm3", HOST_DEAD, "me", rig.now, &e),
			 0);
	rig_run(&rig, 1000);
	assert_int_equal(fleet_host_forget(rig.hosts[0].fleet, "kvm3", rig.now, &e), 0);
	rig_run(&rig, 120000);
	assert_null(rig_find(&rig, &host));
	assert_true(is_anchor(2, 2));
	anchor(1, 3);
	assert_true(is_anchor(1, 3));
	rig_done(&rig);
}

/* The cluster ends after its anchor was forgotten: the face does, too. */
static void faces_end_with_their_cluster(void **state)
{
	struct shared_record host = { .kind = SHARED_HOST };
	struct error e;
	struct web w;

	start_faced(3, &w);
	anchor(2, 2);
	rig_down(&rig, 2);
	host.host.uuid = rig.hosts[2].uuid;
	rig_put(&rig, &(struct shared_record){ .kind = SHARED_ALIVE, .alive.host = host.host.uuid },
		true);
	rig_run(&rig, 1000);
	fleet_host_state(rig.hosts[0].fleet, "kvm3", HOST_DEAD, "me", rig.now, &e);
	rig_run(&rig, 1000);
	fleet_host_forget(rig.hosts[0].fleet, "kvm3", rig.now, &e);
	rig_run(&rig, 120000);
	assert_null(rig_find(&rig, &host));
	assert_int_equal(retire(1, &w.r), 0);
	rig_run(&rig, 2000);
	assert_null(rig_record(&rig, FACE));
	rig_done(&rig);
}

/* Each allocation fails once, with those behind it: in the end all is as it was to be. */
static void short_of_memory(void **state)
{
	for (long fail_at = -1, end = 0; fail_at <= end; fail_at++) {
		struct web w, other;
		struct said said;
		int tries = 0;

		start_faced(2, &w);
		web_init(&other, "other", 201, 101);
		rig.allocs = 0;
		rig.fail_at = fail_at;
		do
			said.code = agree(0, &other);
		while (said.code == ERROR_NO_MEMORY && tries++ < 10);
		assert_int_equal(said.code, 0);
		w.c.generation = 2;
		w.members[0].weight = 3;
		do
			said.code = agree(1, &w);
		while (said.code == ERROR_NO_MEMORY && tries++ < 10);
		assert_int_equal(said.code, 0);
		anchor(1, 2);
		rig_down(&rig, 1);
		do
			said.code = retire(0, &other.r);
		while (said.code == ERROR_NO_MEMORY && tries++ < 10);
		assert_int_equal(said.code, 0);
		rig_up(&rig, 1);
		rig_run(&rig, 10000);
		if (fail_at < 0)
			end = rig.allocs;
		rig.fail_at = -1;
		for (unsigned int i = 0; i < 2; i++) {
			if (!told(i, &w) || told(i, &w)->generation != 2 || told(i, &other) ||
			    kept(i, &other) || !kept(i, &w))
				fail_msg("host %u with no memory for allocation %ld", i, fail_at);
		}
		if (!is_anchor(1, 2) || !rig_held(&rig, 1, FACE) || rig_held(&rig, 0, FACE))
			fail_msg("the anchor, with no memory for allocation %ld", fail_at);
		rig_done(&rig);
	}
}

/* --- under random schedules ------------------------------------------------------------------ */

#define RUNS  1500
#define STEPS 40

static void ignored(void *ctx, const struct shared_record *r, const struct error *error)
{
}

/* Somebody makes, changes or deletes one, by what that host was told of it last. */
static void change_one(unsigned int host, const char *name, int face)
{
	const struct cluster *is;
	struct web w;

	web_init(&w, name, face, (unsigned int)face);
	is = told(host, &w);
	if (is && rig_random(&rig) % 4 == 0) {
		fleet_retire(rig.hosts[host].fleet, &w.r, ignored, NULL, rig.now);
		return;
	}
	w.c.key[1] = is ? is->key[1] : (uint8_t)rig_random(&rig);
	w.c.generation = is ? is->generation + 1 : 1;
	w.members[0].weight = (uint16_t)(rig_random(&rig) % 100);
	fleet_agree(rig.hosts[host].fleet, &w.r, ignored, NULL, rig.now);
}

static void one_step(uint64_t *epoch)
{
	static const char *const names[] = { "a", "b", "c" };
	unsigned int host = (unsigned int)(rig_random(&rig) % rig.host_count);
	unsigned int which = (unsigned int)(rig_random(&rig) % 3);
	struct rig_host *h = &rig.hosts[host];
	struct fleet_name n = rig_name(FACE);

	switch (rig_random(&rig) % 9) {
	case 0:
		rig_cut(&rig, host, !h->cut);
		break;
	case 1:
		h->answer_lost = !h->answer_lost;
		break;
	case 2:
		if (h->up)
			rig_down(&rig, host);
		else
			rig_up(&rig, host);
		break;
	case 3:
		h->slow = !h->slow;
		break;
	case 4:
	case 5:
		if (h->up)
			fleet_anchor(h->fleet, &n, *epoch += rig_random(&rig) % 3, rig.now);
		break;
	default:
		if (h->up)
			change_one(host, names[which], 210 + (int)which);
		break;
	}
	rig_run(&rig, (int64_t)(rig_random(&rig) % 700));
}

static void check_all(uint64_t seed, const struct web *web)
{
	const struct shared_vmac *face = rig_record(&rig, FACE);
	struct shared_record key;

	for (unsigned int i = 0; i < rig.host_count; i++) {
		const struct rig_place *p = &rig.hosts[i].places[FACE];
		bool holder = uuid_equal(&face->holder, &rig.hosts[i].uuid);

		if (rig_held(&rig, i, FACE) != holder || (holder && p->v.epoch != face->epoch))
			fail_msg("seed %lu: the face at host %u", (unsigned long)seed, i);
		if (!told(i, web))
			fail_msg("seed %lu: host %u has lost a cluster", (unsigned long)seed, i);
		for (char name = 'a'; name <= 'c'; name++) {
			char text[2] = { name, '\0' };
			const struct shared_record *is;
			struct web w;

			web_init(&w, text, 210, 1);
			key = w.r;
			is = rig_find(&rig, &key);
			if (!!is != !!told(i, &w) || !!is != kept(i, &w) ||
			    (is && (!cluster_equal(is->cluster.cluster, told(i, &w)) ||
				    is->cluster.cluster->generation != told(i, &w)->generation)))
				fail_msg("seed %lu: cluster %s at host %u", (unsigned long)seed,
					 text, i);
		}
	}
}

static void whatever_befalls_them(void **state)
{
	const char *one = getenv("FLEET_SEED");
	uint64_t first = one ? strtoull(one, NULL, 10) : 0;

	for (uint64_t seed = first; seed < (one ? first + 1 : RUNS); seed++) {
		uint64_t epoch = 2;
		struct web web;

		start_faced(2 + seed % 2, &web);
		rig.seed ^= (seed + 1) * 0x9e3779b97f4a7c15ULL;
		for (unsigned int i = 0; i < STEPS; i++)
			one_step(&epoch);
		for (unsigned int i = 0; i < rig.host_count; i++) {
			rig.hosts[i].answer_lost = rig.hosts[i].slow = false;
			if (!rig.hosts[i].up)
				rig_up(&rig, i);
			rig_cut(&rig, i, false);
		}
		rig_run(&rig, 20000);
		check_all(seed, &web);
		rig_done(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agreed_upon),
		cmocka_unit_test(what_clusters_have_is_theirs_alone),
		cmocka_unit_test(out_of_reach),
		cmocka_unit_test(while_a_host_was_away),
		cmocka_unit_test(made_anew),
		cmocka_unit_test(an_old_backup),
		cmocka_unit_test(anchors),
		cmocka_unit_test(told_when_it_may_be),
		cmocka_unit_test(forgotten_hosts_leave_faces),
		cmocka_unit_test(faces_end_with_their_cluster),
		cmocka_unit_test(short_of_memory),
		cmocka_unit_test(whatever_befalls_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
