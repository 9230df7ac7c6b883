/* Gates: each of them, in each direction, for each kind of frame; what opens an armed one, and what
 * nearly does; what is told of, and how often; what is left when the process dies. */
#include "gate_rig.h"

/* --- from the guest -------------------------------------------------------------------------- */

static unsigned int ends_of(const struct frame *f)
{
	if (memcmp(f->octet, lab_mac(PAL).octet, 6) == 0)
		return BIT(FRIEND);
	if (memcmp(f->octet, lab_mac(NIC).octet, 6) == 0)
		return 0;
	return f->octet[0] & 1 ? BIT(FRIEND) | BIT(UP) : BIT(UP);
}

static void check_from_guest(const struct gate *g, const struct kind *k)
{
	struct frame f = k->make();
	bool is_armed = g->more.armed && (k->opens || g->more.any_frame) && !k->spoof;
	bool passes = (is_open(g) || is_armed) && !k->spoof;
	uint64_t closed;

	print_message("%s: %s\n", g->name, k->name);
	fresh(g);
	closed = port_drops(1, DROP_GATE_CLOSED);
	inject(ME, f);
	assert_int_equal(ends(), passes ? ends_of(&f) : 0);
	assert_int_equal(port_drops(1, DROP_GATE_CLOSED), closed + (!passes && !is_open(g)));
	if (is_open(g)) {
		check_told(PLANE_SPOKE, 0);
		return;
	}
	check_told(is_armed ? PLANE_FLIPPED : PLANE_SPOKE, 1);
	assert_int_equal(events[0].count, 1);
	assert_true(events[0].at.ns > 0);
	/* A tap's tag is in the metadata before any program sees it. */
	if (f.octet[12] != 0x81) {
		assert_int_equal(events[0].len, f.len < 64 ? f.len : 64);
		assert_memory_equal(events[0].frame, f.octet, events[0].len);
	}
	inject(ME, make_unicast());
	assert_int_equal(ends(), is_armed || g->more.any_frame ? BIT(FRIEND) : 0);
}

static void what_the_guest_sends(void **state)
{
	for (size_t i = 0; i < KINDS; i++)
		check_from_guest(*state, &kinds[i]);
}

/* With addresses bound, what the guard does not pass does not open. */
static void the_guard_comes_before_the_flip(void **state)
{
	struct plane_port port = port_of(1, ME, MAC);
	const struct gate *g = gate_named("tunnel-in, armed");
	struct error e;

	plane_port_remove(p, 1, true, &e);
	port.gate = g->gate;
	port.more = g->more;
	port.ip_count = 1;
	port.ips[0] = lab_ip(IP4);
	set(port);
	drain();
	inject(ME, arp(ALL, MAC, 1, MAC, "192.0.2.7", "192.0.2.7"));
	assert_int_equal(ends(), 0);
	check_told(PLANE_SPOKE, 1);
	inject(ME, make_garp());
	assert_int_equal(ends(), BIT(FRIEND) | BIT(UP));
	check_told(PLANE_FLIPPED, 1);
}

/* --- to the guest ---------------------------------------------------------------------------- */

static void what_is_for_the_guest(void **state)
{
	const struct gate *g = *state;
	unsigned int me = is_open(g) ? BIT(ME) : 0;
	uint64_t was;

	fresh(g);
	was = port_drops(2, g->to_drop);
	inject(FRIEND, frame(MAC, PAL));
	assert_int_equal(ends(), g->anybodys ? BIT(UP) : me);
	assert_int_equal(port_drops(2, g->to_drop), was + (!g->anybodys && !me));

	was = uplink_drops(g->to_drop);
	inject(UP, frame(MAC, WIRE));
	assert_int_equal(ends(), me);
	assert_int_equal(at_host(), g->anybodys); /* which takes it for another's */
	host_sends(frame(MAC, NIC), 0);
	assert_int_equal(ends(), g->anybodys ? BIT(UP) : me);
	assert_int_equal(uplink_drops(g->to_drop), was + (!g->anybodys && !me ? 2 : 0));

	inject(FRIEND, frame(ALL, PAL));
	assert_int_equal(ends(), BIT(UP) | me);
	inject(UP, frame(ALL, WIRE));
	assert_int_equal(ends(), BIT(FRIEND) | me);
	host_sends(frame(ALL, NIC), 0);
	assert_int_equal(ends(), BIT(FRIEND) | BIT(UP) | me);
	check_told(PLANE_SPOKE, 0);
}

