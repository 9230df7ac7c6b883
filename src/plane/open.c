/* From nothing to loaded programs: the bpffs, the pinned maps, the verifier. */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "plane/internal.h"
#include "vmac.skel.h"

#define BPFFS_MAGIC 0xcafe4a11
#define MAPS_MAX    48

static_assert(SLOT_PORTS == PORTS_MAX, "a port's id is its slot");
static_assert(NET_PORTS_MAX == SEGMENT_PORTS_MAX, "one limit, two names");
static_assert(UPLINKS_MAX == 15, "four bits of a net");
static_assert(ROW_IP4_MAX >= VMAC_IPS_MAX && ROW_IP6_MAX >= VMAC_IPS_MAX + 1, "all fit");
static_assert(ROUTER_SLOTS == PLANE_ROUTERS_MAX, "one limit, two names");
static_assert(ROW_ROUTERS_MAX == PORT_ROUTERS_MAX, "one limit, two names");
static_assert(SLOT_COUNT <= CLAIM_SLOT_0 && CLAIM_SLOT_0 + CLAIMS_MAX <= 65536,
	      "16 bits, disjoint");
static_assert(PLANE_CLOSED == GATE_IS_CLOSED && PLANE_TUNNEL_IN == GATE_IS_TUNNEL_IN &&
		      PLANE_OPEN == GATE_IS_OPEN && PLANE_REDIRECT == GATE_IS_REDIRECT &&
		      PLANE_FENCED == GATE_IS_FENCED,
	      "one numbering of gates");
static_assert(PLANE_FLIPPED == EVENT_FLIPPED && PLANE_SPOKE == EVENT_SPOKE &&
		      PLANE_STRANGER == EVENT_STRANGER && PLANE_ANSWERED == EVENT_ANSWERED &&
		      PLANE_FACE_STRANGER == EVENT_FACE &&
		      PLANE_ADDRESS_STRANGER == EVENT_ADDRESS && PLANE_EVENT_FRAME == EVENT_FRAME,
	      "one numbering of events");
static_assert((PORTS_MAX + 1) * (sizeof(struct event) + 8) <= EVENTS_OCTETS / 2,
	      "a flip of every port has room");
static_assert(PLANE_ANNOUNCE_MARK == MARK_ANNOUNCE, "one mark, two names");
static_assert(TUNNEL_PEERS == TUNNEL_PEERS_MAX, "one limit, two names");
static_assert(DROP_REASON_COUNT <= PLANE_REASONS_MAX, "plane.h's array is large enough");

/* --- what libbpf says ------------------------------------------------------------------------ */

/* libbpf's messages: to our log, and the last telling one into the error.  libbpf has one printer
 * for the whole process, which the thread of the routers calls, too. */
static _Thread_local char last_words[200];

static int on_libbpf_print(enum libbpf_print_level level, const char *fmt, va_list args)
{
	char line[1024], *end;

	if (level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(line, sizeof(line), fmt, args);
	end = strchr(line, '\n');
	if (end)
		*end = '\0';
	if (!strstr(line, "-- "))
		snprintf(last_words, sizeof(last_words), "%.*s", (int)sizeof(last_words) - 1, line);
	log_debug("%s", line);
	return 0;
}

/* --- bpffs ----------------------------------------------------------------------------------- */

static int bpffs_ready(const char *path, struct error *ret_error)
{
	struct statfs fs;

	if (statfs(path, &fs) == 0 && (unsigned long)fs.f_type == BPFFS_MAGIC)
		return 0;
	if (errno == ENOENT && mkdir(path, 0700) < 0)
		return error_set(ret_error, ERROR_KERNEL_UNSUPPORTED,
				 "use a kernel with CONFIG_BPF_SYSCALL, and mount /sys",
				 "there is no place for the BPF file system at %s: %s", path,
				 strerror(errno));
	if (mount("bpf", path, "bpf", 0, "mode=0700") == 0)
		return 0;
	if (errno == ENODEV)
		return error_set(ret_error, ERROR_KERNEL_UNSUPPORTED,
				 "use a kernel with CONFIG_BPF_SYSCALL",
				 "this kernel has no BPF file system");
	return error_set(ret_error, errno == EPERM ? ERROR_FORBIDDEN : ERROR_KERNEL_FAILED,
			 "vmacd needs CAP_SYS_ADMIN to mount it; or mount it before",
			 "cannot mount the BPF file system at %s: %s", path, strerror(errno));
}

static int make_dir(const char *path, struct error *ret_error)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return 0;
	return error_set(ret_error,
			 errno == EPERM || errno == EACCES ? ERROR_FORBIDDEN : ERROR_KERNEL_FAILED,
			 NULL, "cannot make %s: %s", path, strerror(errno));
}

