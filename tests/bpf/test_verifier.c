/* The programs under verifiers older than this machine's.
 *
 * Linux 6.1, which is Debian 12's own, adds each frame's stack up in steps of 32 octets along every
 * chain of calls, and takes 512; and all take 1,000,000 instructions, of which an older one needs
 * more than a newer.  What this machine takes may be refused there, so there is room to be left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#define STACK_MAX    512
#define STACK_STEP   32
#define VERIFIED_MAX 300000
#define PARTS_MAX    256

/* A program and the functions that it calls, as the kernel gets them: one after another. */
struct part {
	int start, end;
	int depth; /* of its own stack */
	int chain; /* with the deepest chain of calls; 0 = not known yet */
};

static const char *path;

static int part_of(const struct part *parts, int count, int start)
{
	for (int i = 0; i < count; i++)
		if (parts[i].start == start)
			return i;
	return -1;
}

static bool calls(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_CALL) && insn->src_reg == BPF_PSEUDO_CALL;
}

static int compare(const void *a, const void *b)
{
	return ((const struct part *)a)->start - ((const struct part *)b)->start;
}

static int find_parts(const struct bpf_insn *insns, int len, struct part *parts)
{
	int count = 1;

	parts[0] = (struct part){ 0 };
	for (int i = 0; i < len; i++) {
		int start = i + insns[i].imm + 1;

		if (!calls(&insns[i]) || part_of(parts, count, start) >= 0)
			continue;
		assert_true(count < PARTS_MAX);
		parts[count++] = (struct part){ .start = start };
	}
	qsort(parts, (size_t)count, sizeof(*parts), compare);
	for (int i = 0; i < count; i++)
		parts[i].end = i + 1 < count ? parts[i + 1].start : len;
	return count;
}

/* By what is read and written below the frame pointer, and by pointers that are made from it. */
static int own_depth(const struct bpf_insn *insns, const struct part *p)
{
	bool is_frame[11] = { false };
	int deepest = 0, at;

	for (int i = p->start; i < p->end; i++) {
		const struct bpf_insn *n = &insns[i];
		unsigned int class = BPF_CLASS(n->code);

		at = 0;
		if ((class == BPF_LDX && n->src_reg == BPF_REG_10) ||
		    ((class == BPF_ST || class == BPF_STX) && n->dst_reg == BPF_REG_10))
			at = -n->off;
		else if (n->code == (BPF_ALU64 | BPF_ADD | BPF_K) && is_frame[n->dst_reg])
			at = -n->imm;
		if (n->code == (BPF_ALU64 | BPF_MOV | BPF_X))
			is_frame[n->dst_reg] = n->src_reg == BPF_REG_10;
		else if (class == BPF_LDX || class == BPF_ALU || class == BPF_ALU64)
			is_frame[n->dst_reg] = false;
		if (at > deepest)
			deepest = at;
	}
	return deepest;
}

static int chain_depth(const struct bpf_insn *insns, struct part *parts, int count, int which)
{
	struct part *p = &parts[which];
	int deepest = 0, own = p->depth > 0 ? p->depth : 1;

	if (p->chain)
		return p->chain;
	for (int i = p->start; i < p->end; i++) {
		int called, depth;

		if (!calls(&insns[i]))
			continue;
		called = part_of(parts, count, i + insns[i].imm + 1);
		assert_true(called >= 0);
		depth = chain_depth(insns, parts, count, called);
		if (depth > deepest)
			deepest = depth;
	}
	p->chain = (own + STACK_STEP - 1) / STACK_STEP * STACK_STEP + deepest;
	return p->chain;
}

static void check_program(const struct bpf_program *program)
{
	const struct bpf_insn *insns = bpf_program__insns(program);
	int len = (int)bpf_program__insn_cnt(program), count, depth;
	struct bpf_prog_info info = { 0 };
	uint32_t info_len = sizeof(info);
	struct part parts[PARTS_MAX];

	count = find_parts(insns, len, parts);
	for (int i = 0; i < count; i++)
		parts[i].depth = own_depth(insns, &parts[i]);
	depth = chain_depth(insns, parts, count, part_of(parts, count, 0));
	assert_int_equal(bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &info_len), 0);
	printf("%-16s %6d instructions in %2d functions, %3d octets of stack, %6u verified\n",
	       bpf_program__name(program), len, count, depth, info.verified_insns);
	assert_in_range(depth, 1, STACK_MAX);
	assert_in_range(info.verified_insns, 1, VERIFIED_MAX);
}

static void programs_leave_room(void **state)
{
	struct bpf_object *object = bpf_object__open(path);
	struct bpf_program *program;
	unsigned int seen = 0;

	assert_non_null(object);
	assert_int_equal(bpf_object__load(object), 0);
	bpf_object__for_each_program(program, object)
	{
		check_program(program);
		seen++;
	}
	assert_true(seen >= 7);
	bpf_object__close(object);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(programs_leave_room),
	};

	if (argc != 2) {
		fprintf(stderr, "%s: the object with the programs is wanted\n", argv[0]);
		return 2;
	}
	path = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