/* --- with its address, from elsewhere -------------------------------------------------------- */

static void who_speaks_with_its_address(void **state)
{
	const struct gate *g = *state;
	unsigned int bits = is_open(g) ? 0 : BIT(FRIEND);
	struct frame f = frame(ALL, MAC);
	uint64_t was = uplink_drops(DROP_WIRE_SPOOF), host;

	fresh(g);
	inject(UP, f);
	assert_int_equal(ends(), bits);
	check_told(PLANE_STRANGER, g->strangers);
	if (g->strangers) {
		assert_int_equal(events[0].len, 64);
		assert_memory_equal(events[0].frame, f.octet, 64);
	}
	inject(UP, frame(PAL, MAC));
	assert_int_equal(ends(), bits);
	assert_int_equal(uplink_drops(DROP_WIRE_SPOOF), was + (is_open(g) ? 2 : 0));
	check_told(PLANE_STRANGER, 0); /* within the second */

	/* The host: never, but for what it announces for an open one. */
	host = uplink_drops(DROP_HOST_SPOOF);
	host_sends(frame(ALL, MAC), 0);
	host_sends(frame(WIRE, MAC), 0);
	host_sends(frame(ALL, MAC), MARK_TO_HOST);
	assert_int_equal(ends(), 0);
	assert_int_equal(uplink_drops(DROP_HOST_SPOOF), host + 3);
	host_sends(frame(ALL, MAC), PLANE_ANNOUNCE_MARK);
	assert_int_equal(ends(), is_open(g) ? BIT(UP) | BIT(FRIEND) : 0); /* not to itself */
	host_sends(frame(WIRE, MAC), PLANE_ANNOUNCE_MARK);
	assert_int_equal(ends(), is_open(g) ? BIT(UP) : 0);
	check_told(PLANE_STRANGER, 0);
}

static void the_mark_is_taken_off(void **state)
{
	struct frame f = frame(ALL, MAC);
	struct lab_run run = { PROGRAM_UPLINK_OUT, links[UP], f.octet, f.len };

	fresh(gate_named("open"));
	run.mark = PLANE_ANNOUNCE_MARK;
	assert_int_equal(lab_run(p, &run), TC_ACT_UNSPEC);
	assert_int_equal(run.mark_after, 0);
	set_gate(gate_named("fenced"));
	assert_int_equal(lab_run(p, &run), TC_ACT_SHOT);
}

/* The tag of the wire is not in the event, wherever the kernel has it. */
static void a_strangers_tag_is_left_out(void **state)
{
	struct plane_port port = port_of(3, TAGGED, "5a:10:00:00:00:03");
	struct frame f = frame(ALL, "5a:10:00:00:00:03"), t = tag(f);
	struct lab_run run = { PROGRAM_UPLINK_IN, links[UP], t.octet, t.len };
	struct error e;

	set(port);
	drain();
	inject(UP, t); /* in the metadata */
	assert_int_equal(told(PLANE_STRANGER, 3), 1);
	assert_int_equal(events[0].len, 64);
	assert_memory_equal(events[0].frame, f.octet, 64);
	assert_int_equal(plane_port_remove(p, 3, true, &e), 0);
	set(port);
	lab_run(p, &run); /* in the frame */
	assert_int_equal(told(PLANE_STRANGER, 3), 1);
	assert_int_equal(events[0].len, 64);
	assert_memory_equal(events[0].frame, f.octet, 64);
	assert_int_equal(plane_port_remove(p, 3, true, &e), 0);
}

