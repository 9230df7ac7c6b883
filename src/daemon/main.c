/* vmacd: opens the edges, starts the heart, serves until told to stop. */
#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "api/api.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/anchors.h"
#include "daemon/bootstrap.h"
#include "daemon/loop.h"
#include "daemon/options.h"
#include "elect/elect.h"
#include "engine/engine.h"
#include "host/clock.h"
#include "host/host.h"
#include "host/tunnel.h"
#include "model/record.h"
#include "plane/plane.h"
#include "store/shared.h"
#include "store/store.h"

/* --- what the pure rooms are given ----------------------------------------------------------- */

/* A registry of a million records has tables of tens of megabytes that are touched at random: in
 * huge pages they cost a hundredth of the faults and of the misses.  Advice only; what cannot be is
 * not. */
#define HUGE_FROM (4 * 1024 * 1024)

#define MALLOC_THRESHOLD (128 * 1024)

/* A big block is to cost what is used of it.  Where the C library makes one of memory that it has
 * had before it writes zeros to all of it; given back, that reads as zeros without being there. */
static void *heap_alloc(void *ctx, size_t size)
{
	char *p = calloc(1, size), *page;

	if (p && size >= MALLOC_THRESHOLD) {
		page = (char *)(((uintptr_t)p + 4095) & ~(uintptr_t)4095);
		madvise(page, (size_t)(p + size - page) & ~(size_t)4095, MADV_DONTNEED);
		if (size >= HUGE_FROM)
			madvise(page, (size_t)(p + size - page), MADV_HUGEPAGE);
	}
	return p;
}

static void heap_free(void *ctx, void *p)
{
	free(p);
}

static const struct mem heap = { heap_alloc, heap_free, NULL };

static void random_fill(void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = getrandom((char *)buf + done, len - done, 0);

		assert(n > 0 || errno == EINTR);
		done += n > 0 ? (size_t)n : 0;
	}
}

/* The journal reads the level from the prefix (sd-daemon(3)); a terminal is spared it. */
static void log_to_stderr(enum log_level level, const char *line)
{
	static const char *const prefix[] = {
		[LOG_LEVEL_ERROR] = SD_ERR,
		[LOG_LEVEL_WARNING] = SD_WARNING,
		[LOG_LEVEL_INFO] = SD_INFO,
		[LOG_LEVEL_DEBUG] = SD_DEBUG,
	};

	fprintf(stderr, "%s%s\n", getenv("JOURNAL_STREAM") ? prefix[level] : "vmacd: ", line);
}

static void log_start(const char *level)
{
	log_set(log_to_stderr, strcmp(level, "error") == 0     ? LOG_LEVEL_ERROR
			       : strcmp(level, "warning") == 0 ? LOG_LEVEL_WARNING
			       : strcmp(level, "debug") == 0   ? LOG_LEVEL_DEBUG
							       : LOG_LEVEL_INFO);
}

/* --- parts ----------------------------------------------------------------------------------- */

struct daemon {
	struct options *options;
	struct config *config;
	struct host *host;
	struct plane *plane;
	struct elect *elect;
	struct anchors *anchors;
	struct store *store;
	struct engine *engine;
	struct api *api;
};

/* Makes a directory with its parents; only the last one gets the mode. */
static int make_directory(const char *path, mode_t mode, struct error *ret_error)
{
	char part[PATH_MAX_LEN + 1];

	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(part, 0755);
		*slash = '/';
	}
	if (mkdir(path, mode) < 0 && errno != EEXIST) {
		enum error_code code = errno == EROFS	 ? ERROR_REGISTRY_READ_ONLY
				       : errno == ENOSPC ? ERROR_REGISTRY_FULL
							 : ERROR_FORBIDDEN;

		return error_set(ret_error, code, "run as root, or choose another place", "%s: %s",
				 path, strerror(errno));
	}
	return 0;
}

static int open_store(struct daemon *d, struct error *ret_error)
{
	struct store_config config = {
		.backend = d->config->registry.backend,
		.directory = d->config->state_dir,
		.mem = &heap,
	};
	int r = make_directory(config.directory, 0700, ret_error);

	return r < 0 ? r : store_open(&config, &d->store, ret_error);
}

static int open_kernel(struct daemon *d, struct error *ret_error)
{
	struct plane_config config = { .instance = d->config->instance };
	struct elect_config elections = {
		.state_dir = d->config->state_dir,
		.instance = d->config->instance,
	};
	int r = host_open(&d->host, ret_error);

	if (r == 0)
		r = host_pass_over(d->host, ELECT_GROUPS, ELECT_GROUPS_MASK, ret_error);
	if (r == 0)
		r = plane_open(&config, &d->plane, ret_error);
	elections.plane = d->plane;
	return r < 0 ? r : elect_open(&elections, &d->elect, ret_error);
}

