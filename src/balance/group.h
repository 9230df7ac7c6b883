/* A cluster as one host sees it: who is there, who is the anchor of each face, and which members
 * the tables are made of.  A pure machine; one a cluster and host.
 *
 * Theory of operation
 *
 * Hosts with members of the cluster hear each other's heartbeats (wire/heartbeat.h) on the
 * cluster's own segment.  Three things are agreed by them, none of them through the registry:
 *
 *   liveness  a host that was not heard for GROUP_DEAD is gone, with its members, from here; and
 *             so is one that has not said for GROUP_PROVE that it hears us (see below).
 *
 *   anchors   each face has one host that answers ARP and ND for it and chooses members.  It is a
 *             lease: extended with every heartbeat that is sent, and never beyond the moment when
 *             another could take over, so a host that hangs or is cut off is silent by itself.  The
 *             hosts have an order for each face (rendezvous of host and face): the first of those
 *             that live takes over from an anchor that is gone, at a higher epoch; of two that hear
 *             each other the higher epoch stays, of equal epochs the lower host number, and it
 *             announces again.  An anchor that leaves names its successor, and serves on (it does
 *             not speak) until that is heard, for GROUP_SERVE at most.  With one face nobody takes
 *             over from a healthy anchor; several are spread over the hosts, one at a time.
 *
 *   views     which members take new flows (*fresh*) and which may still have some (*known*).  The
 *             anchor of face 0 is the coordinator: it proposes a view, numbered within its epoch.
 *             Every host *installs* it (hands on what it does not know by the new rows, and, where
 *             mode is distributed, takes no more of what it loses), says so, and *commits* it
 *             (chooses by the new rows, and takes what it gains) when the coordinator does: when
 *             all that live have installed it.  In director mode nothing waits for longer than
 *             GROUP_COMMIT, because who is late breaks no flow but those that change; in
 *             distributed mode a row that two take is worse than one that nobody takes, so a host
 *             that does not answer is waited for until it is dead.
 *
 * What distributed hosts take is leased too: until GROUP_ROWS after they sent the last heartbeat
 * that the coordinator has echoed (the coordinator: after its own last).  So before the coordinator
 * gives the rows of a host away that it has not heard for GROUP_ROWS, that host has stopped,
 * whatever it did or did not hear.  GROUP_ROWS is longer than GROUP_DEAD, so that the rows of those
 * who live outlast the death of their coordinator; who follows it waits for the difference before
 * it commits its first view.  A host *lapses*, which is to say that it takes nothing until it has
 * committed a view anew, when its lease has run out, when its coordinator goes by a view that it
 * has neither committed nor installed, and when it installs one while it has not committed the one
 * before: two hosts could else take by views that never were in force together.
 *
 * A tag says who made a heartbeat, and not when.  Whoever was heard without a gap is told from his
 * own recorded voice by its sequence; whom a host meets, it cannot tell so.  But every heartbeat
 * echoes what was heard of others, and one that echoes what we have just sent was sent just now:
 * its sender *answers*.  Who has not done so for GROUP_PROVE, while we spoke, is a recording, or
 * deaf to us, and is *doubted* from then on, until he answers, or until somebody who answers says
 * that he does.  A host that takes no part says nothing that could be answered: it believes whom it
 * hears, and decides nothing by it.  (To doubt at once would be wrong: the first heartbeat of
 * everybody echoes nobody, or our run before.  And whoever was believed once is not doubted while
 * he is heard on, so a link that works one way alone does not make two anchors of one.)  Runs are
 * in order by their incarnation, the time of day; a host whose clock was set back is heard all the
 * same as soon as it answers, and of that host no order of runs is believed any more.  So that it
 * can answer, what seems to be of an earlier run is echoed, too, where nothing newer is heard.
 *
 * Health is each host's own: it says which of its members are fit; who is not is as good as dead.
 * Where none at all is fit, the last fit ones stay (fail-open), and it is an alarm.  A member that
 * moves is nobody's for a while: until GROUP_ABSENT it counts as it did, unless its host is silent.
 * Nor, but for DISTRIBUTED, do the members of a host leave at once with its daemon: that may be
 * restarted, and stations go on without it, for GROUP_RESTART.  And when it is gone for good, or
 * fell silent, they may have flows for GROUP_MOURN, and for as long as their host's data plane says
 * that it forwards: whose heartbeats are missing is asked (wire/pulse.h), so that who takes over
 * knows at once whom it may hand a flow to.
 *
 * A host that stood still has heard nobody, and knows nothing of who lives: it listens again.
 *
 * Who has another generation of the record than the coordinator cannot build its rows.  It waits;
 * after GROUP_BEHIND an anchor that is behind hands over to one that is not, and in distributed
 * mode one that differs is echoed no more and counts as gone.
 *
 * What is never done: to take a face because the registry, a lease there, or a clock says so; to
 * believe a heartbeat whose tag is wrong or whose sequence is old; to let a member that is not
 * known any more keep a row. */