/* --- how often ------------------------------------------------------------------------------- */

#define MS 1000000LL

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* False: the machine was busy with something else, and a second event would be right. */
static bool is_told_once_a_second(void)
{
	int64_t start, again;

	fresh(gate_named("fenced"));
	start = now_ns();
	for (int i = 0; i < 50; i++)
		inject(ME, make_broadcast());
	if (now_ns() - start >= 1000 * MS)
		return false;
	check_told(PLANE_SPOKE, 1);
	assert_int_equal(events[0].count, 1);
	usleep(1000000);
	again = now_ns();
	inject(ME, make_broadcast());
	inject(ME, make_broadcast());
	if (now_ns() - again >= 1000 * MS)
		return false;
	check_told(PLANE_SPOKE, 1);
	assert_int_equal(events[0].count, 51);
	/* Another gate is another matter. */
	set_gate(gate_named("closed"));
	inject(ME, make_broadcast());
	check_told(PLANE_SPOKE, 1);
	assert_int_equal(events[0].count, 53);
	ends();
	return true;
}

#define TRIES 20

static void once_at_once_then_once_a_second(void **state)
{
	for (int i = 0; !is_told_once_a_second(); i++)
		assert_true(i < TRIES);
}

static bool are_tagged_ones_told_ten_times_a_second(void)
{
	struct frame f = rarp(3, MAC, MAC);
	int64_t start, tagged;

	f.octet[42] = 'v';
	f.octet[43] = 'M';
	fresh(gate_named("redirect, no peer"));
	start = now_ns();
	inject(UP, make_rarp());
	inject(UP, make_rarp());
	tagged = now_ns();
	inject(UP, f);
	inject(UP, f);
	if (now_ns() - tagged >= 100 * MS)
		return false;
	check_told(PLANE_STRANGER, 2);
	assert_int_equal(events[1].frame[42], 'v');
	assert_int_equal(events[1].count, 3);
	usleep(100000);
	inject(UP, f);
	inject(UP, make_rarp());
	if (now_ns() - start >= 1000 * MS)
		return false;
	check_told(PLANE_STRANGER, 1);
	assert_int_equal(events[0].count, 5);
	drain();
	return true;
}

/* Who waits for a true claim is not deaf after a false one. */
static void tagged_strangers_have_a_limit_of_their_own(void **state)
{
	for (int i = 0; !are_tagged_ones_told_ten_times_a_second(); i++)
		assert_true(i < TRIES);
}

static void the_descriptor_is_readable_when_there_is_something(void **state)
{
	struct pollfd pfd = { .fd = plane_events_fd(p), .events = POLLIN };

	fresh(gate_named("tunnel-in, armed"));
	assert_int_equal(poll(&pfd, 1, 0), 0);
	inject(ME, make_rarp());
	assert_int_equal(poll(&pfd, 1, 100), 1);
	check_told(PLANE_FLIPPED, 1);
	assert_int_equal(poll(&pfd, 1, 0), 0);
	ends();
}

/* Half of the ring is for flips. */
static void strangers_cannot_crowd_out_a_flip(void **state)
{
	struct frame f = rarp(3, MAC, MAC);

	fresh(gate_named("fenced"));
	flip_count = 0;
	for (int i = 0; i < 8000; i++) {
		set_gate(gate_named(i % 2 ? "fenced" : "closed")); /* lifts the limit */
		inject(ME, f);
	}
	set_gate(gate_named("tunnel-in, armed"));
	inject(ME, f);
	assert_int_equal(told(PLANE_SPOKE, 1), 64); /* as many as we keep here */
	assert_int_equal(flip_count, 1);
	drain();
}

/* --- races ----------------------------------------------------------------------------------- */