static void remove_dir(const char *path)
{
	char child[PATH_MAX];
	struct dirent *e;
	DIR *dir = opendir(path);

	if (!dir)
		return;
	while ((e = readdir(dir))) {
		if (e->d_name[0] != '.' && (size_t)snprintf(child, sizeof(child), "%s/%s", path,
							    e->d_name) < sizeof(child))
			unlink(child);
	}
	closedir(dir);
	rmdir(path);
}

/* Finds every schema's directory but `but` (NULL: all of them) and, if told so, removes it. Returns
 * how many there were. */
static unsigned int old_schemas(struct plane *p, const char *but, bool remove)
{
	unsigned int count = 0;
	char child[PATH_MAX];
	struct dirent *e;
	DIR *dir = opendir(p->dir);

	if (!dir)
		return 0;
	while ((e = readdir(dir))) {
		snprintf(child, sizeof(child), "%s/%s", p->dir, e->d_name);
		if (strncmp(e->d_name, "maps", 4) != 0 || (but && strcmp(child, but) == 0))
			continue;
		count++;
		if (remove)
			remove_dir(child);
	}
	closedir(dir);
	return count;
}

void plane_drop_pins(struct plane *p)
{
	old_schemas(p, NULL, true);
	remove_dir(p->attach.links);
	rmdir(p->dir);
}

/* --- maps ------------------------------------------------------------------------------------ */

struct map_pins {
	struct bpf_map *map[MAPS_MAX];
	int fd[MAPS_MAX]; /* what an earlier run pinned, or -1 */
	unsigned int count;
};

static void map_pins_done(struct map_pins *pins)
{
	for (unsigned int i = 0; i < pins->count; i++)
		if (pins->fd[i] >= 0)
			close(pins->fd[i]);
}

static bool map_fits(int fd, const struct bpf_map *map)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) == 0 &&
	       info.type == (__u32)bpf_map__type(map) && info.key_size == bpf_map__key_size(map) &&
	       info.value_size == bpf_map__value_size(map) &&
	       info.max_entries == bpf_map__max_entries(map) &&
	       info.map_flags == bpf_map__map_flags(map);
}

static void pin_path(const struct plane *p, const struct bpf_map *map, char path[static PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s", p->maps, bpf_map__name(map));
}

/* Opens what is pinned; all of it must fit, or none is taken. */
static bool map_pins_find(struct plane *p, struct map_pins *pins)
{
	struct bpf_map *map;
	char path[PATH_MAX];
	bool all = true;

	bpf_object__for_each_map(map, p->bpf->obj)
	{
		if (bpf_map__is_internal(map))
			continue; /* our constants: loaded anew each time */
		assert(pins->count < MAPS_MAX);
		pin_path(p, map, path);
		pins->map[pins->count] = map;
		pins->fd[pins->count] = bpf_obj_get(path);
		if (pins->fd[pins->count] < 0 || !map_fits(pins->fd[pins->count], map))
			all = false;
		pins->count++;
	}
	return all;
}

int plane_pin_maps(struct plane *p, struct error *ret_error)
{
	struct bpf_map *map;
	char path[PATH_MAX];
	int r;

	old_schemas(p, NULL, true);
	r = make_dir(p->maps, ret_error);
	if (r < 0)
		return r;
	bpf_object__for_each_map(map, p->bpf->obj)
	{
		if (bpf_map__is_internal(map))
			continue;
		pin_path(p, map, path);
		r = bpf_obj_pin(bpf_map__fd(map), path);
		if (r < 0)
			return error_set(ret_error, ERROR_KERNEL_FAILED, NULL, "cannot pin %s: %s",
					 path, strerror(-r));
	}
	return 0;
}

/* --- load ------------------------------------------------------------------------------------ */

static unsigned int kernel_ticks(void)
{
	struct timespec tick;

	/* The coarse clock moves once a tick. */
	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) < 0 || tick.tv_nsec <= 0)
		return 250;
	return (unsigned int)(1000000000 / tick.tv_nsec);
}