#pragma once

#include "base/clock.h"
#include "model/cluster.h"
#include "wire/heartbeat.h"

#define GROUP_HEARTBEAT SPAN_MS(200)
#define GROUP_DEAD	SPAN_MS(600) /* three of them */
#define GROUP_STEP	SPAN_MS(50)  /* between a taker-over and the next in its order */
#define GROUP_LISTEN	SPAN_MS(700) /* after the start, before anything is taken */
#define GROUP_PROVE	SPAN_S(1)    /* five heartbeats */
#define GROUP_SERVE	SPAN_S(1)
#define GROUP_COMMIT	SPAN_MS(400)
#define GROUP_SPREAD	SPAN_S(10)   /* so long must the better host of a face have lived */
#define GROUP_ROWS	SPAN_MS(850) /* GROUP_DEAD, a heartbeat (an echo's age), and a bit */
#define GROUP_ABSENT	SPAN_MS(500)
#define GROUP_RESTART	SPAN_S(10)
/* The flows of members whose host is silent: its daemon may be dead alone, and then they live. */
#define GROUP_MOURN	SPAN_S(10)
#define GROUP_MISSED	SPAN_MS(350) /* a heartbeat did not come: is its host still there? */
#define GROUP_BEHIND	SPAN_S(2)
#define GROUP_LATE	SPAN_MS(150) /* a timer: it stood still, and has not heard what was said */
#define GROUP_REACT	SPAN_MS(300) /* for what its own heartbeat will say better */
#define GROUP_REFRESH	SPAN_S(55)   /* switches are to hear a face at least every minute */
/* … and this soon again when all others have fallen silent, or they heard it of a stranger, */
#define GROUP_RECLAIM	SPAN_S(1)
#define GROUP_RECLAIMS	2	     /* twice: we are not told of every frame of his */
#define GROUP_IDLE	SPAN_S(2)    /* a draining member without a flow for so long has drained */
#define GROUP_ANNOUNCES 7	     /* at 0, 50, 200, 450, 800 ms, 2 s and 10 s */
#define GROUP_PEERS_MAX 64