/* Of an instance of another name beside the default one. */
static const char *tunnel_name(const struct daemon *d)
{
	static char name[IFNAME_MAX_LEN + 1];

	if (strcmp(d->config->instance, "default") == 0)
		return TUNNEL_IFNAME;
	snprintf(name, sizeof(name), "vt-%.12s", d->config->instance);
	return name;
}

/* It stays when we go, since frames may still need it; --purge takes it away. */
static int open_tunnel(struct daemon *d, struct engine_fleet *fleet, struct error *ret_error)
{
	struct host_tunnel tunnel = {
		.ifname = tunnel_name(d),
		.local = fleet->address,
		.port = fleet->tunnel_port,
	};
	struct host_link link;
	int r;

	if (!d->host || fleet->address.family == 0)
		return 0;
	r = host_tunnel_make(d->host, &tunnel, &link, ret_error);
	if (r == 0)
		fleet->tunnel_ifindex = link.ifindex;
	return r;
}

static span_t span_of(const char *text)
{
	int64_t ms = 0;

	duration_parse(text, &ms); /* config_check() has passed it */
	return SPAN_MS(ms);
}

static const char *or_none(const char *text)
{
	return text[0] ? text : NULL;
}

static void fill_shared(const struct config_shared *s, struct shared_config *ret)
{
	*ret = (struct shared_config){
		.backend = "etcd",
		.endpoint_count = s->endpoints_count,
		.prefix = s->prefix,
		.ca = or_none(s->ca),
		.cert = or_none(s->cert),
		.key = or_none(s->key),
		.user = or_none(s->user),
		.password_file = or_none(s->password_file),
		.timeout = span_of(s->timeout),
		.lease = span_of(s->lease),
		.reconcile = span_of(s->reconcile),
	};
	for (unsigned int i = 0; i < s->endpoints_count; i++)
		ret->endpoints[i] = s->endpoints[i];
}

/* This host among others. */
static int fill_fleet(struct daemon *d, struct engine_fleet *ret, struct error *ret_error)
{
	const struct config_host *h = &d->config->host;
	int r = 0;

	ret->name = h->name;
	ret->tunnel_port = (uint16_t)h->tunnel_port;
	ret->any_frame = strcmp(h->opens, "any-frame") == 0;
	if (h->address[0])
		ip_parse(h->address, &ret->address);
	if (h->cluster_key_file[0]) {
		r = config_cluster_key(h->cluster_key_file, ret->key, ret_error);
		ret->has_key = r == 0;
	} else {
		log_warning("host: cluster_key_file: none: a guest's move is confirmed by the "
			    "registry alone");
	}
	return r < 0 ? r : open_tunnel(d, ret, ret_error);
}

static int start_engine(struct daemon *d, struct error *ret_error)
{
	struct shared_config shared;
	struct engine_fleet fleet = { .shared = &shared };
	struct engine_config config = {
		.mem = &heap,
		.host = d->host,
		.plane = d->plane,
		.store = d->store,
		.elect = d->elect,
		.name = d->config->host.name,
		.mono_now = clock_boot,
		.wall_now = clock_wall,
		.random = random_fill,
	};
	struct anchors_parts parts = {
		.mem = &heap,
		.plane = d->plane,
		.store = d->store,
		.alone = !d->config->registry.shared,
		.now = clock_wall(),
	};
	int r = d->plane ? anchors_begin(&parts, &d->anchors, ret_error) : 0;

	config.anchors = d->anchors;
	if (r == 0 && d->config->registry.shared) {
		fill_shared(d->config->registry.shared, &shared);
		config.fleet = &fleet;
		r = fill_fleet(d, &fleet, ret_error);
	}
	if (r == 0)
		r = engine_new(&config, &d->engine, ret_error);
	return r < 0 ? r : engine_start(d->engine, ret_error);
}

static int open_api(struct daemon *d, struct error *ret_error)
{
	const struct config_socket *s = &d->config->socket;
	struct api_config config = {
		.engine = d->engine,
		.socket_path = s->path,
		.socket_gid = (gid_t)-1,
		.socket_mode = (mode_t)strtoul(s->mode, NULL, 8),
		.mono_now = clock_boot,
		.wall_now = clock_wall,
	};
	char directory[PATH_MAX_LEN + 1];
	struct group *group;
	int r;

	snprintf(directory, sizeof(directory), "%s", s->path);
	*strrchr(directory, '/') = '\0';
	r = directory[0] ? make_directory(directory, 0755, ret_error) : 0;
	if (r < 0)
		return r;
	if (s->group[0]) {
		group = getgrnam(s->group);
		if (!group)
			return error_set(ret_error, ERROR_BAD_CONFIG, "groupadd --system vmac",
					 "socket: there is no group '%s'", s->group);
		config.socket_gid = group->gr_gid;
	}
	return api_open(&config, &d->api, ret_error);
}