static int load_failed(int r, struct error *ret_error)
{
	if (r == -ENOSYS)
		return error_set(ret_error, ERROR_KERNEL_UNSUPPORTED,
				 "use a kernel with CONFIG_BPF_SYSCALL",
				 "this kernel has no BPF system call");
	if (r == -EPERM)
		return error_set(ret_error, ERROR_FORBIDDEN,
				 "vmacd needs CAP_BPF and CAP_NET_ADMIN (or root)",
				 "the kernel does not let us load BPF programs");
	if (r == -ENOMEM)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL,
				 "the kernel has no memory for the BPF maps");
	return error_set(ret_error, ERROR_KERNEL_FAILED, "Linux 5.15 or later is needed",
			 "the kernel refused our BPF programs: %s (%s)", strerror(-r), last_words);
}

static struct tables_fds fds_of(const struct vmac_bpf *bpf)
{
	return (struct tables_fds){
		.index_near = bpf_map__fd(bpf->maps.index_near),
		.index_far = bpf_map__fd(bpf->maps.index_far),
		.rows = bpf_map__fd(bpf->maps.rows),
		.fdb = bpf_map__fd(bpf->maps.fdb),
		.fdb_near = bpf_map__fd(bpf->maps.fdb_near),
		.members = bpf_map__fd(bpf->maps.members),
		.heads = bpf_map__fd(bpf->maps.heads),
		.uplink_macs = bpf_map__fd(bpf->maps.uplink_macs),
		.counters = bpf_map__fd(bpf->maps.counters),
		.drops = bpf_map__fd(bpf->maps.drops),
		.claims = bpf_map__fd(bpf->maps.claims),
		.gates = bpf_map__fd(bpf->maps.gates),
		.tunnel = bpf_map__fd(bpf->maps.tunnel),
		.port_clusters = bpf_map__fd(bpf->maps.port_clusters),
	};
}

static struct gates_fds gates_fds_of(const struct vmac_bpf *bpf)
{
	return (struct gates_fds){
		.events = bpf_map__fd(bpf->maps.events),
		.peers = bpf_map__fd(bpf->maps.tunnel_peers),
		.vnis = bpf_map__fd(bpf->maps.tunnel_vnis),
		.nets = bpf_map__fd(bpf->maps.tunnel_nets),
	};
}

static struct routers_fds routers_fds_of(const struct vmac_bpf *bpf)
{
	return (struct routers_fds){
		.routers = bpf_map__fd(bpf->maps.routers),
		.slots = bpf_map__fd(bpf->maps.router_slots),
		.maybe = bpf_map__fd(bpf->maps.router_maybe),
		.ips = bpf_map__fd(bpf->maps.router_ips),
		.counts = bpf_map__fd(bpf->maps.router_counts),
	};
}