/* X(constant, name, one line for people): why; part of the API, the log, the history. */
#define GROUP_REASONS(X)                                                                           \
	X(STARTED, "started", "nobody else has it")                                                \
	X(ANCHOR_SILENT, "anchor_silent", "its anchor was not heard for three heartbeats")         \
	X(YIELDED, "yielded", "its anchor handed it over")                                         \
	X(OVERTAKEN, "overtaken", "another host has it, at a higher epoch")                        \
	X(CONTENDED, "contended", "two had it at once; this host stays")                           \
	X(SPREAD, "spread", "another host is to carry it, to share the load")                      \
	X(LEAVING, "leaving", "this host has no member any more, or stops")                        \
	X(LATE, "late", "this host's own timer was late beyond its lease")                         \
	X(LINK_DOWN, "link_down", "the segment's uplink is down")                                  \
	X(HOST_JOINED, "host_joined", "a host takes part")                                         \
	X(HOST_LEFT, "host_left", "a host takes no part any more")                                 \
	X(HOST_SILENT, "host_silent", "a host was not heard for three heartbeats")                 \
	X(MEMBER_UP, "member_up", "the member is fit")                                             \
	X(MEMBER_DOWN, "member_down", "the member is not fit, or nobody hosts it")                 \
	X(MEMBER_DRAINED, "member_drained",                                                        \
	  "the member drained: no flow is left, or its time is over")                              \
	X(VIEW, "view", "the rows were shared out anew")                                           \
	X(ALL_DOWN, "all_down", "no member is fit: the last fit ones stay")                        \
	X(BEHIND, "behind", "another host has a newer record of the cluster")                      \
	X(FOREIGN, "foreign", "somebody else uses the address on the wire")                        \
	X(UNANSWERED, "unanswered",                                                                \
	  "a host is heard that does not hear this one, or somebody sends what it said before: "   \
	  "it is not believed")

enum group_reason {
#define GROUP_REASON_ENUM_(c, name, meaning) GROUP_REASON_##c,
	GROUP_REASONS(GROUP_REASON_ENUM_)
#undef GROUP_REASON_ENUM_
		GROUP_REASON_COUNT
};
const char *group_reason_name(enum group_reason r);
const char *group_reason_meaning(enum group_reason r);

/* --- what goes in ---------------------------------------------------------------------------- */

enum group_event_kind {
	GROUP_RECORD,	 /* the cluster's record, anew; lent for as long as no other is told */
	GROUP_LINK,	 /* on: the segment can be spoken and heard on */
	GROUP_HEARD,	 /* heartbeat: authentic, of this cluster, not our own; address: sent it */
	GROUP_PULSE,	 /* secret: of a question of ours (GROUP_ASK) that was answered */
	GROUP_MEMBER,	 /* member, hosted, fit, busy: as they are here */
	GROUP_INSTALLED, /* view: the data plane has it as ordered */
	GROUP_COMMITTED, /* view: … and goes by it */
	GROUP_CLAIMED,	 /* face, epoch, host: an authentic announcement on the wire (wire/claim.h),
			  * or   what the registry or the journal knew: epochs never fall below */
	GROUP_STRANGER,	 /* face: a frame of somebody else with its address on the wire, untagged */
	GROUP_LEAVE,	 /* this host is to stop taking part: hands over what it has */
	GROUP_TIME,
	GROUP_EVENT_COUNT
};

struct group_event {
	enum group_event_kind kind;
	const struct cluster *record;
	const struct heartbeat *heartbeat;
	struct heartbeat_view view;
	bool on, hosted, fit, busy;
	uint16_t member; /* id */
	uint16_t host;	 /* number, 0 = not known */
	uint8_t face;
	uint64_t epoch, secret;
	vmac_mac_t address;
};

/* --- what comes out -------------------------------------------------------------------------- */

enum group_effect_kind {
	/* First, and at once: the face's anchor is this host until `serve`, and may answer and
	 * announce until `speak` (ns 0: not, from now on). */
	GROUP_LEASE,
	/* DISTRIBUTED: the rows of this host's members are taken until `serve`. */
	GROUP_OWN,
	/* A heartbeat: group_compose() says it. */
	GROUP_SEND,
	/* Whether the host of that address still forwards: `secret` (wire/pulse.h). */
	GROUP_ASK,
	/* g->standing has changed: members whose hosts are silent, and forward. */
	GROUP_STANDING,
	/* The rows of `view`, by g->fresh and g->known, are to be installed; answered by
	 * GROUP_INSTALLED; then committed; answered by GROUP_COMMITTED. */
	GROUP_INSTALL,
	GROUP_COMMIT_VIEW,
	/* The n-th announcement of a face (`count`), or GROUP_ANNOUNCES: one that refreshes. */
	GROUP_ANNOUNCE,
	/* Journal and registry: this host is the anchor of the face at `epoch`. */
	GROUP_HOLD,
	GROUP_NOTE,  /* face or member or host; reason */
	GROUP_ALARM, /* likewise: an operator should look */
	GROUP_EFFECT_COUNT
};