/* From the world inwards, so that nothing is asked of a part that has gone. */
static void close_all(struct daemon *d)
{
	api_close(d->api);
	if (d->engine)
		engine_leave(d->engine);
	store_close(d->store);
	/* Blocks until every router has handed over. */
	elect_close(d->elect);
	/* … and every face. */
	anchors_end(d->anchors);
	if (d->engine)
		engine_free(d->engine);
	plane_close(d->plane);
	host_close(d->host);
}

/* --- the configuration, at start and again on SIGHUP ------------------------------------------ */

/* All that can change while we run: the routers, what is to exist, how much is logged.  What cannot
 * is said, and a file that is wrong changes nothing at all. */
static void reload_done(void *ctx, const struct answer *answer)
{
	if (answer->error)
		log_error("configuration: nothing was changed: %s", answer->error->message);
	else
		log_info("configuration: in force");
	loop_reloaded();
}

static void reload(void *ctx)
{
	char differences[ERROR_TEXT_MAX];
	struct daemon *d = ctx;
	struct config *new;
	struct error error;

	if (options_reload(d->options, &new, &error) < 0) {
		log_error("configuration: nothing was changed: %s", error.message);
		if (error.hint[0])
			log_error("hint: %s", error.hint);
		loop_reloaded();
		return;
	}
	config_differences(d->config, new, differences, sizeof(differences));
	if (differences[0])
		log_warning("configuration: ignored until the next start: %s", differences);
	log_start(new->log_level);
	bootstrap(d->engine, new);
	bootstrap_routers(d->engine, new, reload_done, NULL);
	config_free(new);
}

static void started(void *ctx, const struct answer *answer)
{
	struct daemon *d = ctx;

	/* Those that the registry has are better than none. */
	if (answer->error)
		log_error("configuration: routers: nothing was changed: %s",
			  answer->error->message);
	engine_elect_start(d->engine);
}

static void joined(void *ctx)
{
	struct daemon *d = ctx;

	bootstrap(d->engine, d->config);
}

static int serve(struct daemon *d, bool with_plane, struct error *ret_error)
{
	struct loop_parts parts;
	int r;

	r = loop_block_signals();
	if (r < 0)
		return error_set(ret_error, ERROR_INTERNAL, "", "cannot block signals: %s",
				 strerror(-r));
	/* The store first: its lock is what keeps a second daemon from our state. */
	r = open_store(d, ret_error);
	if (r == 0 && with_plane)
		r = open_kernel(d, ret_error);
	if (r == 0)
		r = start_engine(d, ret_error);
	if (r == 0)
		r = open_api(d, ret_error);
	if (r < 0)
		return r;
	/* Among hosts, when it is known what these have made already. */
	engine_when_joined(d->engine, joined, d);
	bootstrap_routers(d->engine, d->config, started, d);
	config_routers_free(d->config); /* the engine has its own */
	parts = (struct loop_parts){
		.engine = d->engine,
		.store = d->store,
		.host = d->host,
		.elect = d->elect,
		.anchors = d->anchors,
		.plane = d->plane,
		.api = d->api,
		.reload = reload,
		.ctx = d,
	};
	log_info("serving at %s", d->config->socket.path);
	return loop_run(&parts, ret_error);
}

static int purge(struct daemon *d, struct error *ret_error)
{
	int r = open_kernel(d, ret_error);

	if (r < 0)
		return r;
	/* Elections without routers leave nothing of any behind. */
	elect_ready(d->elect);
	elect_close(TAKE_PTR(d->elect));
	r = host_tunnel_delete(d->host, tunnel_name(d), ret_error);
	if (r < 0)
		return r;
	return plane_purge(d->plane, ret_error);
}

int main(int argc, char **argv)
{
	struct daemon d = { 0 };
	struct options options;
	struct error error = { 0 };
	int status, r;

	status = options_read(argc, argv, &options);
	if (status >= 0)
		return status;
	/* Left to itself the C library learns from one big block to keep megabytes for the next. */
	mallopt(M_MMAP_THRESHOLD, MALLOC_THRESHOLD);
	mallopt(M_TRIM_THRESHOLD, MALLOC_THRESHOLD);
	d.options = &options;
	d.config = options.config;
	log_start(d.config->log_level);
	/* A client or a log reader that goes away must not take us along. */
	signal(SIGPIPE, SIG_IGN);
	if (options.check)
		r = config_print(options.config, false, stdout, &error);
	else if (options.purge)
		r = purge(&d, &error);
	else
		r = serve(&d, options.plane, &error);
	if (r < 0) {
		log_error("%s", error.message);
		if (error.hint[0])
			log_error("hint: %s", error.hint);
	}
	close_all(&d);
	config_free(options.config);
	return r < 0 ? error_exit_status(error.code) : 0;
}