static struct clusters_fds clusters_fds_of(const struct vmac_bpf *bpf)
{
	return (struct clusters_fds){
		.slots = bpf_map__fd(bpf->maps.clusters),
		.confs = bpf_map__fd(bpf->maps.cluster_confs),
		.rows = bpf_map__fd(bpf->maps.cluster_rows),
		.members = bpf_map__fd(bpf->maps.cluster_members),
		.member_counts = bpf_map__fd(bpf->maps.cluster_member_counts),
		.counts = bpf_map__fd(bpf->maps.cluster_counts),
		.flows = bpf_map__fd(bpf->maps.flows),
		.ips = bpf_map__fd(bpf->maps.cluster_ips),
	};
}

static int load_with(struct plane *p, struct map_pins *pins, struct error *ret_error)
{
	struct clusters_fds clusters;
	struct routers_fds routers;
	struct gates_fds gates;
	struct tables_fds fds;
	int r;

	p->maps_reused = map_pins_find(p, pins);
	for (unsigned int i = 0; p->maps_reused && i < pins->count; i++) {
		r = bpf_map__reuse_fd(pins->map[i], pins->fd[i]);
		if (r < 0)
			return load_failed(r, ret_error);
	}
	r = vmac_bpf__load(p->bpf);
	if (r < 0)
		return load_failed(r, ret_error);
	p->deferred = !p->maps_reused && old_schemas(p, NULL, false) > 0;
	if (!p->maps_reused && !p->deferred) {
		r = plane_pin_maps(p, ret_error);
		if (r < 0)
			return r;
	}
	fds = fds_of(p->bpf);
	r = tables_open(&p->tables, &fds);
	if (r < 0)
		return load_failed(r, ret_error);
	gates = gates_fds_of(p->bpf);
	gates_open(p, &gates);
	clusters = clusters_fds_of(p->bpf);
	r = clusters_open(p, &clusters);
	if (r < 0)
		return load_failed(r, ret_error);
	routers = routers_fds_of(p->bpf);
	r = routers_open(p, &routers, p->deferred);
	return r < 0 ? load_failed(r, ret_error) : 0;
}

int plane_load(struct plane *p, struct error *ret_error)
{
	struct map_pins pins = { .count = 0 };
	int r;

	libbpf_set_print(on_libbpf_print);
	last_words[0] = '\0';
	p->bpf = vmac_bpf__open();
	if (!p->bpf)
		return load_failed(-errno, ret_error);
	p->bpf->rodata->ticks_per_second = kernel_ticks();
	r = load_with(p, &pins, ret_error);
	map_pins_done(&pins);
	return r;
}

int plane_program_fd(const struct plane *p, enum plane_program which)
{
	switch (which) {
	case PROGRAM_PORT:
		return bpf_program__fd(p->bpf->progs.vmac_port);
	case PROGRAM_UPLINK_IN:
		return bpf_program__fd(p->bpf->progs.vmac_uplink_in);
	case PROGRAM_UPLINK_OUT:
		return bpf_program__fd(p->bpf->progs.vmac_uplink_out);
	case PROGRAM_DROP_NET:
		return bpf_program__fd(p->bpf->progs.vmac_drop_net);
	case PROGRAM_ROUTER_IN:
		return bpf_program__fd(p->bpf->progs.vmac_router_in);
	case PROGRAM_ROUTER_OUT:
		return bpf_program__fd(p->bpf->progs.vmac_router_out);
	case PROGRAM_TUNNEL_IN:
		return bpf_program__fd(p->bpf->progs.vmac_tunnel_in);
	}
	assert(!"a program of ours");
	return -1;
}

/* --- open and close -------------------------------------------------------------------------- */

static int check_config(const struct plane_config *c, struct error *ret_error)
{
	size_t len = strspn(c->instance, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					 "0123456789_-");

	if (len == 0 || len > 32 || c->instance[len])
		return error_set(ret_error, ERROR_BAD_NAME,
				 "use 1 to 32 letters, digits, '_' and '-'",
				 "'%s' is no name for an instance", c->instance);
	if (c->bpffs && strlen(c->bpffs) > 48)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "the path of the BPF file system is longer than 48 octets");
	if (c->attach && strcmp(c->attach, "tcx") && strcmp(c->attach, "clsact"))
		return error_set(ret_error, ERROR_BAD_VALUE, "use \"tcx\" or \"clsact\"",
				 "'%s' is no way to attach", c->attach);
	if (c->attach && !strcmp(c->attach, "tcx") && !attach_has_tcx())
		return error_set(ret_error, ERROR_KERNEL_UNSUPPORTED, "Linux 6.6 has it",
				 "this kernel has no tcx");
	return 0;
}

