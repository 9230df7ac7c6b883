/* Hanging programs on links: see attach.h for the theory. */
#include "plane/attach.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/log.h"

/* enum bpf_attach_type as of Linux 6.6; older headers do not name them, the kernel knows. */
#define TCX_INGRESS ((enum bpf_attach_type)46)
#define TCX_EGRESS  ((enum bpf_attach_type)47)
#define TCX_FIRST   (1u << 3) /* BPF_F_BEFORE, before nobody in particular */

/* Preferences of our filters: leases and switch early, with room before; the net behind everything.
 */
#define PREF_ROUTER   6
#define PREF_SWITCH   7
#define PREF_DROP_NET 65000

static void close_fd_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static bool is_egress(enum attach_side side)
{
	return side == ATTACH_UPLINK_OUT || side == ATTACH_ROUTER_OUT;
}

static bool is_router(enum attach_side side)
{
	return side == ATTACH_ROUTER_IN || side == ATTACH_ROUTER_OUT;
}

static uint32_t pref_of(enum attach_side side)
{
	return is_router(side) ? PREF_ROUTER : PREF_SWITCH;
}

static const char *what_of(enum attach_side side)
{
	return is_router(side) ? "lease program" : "switch program";
}

static enum bpf_attach_type tcx_type(enum attach_side side)
{
	return is_egress(side) ? TCX_EGRESS : TCX_INGRESS;
}

bool attach_has_tcx(void)
{
	__u32 count = 0;

	/* The loopback is 1 in every network namespace; a kernel before 6.6 does not know the type.
	 */
	return bpf_prog_query(1, TCX_INGRESS, 0, NULL, NULL, &count) != -EINVAL;
}

void attach_init(struct attach *a, bool tcx, const char *instance, const char *links)
{
	memset(a, 0, sizeof(*a));
	a->tcx = tcx;
	a->handle = (uint32_t)hash_bytes(instance, strlen(instance), 0) | 1;
	snprintf(a->links, sizeof(a->links), "%s", links);
}

/* --- errors ---------------------------------------------------------------------------------- */

static int attach_failed(int r, int ifindex, const char *what, struct error *ret_error)
{
	char ifname[IF_NAMESIZE];

	if (r == -ENODEV || !if_indextoname((unsigned int)ifindex, ifname))
		return error_set(ret_error, ERROR_NO_INTERFACE,
				 "the link was deleted; make it again or delete the port",
				 "interface %d does not exist", ifindex);
	return error_set(ret_error, r == -EPERM ? ERROR_FORBIDDEN : ERROR_KERNEL_FAILED, NULL,
			 "cannot put the %s on %s: %s", what, ifname, strerror(-r));
}

/* --- clsact ---------------------------------------------------------------------------------- */

static enum bpf_tc_attach_point tc_point(enum attach_side side)
{
	return is_egress(side) ? BPF_TC_EGRESS : BPF_TC_INGRESS;
}

static int filter_set(const struct attach *a, int ifindex, enum attach_side side, uint32_t pref,
		      int program_fd, const char *what, struct error *ret_error)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = tc_point(side));
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = a->handle, .priority = pref, .prog_fd = program_fd,
		    .flags = BPF_TC_F_REPLACE);
	int r = bpf_tc_hook_create(&hook);

	if (r < 0 && r != -EEXIST) {
		if (r == -ENOENT || r == -EOPNOTSUPP || r == -ENOSYS)
			return error_set(
				ret_error, ERROR_KERNEL_UNSUPPORTED,
				"load sch_ingress, or use a kernel that has it",
				"this kernel has no clsact qdisc (CONFIG_NET_SCH_INGRESS)");
		return attach_failed(r, ifindex, "clsact qdisc", ret_error);
	}
	r = bpf_tc_attach(&hook, &opts);
	if (r == -ENOENT || r == -EOPNOTSUPP)
		return error_set(ret_error, ERROR_KERNEL_UNSUPPORTED,
				 "load cls_bpf, or use a kernel that has it",
				 "this kernel has no BPF classifier (CONFIG_NET_CLS_BPF)");
	return r < 0 ? attach_failed(r, ifindex, what, ret_error) : 0;
}

static bool filter_exists(const struct attach *a, int ifindex, enum attach_side side, uint32_t pref)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = tc_point(side));
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = a->handle, .priority = pref);

	return bpf_tc_query(&hook, &opts) == 0;
}

static bool filter_clear(const struct attach *a, int ifindex, enum attach_side side, uint32_t pref)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = tc_point(side));
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = a->handle, .priority = pref);

	if (!filter_exists(a, ifindex, side, pref))
		return false;
	return bpf_tc_detach(&hook, &opts) == 0;
}

int attach_drop_net_set(const struct attach *a, int ifindex, int program_fd,
			struct error *ret_error)
{
	return filter_set(a, ifindex, ATTACH_PORT, PREF_DROP_NET, program_fd, "drop net",
			  ret_error);
}