struct group_effect {
	enum group_effect_kind kind;
	mono_t serve, speak;
	struct heartbeat_view view;
	uint64_t epoch, secret;
	vmac_mac_t address;
	uint16_t member, host; /* id; number; 0 = none */
	uint8_t face, count, reason;
	bool has_face;
};
#define GROUP_EFFECTS_MAX 64

struct group_claim {
	uint8_t state; /* enum heartbeat_face_state */
	uint16_t to;
	uint64_t epoch;
	mono_t since; /* it says so */
};

/* Of a host that is gone its incarnation and sequence are kept for as long as there is room: what
 * it said before is not to be believed when somebody says it again. */
struct group_peer {
	bool there; /* heard within GROUP_DEAD, and takes part */
	/* Its members count: it is there, or (DISTRIBUTED) was within GROUP_ROWS and may take its
	 * rows, or left to come back. */
	bool counts;
	bool left; /* it said so */
	bool answers, proven; /* it echoed what we had just sent; or one who answers vouches */
	bool turned;	      /* its runs are in no order: its clock was set back */
	bool doubted;	      /* since it did not prove itself, until it does */
	mono_t met;	      /* there and not proven, while we speak: since; ns 0 = not */
	mono_t noticed;	      /* heard, believed or not */
	mono_t overheard_at;  /* of a run that is taken for an earlier one: when, and */
	uint32_t overheard;   /* its sequence */
	uint8_t host[16];
	uint16_t number;
	uint64_t incarnation, generation;
	uint32_t sequence;
	mono_t heard, since; /* since: it is there without a gap */
	mono_t differs;	     /* … has another generation than this host; MONO_NEVER: it has not */
	struct heartbeat_view installed, committed;
	struct heartbeat_bits hosted, fit, busy;
	struct group_claim claims[CLUSTER_FACES_MAX];
	/* Whether it forwards when it is not heard. */
	vmac_mac_t address;
	struct heartbeat_bits had; /* hosted, as it said last */
	bool wanted;		   /* that is to be known */
	mono_t asked, stands;	   /* stands: until; ns 0 = it has not answered of late */
	uint64_t secret;	   /* of the last question */
};

struct group_face {
	bool active, yielded; /* ours; ours until just now */
	uint64_t epoch;	      /* active: ours; else the highest that we know of, from wherever */
	uint64_t beyond;      /* the highest that we know of */
	mono_t beyond_since;  /* active: that is higher than ours */
	uint16_t holder;      /* number of the host that has it; 0 = nobody heard */
	uint16_t to;	      /* yielded: to whom */
	uint16_t contender;   /* active: who else says it is */
	uint8_t why;	      /* it is nobody's: enum group_reason */
	mono_t lease, serve;  /* active: until; yielded: until */
	mono_t due;	      /* nobody's: since then; who is first in order takes it then */
	mono_t told_serve, told_speak;
	uint8_t announced;
	uint8_t challenged; /* a stranger used it: announced so often yet, because of that */
	mono_t announce_base, refreshed;
};

#define GROUP_SENT 16 /* heartbeats of which it is remembered when they were sent */