struct sender {
	struct frame f;
	unsigned int rounds;
	bool *go;
};

static void *send_all(void *arg)
{
	struct sender *s = arg;
	struct lab_run run = { PROGRAM_PORT, links[ME], s->f.octet, s->f.len };

	run.repeat = s->rounds;
	while (!__atomic_load_n(s->go, __ATOMIC_ACQUIRE))
		;
	lab_run(p, &run);
	return NULL;
}

static void of_four_senders_one_flips(void **state)
{
	for (int round = 0; round < 200; round++) {
		struct sender senders[4];
		pthread_t threads[4];
		bool go = false;

		fresh(gate_named("tunnel-in, armed"));
		for (int i = 0; i < 4; i++) {
			senders[i] = (struct sender){ i % 2 ? make_rarp() : make_garp(), 20, &go };
			/* To a neighbour: no copies for everybody. */
			memcpy(senders[i].f.octet, lab_mac(PAL).octet, 6);
			assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]),
					 0);
		}
		__atomic_store_n(&go, true, __ATOMIC_RELEASE);
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		check_told(PLANE_FLIPPED, 1);
		assert_int_equal(port_drops(1, DROP_GATE_CLOSED), 0);
	}
}

struct writer {
	bool stop;
	unsigned int sent;
};

static void *speak(void *arg)
{
	struct writer *w = arg;
	struct frame f = make_rarp();
	struct lab_run run = { PROGRAM_PORT, links[ME], f.octet, f.len };

	memcpy(f.octet, lab_mac(PAL).octet, 6);
	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		lab_run(p, &run);
		w->sent++;
	}
	return NULL;
}

/* The row is written again and again by one who has not heard, while the guest speaks. */
static void a_late_writer_neither_shuts_nor_opens(void **state)
{
	const struct gate *armed = gate_named("tunnel-in, armed"), *fenced = gate_named("fenced");

	for (int round = 0; round < 30; round++) {
		struct plane_port port = port_of(1, ME, MAC);
		struct writer w = { 0 };
		pthread_t thread;
		bool open = false;
		struct error e;
		uint64_t drops;

		port.gate = armed->gate;
		port.more = armed->more;
		fresh(armed);
		assert_int_equal(pthread_create(&thread, NULL, speak, &w), 0);
		for (unsigned int i = 0; i < 40 && !open; i++) {
			port.flood_pps = 100 + i % 2;
			set(port);
			assert_int_equal(
				plane_port_gate(p, 1, armed->gate, &armed->more, &open, &e), 0);
		}
		while (!open)
			assert_int_equal(
				plane_port_gate(p, 1, armed->gate, &armed->more, &open, &e), 0);
		drops = port_drops(1, DROP_GATE_CLOSED);
		port.flood_pps = 7;
		set(port); /* has not heard yet */
		usleep(1000);
		assert_int_equal(port_drops(1, DROP_GATE_CLOSED), drops);
		check_told(PLANE_FLIPPED, 1);
		set_gate(gate_named("open"));
		set_gate(fenced);
		for (int i = 0; i < 1000 && port_drops(1, DROP_GATE_CLOSED) == drops; i++)
			usleep(1000);
		assert_true(port_drops(1, DROP_GATE_CLOSED) > drops);
		__atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
		assert_int_equal(told(PLANE_FLIPPED, 1), 0);
	}
	ends();
}

/* --- what a flip leaves ---------------------------------------------------------------------- */

