/* One machine in a test: it is made and emptied with every octet counted, and its errors are looked
 * at. */
#pragma once

#include <errno.h>

#include "support.h"

struct fixture {
	struct counting_mem c;
	struct pool_machine m;
	struct error e;
};

static inline void fixture_init(struct fixture *f, const struct pool *cfg)
{
	struct error e = { 0 };

	if (pool_config_check(cfg, &e) < 0)
		fail_msg("%s", e.message);
	memset(f, 0, sizeof(*f));
	counting_mem_init(&f->c);
	assert_int_equal(pool_machine_init(&f->m, cfg, &f->c.mem), 0);
}

static inline void fixture_done(struct fixture *f)
{
	pool_machine_done(&f->m);
	assert_int_equal(f->c.blocks, 0);
	assert_int_equal(f->c.octets, 0);
}

static inline vmac_mac_t take(struct fixture *f)
{
	vmac_mac_t mac;

	if (pool_machine_take(&f->m, NOW, &mac, &f->e) < 0)
		fail_msg("%s", f->e.message);
	return mac;
}

static inline vmac_mac_t take_stable(struct fixture *f, const char *identity)
{
	vmac_mac_t mac;

	if (pool_machine_take_stable(&f->m, identity, NOW, &mac, &f->e) < 0)
		fail_msg("%s", f->e.message);
	return mac;
}

static inline void expect_error(const struct fixture *f, int r, enum error_code code,
				const char *part)
{
	assert_int_equal(f->e.code, code);
	assert_int_equal(r, -error_errno(code));
	assert_contains(f->e.message, part);
	assert_true(f->e.hint[0] != '\0');
}