struct group {
	struct uuid self;
	uint16_t number;
	bool alone; /* there can be no other host: nothing is sent, nothing waited for */
	bool linked, leaving;
	bool silent; /* it has said its last word, or nothing yet */
	bool more;   /* effects did not fit */
	uint64_t incarnation, cluster_hash;
	const struct cluster *record;
	uint32_t sequence;
	mono_t started, beat;	 /* listening since; when the next heartbeat is due */
	mono_t sent[GROUP_SENT]; /* by sequence */
	struct group_peer peers[GROUP_PEERS_MAX];
	struct group_face faces[CLUSTER_FACES_MAX];
	mono_t settled;				 /* since when no face has changed hands */
	mono_t deserted; /* since when the last of the others is silent; 0: one is heard, or left */
	struct heartbeat_bits hosted, fit, busy; /* here */

	/* The views: as a coordinator, the one that is proposed or in force; installed and
	 * committed here, and ordered to be; number 0 = none.  A view's number is that of its
	 * coordinator in the upper 16 bits, and counts in the lower: two coordinators never mean
	 * the same. */
	struct heartbeat_view proposed, installing, installed, committing, committed;
	uint64_t view_generation; /* of `installing` */
	struct heartbeat_bits fresh, known;
	struct heartbeat_bits chosen; /* fresh in any view that may be in force here */
	mono_t proposed_at, first_commit;
	uint64_t behind; /* a generation of others that was an alarm */
	bool fail_open, generation_differs;

	/* DISTRIBUTED: what this host takes, until; ns 0: lapsed. */
	mono_t own, told_own;
	mono_t echoed; /* when that heartbeat was sent which the coordinator echoed last */

	/* By member's id; MONO_NEVER: not so. */
	mono_t gone[CLUSTER_MEMBERS_MAX + 1]; /* nobody hosts it: until then it counts */
	mono_t mourned[CLUSTER_MEMBERS_MAX +
		       1]; /* its host is silent: until then it keeps its flows */
	mono_t draining[CLUSTER_MEMBERS_MAX + 1]; /* since */
	mono_t idle[CLUSTER_MEMBERS_MAX + 1];	  /* draining, and without a flow: since */
	struct heartbeat_bits drained, told_up;
	struct heartbeat_bits standing; /* their hosts are silent, and forward */
	uint64_t asks;
};

struct group_config {
	struct uuid self;
	uint16_t number; /* of this host among others; 1 where alone */
	bool alone;
	uint64_t incarnation; /* another than in any earlier run of this host, as a rule greater */
	const char *segment;
	const struct cluster *record;
};
void group_init(struct group *g, const struct group_config *config, mono_t now);

/* One event; writes at most GROUP_EFFECTS_MAX effects, to be carried out in order, and returns how
 * many.  Total: any event in any state is fine; what does not fit waits for the next. */
unsigned int group_step(struct group *g, const struct group_event *event, mono_t now,
			struct group_effect ret[static GROUP_EFFECTS_MAX]);
mono_t group_next_expiry(const struct group *g); /* MONO_NEVER = none */
/* It was said before: GROUP_HEARD of it would do no more than this. */
bool group_is_old(const struct group *g, const struct heartbeat *h);
/* Whether that is the secret of a question that stands: else GROUP_PULSE would change nothing. */
bool group_asks(const struct group *g, uint64_t secret);
/* Notes one that is old: its sender is told that he is heard. */
void group_overhear(struct group *g, const struct heartbeat *h, mono_t now);

/* What is to be sent now (after GROUP_SEND). */
void group_compose(const struct group *g, struct heartbeat *ret);

/* The choices that the rows of the view are made of (balance/table.h): `max` of them at most, by
 * the record's order; returns how many. */
struct balance_choice;
unsigned int group_choices(const struct group *g, struct balance_choice *ret, unsigned int max);

/* What is known of a member, for people: "up", "down", "draining", "drained", "failed", "silent"
 * (its host is, and forwards), "absent". */
const char *group_member_live(const struct group *g, uint16_t member);
/* The number of the host that hosts it; 0 = nobody says so. */
uint16_t group_member_host(const struct group *g, uint16_t member);
