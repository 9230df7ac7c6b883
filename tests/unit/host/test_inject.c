#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/inject.h"
#include "lab.h"

static const uint8_t frame[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x12, 0,
				   0,	 0,    0,    1,	   0x88, 0xb5, 'h',  'i' };

/* What leaves one end of a pair comes out of the other as it was. */
static void sends_whole_frames_by_any_link(void **state)
{
	struct host *h = lab_host();
	struct inject *i;
	uint8_t got[128];
	struct error e;
	int fd, r;

	lab_run("ip link add in0 type veth peer name in1");
	lab_run("ip link set in0 up; ip link set in1 up");
	fd = lab_packet_socket("in1");
	r = inject_open(0x766d616e, &i, &e);
	assert_ok(r, e);
	assert_int_equal(inject_send(i, lab_link(h, "in0").ifindex, frame, sizeof(frame)), 0);
	do
		r = (int)recv(fd, got, sizeof(got), 0);
	while (r > 0 && memcmp(got, frame, 14) != 0);
	assert_int_equal(r, sizeof(frame));
	assert_memory_equal(got, frame, sizeof(frame));
	lab_run("ip link del in0");
	assert_true(inject_send(i, 4711, frame, sizeof(frame)) < 0);
	close(fd);
	inject_close(i);
	inject_close(NULL);
	host_close(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sends_whole_frames_by_any_link),
	};

	lab_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