bool attach_drop_net_clear(const struct attach *a, int ifindex)
{
	return filter_clear(a, ifindex, ATTACH_PORT, PREF_DROP_NET);
}

bool attach_clear_filters(const struct attach *a, int ifindex)
{
	bool in = filter_clear(a, ifindex, ATTACH_PORT, PREF_SWITCH);
	bool out = filter_clear(a, ifindex, ATTACH_UPLINK_OUT, PREF_SWITCH);

	return in || out;
}

bool attach_clear_router_filters(const struct attach *a, int ifindex)
{
	bool in = filter_clear(a, ifindex, ATTACH_ROUTER_IN, PREF_ROUTER);
	bool out = filter_clear(a, ifindex, ATTACH_ROUTER_OUT, PREF_ROUTER);

	return in || out;
}

/* --- tcx ------------------------------------------------------------------------------------- */

static void link_path(const struct attach *a, const char *name, char path[static PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s", a->links, name);
}

/* The ifindex that a tcx link hangs on; 0 when its device is gone, negative on error. */
static int link_ifindex(int fd)
{
	struct bpf_link_info info = { 0 };
	__u32 len = sizeof(info);
	int r = bpf_obj_get_info_by_fd(fd, &info, &len);

	/* tcx.ifindex is the first word of the union; older headers know only xdp's at that place.
	 */
	return r < 0 ? r : (int)info.xdp.ifindex;
}

static bool link_clear(const char *path)
{
	int fd CLEANUP(close_fd_p) = bpf_obj_get(path);

	if (fd < 0)
		return false;
	bpf_link_detach(fd);
	unlink(path);
	return true;
}

static int link_set(const struct attach *a, const char *name, int ifindex, enum attach_side side,
		    int program_fd, bool keep, struct error *ret_error)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .flags = side == ATTACH_PORT || side == ATTACH_TUNNEL || is_router(side)
				     ? TCX_FIRST
				     : 0);
	int old CLEANUP(close_fd_p) = -1, fresh CLEANUP(close_fd_p) = -1, r;
	char path[PATH_MAX];

	link_path(a, name, path);
	old = bpf_obj_get(path);
	if (old >= 0 && link_ifindex(old) == ifindex) {
		if (keep)
			return 0;
		r = bpf_link_update(old, program_fd, NULL);
		return r < 0 ? attach_failed(r, ifindex, what_of(side), ret_error) : 0;
	}
	if (old >= 0)
		link_clear(path);
	fresh = bpf_link_create(program_fd, ifindex, tcx_type(side), &opts);
	if (fresh < 0)
		return attach_failed(fresh, ifindex, what_of(side), ret_error);
	r = bpf_obj_pin(fresh, path);
	return r < 0 ? attach_failed(r, ifindex, "pin of the program", ret_error) : 0;
}

unsigned int attach_sweep_links(const struct attach *a,
				bool (*is_kept)(void *ctx, const char *name), void *ctx)
{
	unsigned int removed = 0;
	char path[PATH_MAX];
	struct dirent *e;
	DIR *dir = opendir(a->links);

	if (!dir)
		return 0;
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.' || is_kept(ctx, e->d_name))
			continue;
		link_path(a, e->d_name, path);
		if (link_clear(path))
			removed++;
	}
	closedir(dir);
	return removed;
}

static bool seen_one(void *ctx, const char *name)
{
	*(bool *)ctx = true;
	return true;
}

bool attach_any_link(const struct attach *a)
{
	bool any = false;

	attach_sweep_links(a, seen_one, &any);
	return any;
}

/* --- either ---------------------------------------------------------------------------------- */

int attach_set(const struct attach *a, const char *name, int ifindex, enum attach_side side,
	       int program_fd, bool keep, struct error *ret_error)
{
	char path[PATH_MAX];
	int r;

	if (a->tcx) {
		r = link_set(a, name, ifindex, side, program_fd, keep, ret_error);
		/* An earlier run may have used the other way: both at once would switch a frame
		 * twice. */
		if (r == 0 && !keep)
			filter_clear(a, ifindex, side, pref_of(side));
		return r;
	}
	if (keep && filter_exists(a, ifindex, side, pref_of(side)))
		return 0;
	r = filter_set(a, ifindex, side, pref_of(side), program_fd, what_of(side), ret_error);
	if (r == 0) {
		link_path(a, name, path);
		link_clear(path);
	}
	return r;
}

bool attach_clear(const struct attach *a, const char *name, int ifindex, enum attach_side side)
{
	bool had_link, had_filter;
	char path[PATH_MAX];

	link_path(a, name, path);
	/* The elections' thread must not wait for the grace period of each detachment: without its
	 * pin the kernel takes the link off by itself, in a moment.  Nobody needs it gone at once:
	 * without an address the lease programs let everything pass. */
	had_link = is_router(side) ? unlink(path) == 0 : link_clear(path);
	had_filter = ifindex > 0 && filter_clear(a, ifindex, side, pref_of(side));
	return had_link || had_filter;
}