/* Two that set and sweep the same pins would take each other's ports away. */
static int lock_dir(struct plane *p, const char *instance, struct error *ret_error)
{
	p->lock_fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->lock_fd >= 0 && flock(p->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (p->lock_fd >= 0 && errno == EWOULDBLOCK)
		return error_set(ret_error, ERROR_ALREADY_RUNNING,
				 "stop it first, or choose another --instance",
				 "another vmacd has the data plane of instance '%s'", instance);
	return error_set(ret_error, ERROR_KERNEL_FAILED, NULL, "cannot lock %s: %s", p->dir,
			 strerror(errno));
}

static int open_dirs(struct plane *p, const struct plane_config *c, struct error *ret_error)
{
	const char *bpffs = c->bpffs ? c->bpffs : "/sys/fs/bpf";
	bool tcx = c->attach ? strcmp(c->attach, "tcx") == 0 : attach_has_tcx();
	char links[128];
	int r;

	r = bpffs_ready(bpffs, ret_error);
	if (r < 0)
		return r;
	snprintf(p->dir, sizeof(p->dir), "%s/vmac", bpffs);
	r = make_dir(p->dir, ret_error);
	if (r < 0)
		return r;
	snprintf(p->dir, sizeof(p->dir), "%s/vmac/%s", bpffs, c->instance);
	r = make_dir(p->dir, ret_error);
	if (r < 0)
		return r;
	r = lock_dir(p, c->instance, ret_error);
	if (r < 0)
		return r;
	snprintf(p->maps, sizeof(p->maps), "%s/maps%d", p->dir, VMAC_SCHEMA);
	snprintf(links, sizeof(links), "%s/links", p->dir);
	attach_init(&p->attach, tcx, c->instance, links);
	return make_dir(links, ret_error);
}

/* After a failure, of directories that hold nothing: those of an earlier run hold its pins. */
static void leave_no_empty_dirs(const struct plane *p)
{
	char links[128];

	if (p->lock_fd < 0)
		return;
	snprintf(links, sizeof(links), "%s/links", p->dir);
	rmdir(links);
	rmdir(p->maps);
	rmdir(p->dir);
}

int plane_open(const struct plane_config *config, struct plane **ret, struct error *ret_error)
{
	struct plane *p;
	int r;

	r = check_config(config, ret_error);
	if (r < 0)
		return r;
	/* Big, and mostly never used: so that it is not there before it is. */
	p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "no memory for the data plane");
	p->lock_fd = -1;
	r = open_dirs(p, config, ret_error);
	if (r == 0)
		r = plane_load(p, ret_error);
	if (r < 0) {
		leave_no_empty_dirs(p);
		plane_close(p);
		return r;
	}
	*ret = p;
	return 0;
}

void plane_close(struct plane *p)
{
	if (!p)
		return;
	routers_close(p->routers);
	clusters_close(p->clusters);
	gates_close(p);
	if (p->tables.counter_buffer)
		tables_close(&p->tables);
	vmac_bpf__destroy(p->bpf);
	if (p->lock_fd >= 0)
		close(p->lock_fd);
	munmap(p, sizeof(*p));
}

void plane_facts(const struct plane *p, struct plane_facts *ret)
{
	*ret = (struct plane_facts){
		.attach = p->attach.tcx ? "tcx" : "clsact",
		.schema = VMAC_SCHEMA,
		.ports = p->port_count,
		.uplinks = p->uplink_count,
		.maps_reused = p->maps_reused,
	};
}