static void asked_for_again_it_stays_open_until_agreed(void **state)
{
	const struct gate *armed = gate_named("tunnel-in, armed");
	struct plane_port port = port_of(1, ME, MAC);

	fresh(armed);
	assert_false(set_gate(armed));
	inject(ME, make_rarp());
	assert_true(set_gate(armed));
	port.gate = armed->gate;
	port.more = armed->more;
	set(port);
	inject(FRIEND, frame(MAC, PAL));
	assert_int_equal(ends() & BIT(ME), BIT(ME));
	assert_true(set_gate(gate_named("open")));
	check_told(PLANE_FLIPPED, 1);  /* agreed before it was read, and true still */
	assert_false(set_gate(armed)); /* armed anew */
	inject(FRIEND, frame(MAC, PAL));
	assert_int_equal(ends(), BIT(UP));
	inject(ME, make_rarp());
	check_told(PLANE_FLIPPED, 1);
	/* Shut before it was read: the flip is history. */
	set_gate(gate_named("fenced"));
	set_gate(armed);
	ends();
	inject(ME, make_rarp());
	set_gate(gate_named("fenced"));
	check_told(PLANE_FLIPPED, 0);
	inject(ME, make_unicast());
	assert_int_equal(ends() & BIT(FRIEND), BIT(FRIEND)); /* the RARP's copy alone */
	inject(ME, make_unicast());
	assert_int_equal(ends(), 0);
}

static void another_port_in_its_place_inherits_nothing(void **state)
{
	struct plane_port port = port_of(1, ME, "5a:10:00:00:00:77");

	fresh(gate_named("tunnel-in, armed"));
	inject(ME, make_rarp());
	port.gate = PLANE_TUNNEL_IN;
	port.more.armed = true;
	set(port); /* the same slot, another address */
	check_told(PLANE_FLIPPED, 0);
	ends();
	inject(ME, frame(PAL, "5a:10:00:00:00:77"));
	assert_int_equal(ends(), 0);
	fresh(gate_named("fenced"));
	inject(ME, make_unicast());
	fresh(gate_named("closed"));
	check_told(PLANE_SPOKE, 0); /* what the one before it said was read with drain() */
}

static void set_all(const struct gate *g)
{
	struct plane_uplink u = { 1, links[UP], lab_mac(NIC), 1500 };
	struct plane_port port = port_of(1, ME, MAC);
	unsigned int removed;
	struct error e;

	assert_int_equal(plane_uplink_set(p, &u, &e), 0);
	set(port_of(2, FRIEND, PAL));
	port.gate = g->gate;
	port.more = g->more;
	set(port);
	assert_int_equal(plane_sweep(p, &removed, &e), 0);
}

/* Runs fn in a process that is killed. */
static void in_a_process_that_dies(void (*fn)(void))
{
	int status, ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	plane_close(p);
	p = NULL;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		p = lab_plane(attach_wanted);
		fn();
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(ready[0]);
	close(ready[1]);
}

static void arm(void)
{
	set_all(gate_named("tunnel-in, armed"));
}

static void arm_and_hear(void)
{
	arm();
	inject(ME, make_rarp());
	if (told(PLANE_FLIPPED, 1) != 1)
		abort();
}

static void fence(void)
{
	set_all(gate_named("fenced"));
}

static void an_armed_gate_flips_with_nobody_there(void **state)
{
	in_a_process_that_dies(arm);
	ends();
	inject(ME, make_rarp());
	assert_int_equal(ends(), BIT(FRIEND) | BIT(UP));
	inject(FRIEND, frame(MAC, PAL));
	assert_int_equal(ends(), BIT(ME));
	p = lab_plane(attach_wanted);
	set_all(gate_named("tunnel-in, armed")); /* as its registry has it */
	inject(FRIEND, frame(MAC, PAL));
	assert_int_equal(ends(), BIT(ME));
	check_told(PLANE_FLIPPED, 1);
	assert_int_equal(events[0].frame[12], 0x80); /* the frame, too */
	check_told(PLANE_FLIPPED, 0);
	assert_true(set_gate(gate_named("tunnel-in, armed")));
}

