/* Programs are told of transitions one at a time, in order, and with what they need to know. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka.h needs the headers above before it. */
#include <cmocka.h>

#include "errand/probe.h"

static char dir[] = "/var/lib/vmac-t-XXXXXX", program[64], output[64];

static void program_write(const char *body)
{
	FILE *f = fopen(program, "w");

	assert_non_null(f);
	fprintf(f, "#!/bin/sh\n%s\n", body);
	fclose(f);
	assert_int_equal(chmod(program, 0755), 0);
	unlink(output);
}

static int enter(void **state)
{
	assert_non_null(mkdtemp(dir));
	chmod(dir, 0755);
	snprintf(program, sizeof(program), "%s/notify", dir);
	snprintf(output, sizeof(output), "%s/output", dir);
	return 0;
}

static int leave(void **state)
{
	unlink(program);
	unlink(output);
	return rmdir(dir);
}

static size_t output_read(char *to, size_t size)
{
	FILE *f = fopen(output, "r");
	size_t n = f ? fread(to, 1, size - 1, f) : 0;

	if (f)
		fclose(f);
	to[n] = '\0';
	return n;
}

static void tell(struct errands *e, uint32_t router, const char *to, const char *detail)
{
	char name[16];
	struct errand_news news = {
		.router = router,
		.program = program,
		.name = name,
		.from = "backup",
		.to = to,
		.reason = "silence",
		.detail = detail,
		.priority = 120,
	};

	snprintf(name, sizeof(name), "r%u", router);
	assert_int_equal(errands_tell(e, &news), 0);
}

static void settle(struct errands *e, uint64_t count)
{
	struct errands_counters c = { 0 };

	for (int i = 0; i < 1000 && c.told + c.lost < count; i++) {
		usleep(10000);
		errands_counters(e, &c);
	}
	assert_int_equal(c.told + c.lost, count);
}

static struct errands *begin(void)
{
	struct errands *e = NULL;
	struct error error;

	assert_int_equal(errands_open(&e, &error), 0);
	return e;
}

static void a_program_is_told_everything(void **state)
{
	struct errands *e = begin();
	struct errands_counters c;
	char text[512];

	program_write("echo \"$# $*|$VMAC_ROUTER|$VMAC_FROM|$VMAC_TO|$VMAC_REASON|$VMAC_PRIORITY|"
		      "$VMAC_DETAIL\" >> ${0%notify}output");
	tell(e, 7, "active", "peer 10.0.0.2");
	settle(e, 1);
	output_read(text, sizeof(text));
	assert_string_equal(text,
			    "6 router r7 backup active silence 120|r7|backup|active|silence|120|"
			    "peer 10.0.0.2\n");
	errands_counters(e, &c);
	assert_int_equal(c.told, 1);
	errands_close(e);
}

static void one_at_a_time_and_in_order(void **state)
{
	static const char *const states[] = { "a", "b", "c", "d", "e" };
	struct errands *e = begin();
	char text[512];

	program_write(
		"sleep 0.0$((7 - $(printf %d \"'$4\") % 7)); echo -n \"$4\" >> ${0%notify}output");
	for (unsigned int i = 0; i < 5; i++)
		tell(e, 1, states[i], "");
	settle(e, 5);
	output_read(text, sizeof(text));
	assert_string_equal(text, "abcde");
	errands_close(e);
}

static void routers_do_not_wait_for_each_other(void **state)
{
	struct errands *e = begin();
	mono_t start = clock_boot();

	program_write("sleep 0.3");
	for (uint32_t router = 1; router <= 10; router++)
		tell(e, router, "active", "");
	settle(e, 10);
	assert_in_range(mono_since(clock_boot(), start).ns / 1000000, 290, 2000);
	errands_close(e);
}

static void the_oldest_is_lost_when_a_program_is_too_slow(void **state)
{
	struct errands *e = begin();
	struct errands_counters c;
	char text[512], to[2] = "a";
	static char names[NOTIFY_QUEUE_MAX + 4][2];

	program_write("[ -e ${0%notify}output ] || sleep 0.3; echo -n $4 >> ${0%notify}output");
	for (unsigned int i = 0; i < NOTIFY_QUEUE_MAX + 4; i++) {
		names[i][0] = (char)(to[0] + (char)i);
		tell(e, 1, names[i], "");
		if (i == 0)
			usleep(100000); /* it runs, the rest waits */
	}
	settle(e, NOTIFY_QUEUE_MAX + 4);
	output_read(text, sizeof(text));
	assert_string_equal(text, "aefghijklmnopqrst");
	errands_counters(e, &c);
	assert_int_equal(c.lost, 3);
	errands_close(e);
}

static void what_is_queued_is_told_at_the_end(void **state)
{
	struct errands *e = begin();
	char text[512];

	program_write("echo -n $4 >> ${0%notify}output");
	tell(e, 1, "a", "");
	tell(e, 1, "b", "");
	tell(e, 1, "c", "");
	errands_close(e);
	output_read(text, sizeof(text));
	assert_string_equal(text, "abc");
}

static void a_hung_program_does_not_keep_the_end(void **state)
{
	struct errands *e = begin();
	mono_t start = clock_boot();

	program_write("sleep 60");
	tell(e, 1, "active", "");
	errands_close(e);
	assert_in_range(mono_since(clock_boot(), start).ns / 1000000, NOTIFY_LAST_MS - 1,
			NOTIFY_LAST_MS + 500);
}

static void a_program_of_others_is_not_run(void **state)
{
	struct errands *e = begin();
	struct errands_counters c;
	char text[16];

	program_write("echo -n ran > ${0%notify}output");
	assert_int_equal(chmod(program, 0777), 0);
	tell(e, 1, "active", "");
	settle(e, 1);
	errands_counters(e, &c);
	assert_int_equal(c.lost, 1);
	assert_int_equal(output_read(text, sizeof(text)), 0);
	errands_close(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_is_told_everything),
		cmocka_unit_test(one_at_a_time_and_in_order),
		cmocka_unit_test(routers_do_not_wait_for_each_other),
		cmocka_unit_test(the_oldest_is_lost_when_a_program_is_too_slow),
		cmocka_unit_test(what_is_queued_is_told_at_the_end),
		cmocka_unit_test(a_hung_program_does_not_keep_the_end),
		cmocka_unit_test(a_program_of_others_is_not_run),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "skipped: programs that are told must belong to root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, enter, leave);
}
