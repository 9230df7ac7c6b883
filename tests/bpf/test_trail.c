/* What a port leaves behind when its guest has moved: its trail. */
#include "tunnel_rig.h"

static void check_sent_on(int expect)
{
	drain();
	send_frame(client_raw, frame(MAC, CLIENT));
	assert_int_equal(count(guest_raw[B]), expect);
	send_frame(nic_raw[A], frame(MAC, NIC_A));
	assert_int_equal(count(guest_raw[B]), expect);
	send_frame(nic_raw[B], frame(MAC, NIC_B));
	assert_int_equal(count(guest_raw[B]), expect);
	assert_int_equal(count(guest_raw[A]), 0);
}

static void leave_trail(void)
{
	gate(B, PLANE_TUNNEL_IN, NULL);
	gate(A, PLANE_REDIRECT, "10.0.0.2");
	lab_inside(space[A]);
	OK(plane_port_leave_trail(plane[A], 1, false, &e));
	lab_inside(-1);
}

/* The guest's port is gone, and what comes for it is not. */
static void a_port_leaves_a_trail(void **state)
{
	struct ip nobody = lab_ip("10.0.0.7"), there = lab_ip("10.0.0.2");
	struct plane_counters in = tunnel(B);

	assert_true(plane_port_leave_trail(plane[A], 2, false, &e) < 0); /* it is open */
	assert_int_equal(e.code, ERROR_WRONG_STATE);
	assert_true(plane_trail_set(plane[A], 1, &there, &e) < 0);
	assert_int_equal(e.code, ERROR_NOT_FOUND);
	leave_trail();
	check_sent_on(1);
	assert_int_equal(tunnel(B).rx_frames, in.rx_frames + 3);
	/* Nothing but what is for it; and what was its link is nobody's. */
	send_frame(client_raw, frame(ALL, CLIENT));
	send_frame(guest_raw[A], frame(ALL, MAC));
	send_frame(guest_raw[A], frame(CLIENT, MAC));
	assert_int_equal(count(guest_raw[A]), 0);
	assert_int_equal(count(client_raw), 0);
	assert_int_equal(tunnel(B).rx_frames, in.rx_frames + 3);
	assert_true(plane_port_gate(plane[A], 1, PLANE_OPEN, &(struct plane_gate_more){ 0 }, NULL,
				    &e) < 0);
	assert_int_equal(e.code, ERROR_NOT_FOUND);
	OK(plane_trail_set(plane[A], 1, &nobody, &e));
	check_sent_on(0);
	OK(plane_trail_set(plane[A], 1, &there, &e));
	check_sent_on(1);
	plane_trail_end(plane[A], 1);
	plane_trail_end(plane[A], 1);
	gate(B, PLANE_OPEN, NULL);
	drain();
	send_frame(client_raw, frame(MAC, CLIENT));
	assert_int_equal(count(guest_raw[B]), 1); /* by the wire */
	set_all(A);
}

static void what_ends_a_trail(void **state)
{
	struct ip there = lab_ip("10.0.0.2");
	struct plane_uplink u = { 1, nic_if[A], lab_mac(NIC_A), 1500 };
	struct plane_port port = port_of(A, 1);
	unsigned int removed;

	/* A port in its place, and one with its vMAC. */
	for (uint32_t id = 1; id <= 3; id += 2) {
		set_all(A);
		leave_trail();
		port.id = id;
		lab_inside(space[A]);
		OK(plane_port_set(plane[A], &port, &e));
		assert_true(plane_trail_set(plane[A], 1, &there, &e) < 0);
		lab_inside(-1);
		drain();
		send_frame(client_raw, frame(MAC, CLIENT));
		assert_int_equal(count(guest_raw[A]), 1);
		assert_int_equal(count(guest_raw[B]), 0);
	}
	lab_inside(space[A]);
	OK(plane_port_remove(plane[A], 3, false, &e));
	lab_inside(-1);
	set_all(A);
	/* Another process does not know of it. */
	leave_trail();
	reopen(A);
	port = port_of(A, 2);
	lab_inside(space[A]);
	OK(plane_uplink_set(plane[A], &u, &e));
	OK(plane_port_set(plane[A], &port, &e));
	OK(plane_sweep(plane[A], &removed, &e));
	assert_true(removed >= 1);
	assert_true(plane_trail_set(plane[A], 1, &there, &e) < 0);
	lab_inside(-1);
	set_all(A);
	set_all(B);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_leaves_a_trail),
		cmocka_unit_test(what_ends_a_trail),
	};

	attach_wanted = argc > 1 ? argv[1] : NULL;
	lab_open();
	return cmocka_run_group_tests_name("bpf: trail", tests, setup, teardown);
}