/* It was read by one who died before it did anything about it. */
static void a_flip_that_was_read_is_told_of_again(void **state)
{
	in_a_process_that_dies(arm_and_hear);
	ends();
	p = lab_plane(attach_wanted);
	set_all(gate_named("tunnel-in, armed"));
	check_told(PLANE_FLIPPED, 1);
	assert_int_equal(events[0].len, 0);
	check_told(PLANE_FLIPPED, 0);
	assert_true(set_gate(gate_named("open")));
	/* Agreed: now it is history for the next one as well. */
	plane_close(p);
	p = lab_plane(attach_wanted);
	set_all(gate_named("open"));
	check_told(PLANE_FLIPPED, 0);
	assert_null(p->events); /* and who is told of nothing maps nothing */
}

static void a_fence_stays_when_the_process_dies(void **state)
{
	in_a_process_that_dies(fence);
	ends();
	inject(ME, make_rarp());
	assert_int_equal(ends(), 0);
	inject(FRIEND, frame(MAC, PAL));
	assert_int_equal(ends(), BIT(UP));
	p = lab_plane(attach_wanted);
	set_all(gate_named("fenced"));
	check_told(PLANE_SPOKE, 1);
}

static void a_gate_of_no_port_is_refused(void **state)
{
	struct plane_gate_more more = { 0 };
	struct error e = { 0 };

	assert_true(plane_port_gate(p, 9, PLANE_OPEN, &more, NULL, &e) < 0);
	assert_int_equal(e.code, ERROR_NOT_FOUND);
	assert_true(plane_port_gate(p, 0, PLANE_OPEN, &more, NULL, &e) < 0);
	assert_int_equal(e.code, ERROR_NOT_FOUND);
}

/* --- main ------------------------------------------------------------------------------------ */

static int setup(void **state)
{
	p = lab_plane(attach_wanted);
	set_all(gate_named("open"));
	return 0;
}

static int teardown(void **state)
{
	struct error e;

	plane_purge(p, &e);
	plane_close(p);
	return 0;
}

int main(int argc, char **argv)
{
#define TEST_(f) cmocka_unit_test(f)
	static struct CMUnitTest tests[64] = {
		TEST_(the_guard_comes_before_the_flip),
		TEST_(the_mark_is_taken_off),
		TEST_(a_strangers_tag_is_left_out),
		TEST_(once_at_once_then_once_a_second),
		TEST_(tagged_strangers_have_a_limit_of_their_own),
		TEST_(the_descriptor_is_readable_when_there_is_something),
		TEST_(strangers_cannot_crowd_out_a_flip),
		TEST_(of_four_senders_one_flips),
		TEST_(a_late_writer_neither_shuts_nor_opens),
		TEST_(asked_for_again_it_stays_open_until_agreed),
		TEST_(another_port_in_its_place_inherits_nothing),
		TEST_(an_armed_gate_flips_with_nobody_there),
		TEST_(a_flip_that_was_read_is_told_of_again),
		TEST_(a_fence_stays_when_the_process_dies),
		TEST_(a_gate_of_no_port_is_refused),
	};
	static const struct {
		const char *what;
		CMUnitTestFunction fn;
	} each[] = {
		{ "what the guest sends", what_the_guest_sends },
		{ "what is for the guest", what_is_for_the_guest },
		{ "who speaks with its address", who_speaks_with_its_address },
	};
	static char titles[GATES * 3][64];
	size_t count = 15;

	for (size_t i = 0; i < GATES; i++)
		for (size_t j = 0; j < 3; j++, count++) {
			char *title = titles[i * 3 + j];

			snprintf(title, 64, "%s: %s", gates[i].name, each[j].what);
			tests[count] = (struct CMUnitTest){ title, each[j].fn, NULL, NULL,
							    (void *)&gates[i] };
		}
	attach_wanted = argc > 1 ? argv[1] : NULL;
	lab_open();
	for (int i = 0; i < ENDS; i++)
		links[i] = lab_tap(names[i], 1500, &fds[i]);
	host_fd = lab_stack("up", TYPE);
	return _cmocka_run_group_tests("bpf: gates", tests, count, setup, teardown);
}
