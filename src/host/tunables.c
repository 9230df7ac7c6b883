/* /proc/sys/net values that are put back.
 *
 * Theory of operation.  A value of a link that is not ours is owed back from the moment that it is
 * changed, so the debt is written down first: the journal says what was there before and what we
 * set.  It is replaced as a whole (written aside, made durable, renamed), so there is never half of
 * one.  Whoever is killed at any instant leaves a journal that names at least what it changed.
 *
 * A debt is paid only to a value that is still what we set: anything else was set by somebody else
 * meanwhile, and is left.  What happened to be there already is owed to nobody; it is counted, but
 * not written down.
 *
 * The format: text, one line a tunable, fields parted by one tab.
 *
 *	vmac tunables 1<TAB>BOOT ID<TAB>INODE OF THE NETWORK NAMESPACE
 *	NAME<TAB>VALUE BEFORE<TAB>VALUE SET
 *
 * NAME is below /proc/sys, as in net/ipv4/conf/eth0/arp_ignore.  Tabs inside of a value are kept as
 * spaces, which the kernel takes as well.  A journal of another boot or namespace is about values
 * that are gone: it is begun anew. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "host/private.h"
#include "host/virtual.h"

#define TUNABLES_MAX 4096
#define NAME_LEN_MAX 95
#define VALUE_MAX    127
#define HEADER_MAX   127
#define MAGIC	     "vmac tunables 1"

struct tunable {
	char name[NAME_LEN_MAX + 1];
	char before[VALUE_MAX + 1], now[VALUE_MAX + 1];
	unsigned int count; /* 0 = of an earlier run, until it is settled */
};

struct tunables {
	char *path;
	char header[HEADER_MAX + 1];
	size_t count, capacity;
	struct tunable *items;
};

struct setting {
	const char *name, *value;
};

static void close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static void text_free_p(char **text)
{
	free(*text);
}

static void file_close_p(FILE **f)
{
	if (*f)
		fclose(*f);
}

static bool owed(const struct tunable *i)
{
	return strcmp(i->before, i->now) != 0;
}

static struct tunable *find(const struct tunables *t, const char *name)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->items[i].name, name) == 0)
			return &t->items[i];
	return NULL;
}

static void forget(struct tunables *t, struct tunable *i)
{
	*i = t->items[--t->count];
}

/* Makes room first; the item comes with name only. */
static struct tunable *remember(struct tunables *t, const char *name)
{
	struct tunable *i;

	if (t->count == t->capacity) {
		size_t capacity = t->capacity ? 2 * t->capacity : 16;

		i = reallocarray(t->items, capacity, sizeof(*i));
		if (!i)
			return NULL;
		t->items = i;
		t->capacity = capacity;
	}
	i = &t->items[t->count++];
	*i = (struct tunable){ 0 };
	snprintf(i->name, sizeof(i->name), "%s", name);
	return i;
}

/* --- the values ------------------------------------------------------------------------------ */

/* Only what is below net/, and by no detour. */
static bool name_ok(const char *name)
{
	return strncmp(name, "net/", 4) == 0 && strlen(name) <= NAME_LEN_MAX &&
	       !strstr(name, "/../") && !strpbrk(name, "\t\n");
}

static int value_open(const char *name, int flags, int *ret)
{
	char path[NAME_LEN_MAX + 16];

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	*ret = open(path, flags | O_CLOEXEC);
	return *ret < 0 ? -errno : 0;
}

static int value_read(const char *name, char ret[static VALUE_MAX + 1])
{
	char text[VALUE_MAX + 1];
	int fd CLEANUP(close_p) = -1;
	int r = value_open(name, O_RDONLY, &fd);
	ssize_t n;

	if (r < 0)
		return r;
	n = read(fd, text, sizeof(text));
	if (n < 0)
		return -errno;
	if (n > VALUE_MAX)
		return -EOVERFLOW;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	for (char *c = text; *c; c++)
		if (*c == '\t')
			*c = ' ';
	memcpy(ret, text, sizeof(text));
	return 0;
}

static int value_write(const char *name, const char *value)
{
	int fd CLEANUP(close_p) = -1;
	int r = value_open(name, O_WRONLY, &fd);

	if (r < 0)
		return r;
	return write(fd, value, strlen(value)) == (ssize_t)strlen(value) ? 0 : -errno;
}

static int value_fail(int r, struct error *ret_error, const char *verb, const char *name)
{
	switch (-r) {
	case ENOENT:
		return error_set(ret_error, ERROR_NOT_FOUND, NULL,
				 "cannot %s /proc/sys/%s: there is no such tunable (any more)",
				 verb, name);
	case EPERM:
	case EACCES:
	case EROFS:
		return error_set(ret_error, ERROR_FORBIDDEN,
				 "run as root; in a container, /proc/sys must be writable",
				 "cannot %s /proc/sys/%s: %s", verb, name, strerror(-r));
	default:
		return error_set(ret_error, ERROR_KERNEL_FAILED, NULL, "cannot %s /proc/sys/%s: %s",
				 verb, name, strerror(-r));
	}
}

/* Pays back what is owed: 0; 1 = somebody else has changed it, it stays; -errno.  A link that is
 * gone has taken its values along. */
static int put_back_at(const struct tunable *i, const char *name)
{
	char value[VALUE_MAX + 1];
	int r;

	if (!owed(i))
		return 0;
	r = value_read(name, value);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (strcmp(value, i->now) == 0)
		return value_write(name, i->before);
	if (strcmp(value, i->before) == 0)
		return 0;
	log_debug("%s is %s now, not our %s: left as it is", name, value, i->now);
	return 1;
}

static int put_back(const struct tunable *i)
{
	return put_back_at(i, i->name);
}

/* --- the journal ----------------------------------------------------------------------------- */

static int journal_fail(const struct tunables *t, int r, struct error *ret_error, const char *verb)
{
	return error_set(ret_error,
			 r == -EACCES || r == -EPERM ? ERROR_FORBIDDEN : ERROR_REGISTRY_FAILED,
			 "nothing was changed that could not be put back",
			 "cannot %s the journal of tunables %s: %s", verb, t->path, strerror(-r));
}

static int directory_sync(const char *path)
{
	char *copy CLEANUP(text_free_p) = strdup(path);
	int fd CLEANUP(close_p) = -1;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int journal_text(const struct tunables *t, int fd)
{
	FILE *f CLEANUP(file_close_p) = fdopen(fd, "w");

	if (!f)
		return -errno;
	fprintf(f, "%s\n", t->header);
	for (size_t i = 0; i < t->count; i++)
		if (owed(&t->items[i]))
			fprintf(f, "%s\t%s\t%s\n", t->items[i].name, t->items[i].before,
				t->items[i].now);
	return fflush(f) == 0 && !ferror(f) && fsync(fd) == 0 ? 0 : -errno;
}

/* When it returns, what is owed will be known after a SIGKILL, and after a power failure. */
static int journal_write(const struct tunables *t, struct error *ret_error)
{
	char *aside CLEANUP(text_free_p) = NULL;
	int fd, r;

	if (asprintf(&aside, "%s.new", t->path) < 0) {
		aside = NULL;
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	}
	fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	r = fd < 0 ? -errno : journal_text(t, fd);
	if (r == 0 && rename(aside, t->path) < 0)
		r = -errno;
	if (r == 0)
		r = directory_sync(t->path);
	if (r < 0) {
		unlink(aside);
		return journal_fail(t, r, ret_error, "write");
	}
	return 0;
}

static int journal_line(struct tunables *t, char *line)
{
	char *name = strsep(&line, "\t"), *before = strsep(&line, "\t"), *now = line;
	struct tunable *i;

	if (!before || !now || strchr(now, '\t') || !name_ok(name) || strlen(before) > VALUE_MAX ||
	    strlen(now) > VALUE_MAX || find(t, name) || t->count == TUNABLES_MAX)
		return -EBADMSG;
	i = remember(t, name);
	if (!i)
		return -ENOMEM;
	snprintf(i->before, sizeof(i->before), "%s", before);
	snprintf(i->now, sizeof(i->now), "%s", now);
	return 0;
}

static int journal_read(struct tunables *t, struct error *ret_error)
{
	FILE *f CLEANUP(file_close_p) = fopen(t->path, "re");
	char *line CLEANUP(text_free_p) = NULL;
	unsigned int number = 0;
	size_t room = 0;
	ssize_t n;
	int r = 0;

	if (!f)
		return errno == ENOENT ? 0 : journal_fail(t, -errno, ret_error, "read");
	while (r == 0 && (n = getline(&line, &room, f)) > 0) {
		const bool whole = line[n - 1] == '\n' && strlen(line) == (size_t)n;

		if (whole)
			line[n - 1] = '\0';
		if (++number > 1)
			r = whole ? journal_line(t, line) : -EBADMSG;
		else if (!whole || strncmp(line, MAGIC "\t", sizeof(MAGIC)) != 0)
			r = -EBADMSG;
		else if (strcmp(line, t->header) != 0)
			return 0; /* another boot, another namespace */
	}
	if (r == 0 && ferror(f))
		return journal_fail(t, -EIO, ret_error, "read");
	if (r == -ENOMEM)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	if (r < 0)
		return error_set(ret_error, ERROR_REGISTRY_CORRUPT,
				 "put the values in it back by hand, and delete it",
				 "line %u of the journal of tunables %s is damaged", number,
				 t->path);
	return 0;
}

/* Which values the journal is about. */
static int header_make(struct tunables *t, struct error *ret_error)
{
	char boot[64] = "";
	struct stat st;
	int fd CLEANUP(close_p) = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, boot, sizeof(boot) - 1);

	if (n <= 0 || stat("/proc/thread-self/ns/net", &st) < 0)
		return netlink_fail_errno(errno ? -errno : -EIO, ret_error,
					  "tell which boot and network namespace this is");
	boot[strcspn(boot, "\n")] = '\0';
	snprintf(t->header, sizeof(t->header), MAGIC "\t%s\t%lu", boot, (unsigned long)st.st_ino);
	return 0;
}

/* --- set and drop ---------------------------------------------------------------------------- */

/* Notes what is to be set, before anything is written: 1 = the journal has to know, 0 = it need
 * not.  *ret_was is what the item was. */
static int note(struct tunables *t, const struct setting *s, struct tunable *ret_was,
		struct error *ret_error)
{
	struct tunable *i = find(t, s->name), was = { 0 };
	char value[VALUE_MAX + 1];
	int r;

	assert(name_ok(s->name) && strlen(s->value) <= VALUE_MAX);
	r = value_read(s->name, value);
	if (r < 0)
		return value_fail(r, ret_error, "read", s->name);
	if (i && i->count > 0 && strcmp(i->now, s->value) != 0)
		return error_set(ret_error, ERROR_IN_USE, NULL,
				 "%s is needed to be %s already, and cannot be %s too", s->name,
				 i->now, s->value);
	if (!i && t->count == TUNABLES_MAX)
		return error_set(ret_error, ERROR_LIMIT_REACHED, NULL,
				 "no more than %d tunables are changed at once", TUNABLES_MAX);
	if (i)
		was = *i;
	else
		i = remember(t, s->name);
	if (!i)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	/* Somebody else's value is what is owed back from now on: that of the first time, or the
	 * one that took the place of ours since an earlier run. */
	if (i->count == 0 && strcmp(value, i->now) != 0)
		snprintf(i->before, sizeof(i->before), "%s", value);
	snprintf(i->now, sizeof(i->now), "%s", s->value);
	i->count++;
	*ret_was = was;
	return strcmp(was.before, i->before) != 0 || strcmp(was.now, i->now) != 0 ? owed(i) : 0;
}

static void unnote(struct tunables *t, const struct setting *s, const struct tunable *was)
{
	struct tunable *i = find(t, s->name);

	if (was->name[0])
		*i = *was;
	else
		forget(t, i);
}

static int apply(const struct setting *s, struct error *ret_error)
{
	char value[VALUE_MAX + 1];
	int r = value_read(s->name, value);

	if (r == 0 && strcmp(value, s->value) != 0)
		r = value_write(s->name, s->value);
	return r < 0 ? value_fail(r, ret_error, "set", s->name) : 0;
}

#define SETTINGS_MAX 4

static int set_all(struct tunables *t, const struct setting *s, size_t count,
		   struct error *ret_error)
{
	struct tunable was[SETTINGS_MAX];
	size_t noted = 0, applied = 0;
	bool journal = false;
	struct error ignored;
	int r = 0;

	assert(count <= SETTINGS_MAX);
	for (; noted < count && r >= 0; noted += r >= 0) {
		r = note(t, &s[noted], &was[noted], ret_error);
		journal |= r > 0;
	}
	if (r >= 0)
		r = journal ? journal_write(t, ret_error) : 0;
	for (; r == 0 && applied < count; applied += r == 0)
		r = apply(&s[applied], ret_error);
	if (r == 0)
		return 0;
	/* Backwards, so that the same name twice comes out right. */
	while (noted-- > 0) {
		if (noted < applied && was[noted].count == 0)
			(void)put_back(find(t, s[noted].name));
		unnote(t, &s[noted], &was[noted]);
	}
	if (journal)
		(void)journal_write(t, &ignored);
	return r;
}

static int conflict(const struct tunable *i, struct error *ret_error)
{
	return error_set(
		ret_error, ERROR_CONFLICT, NULL,
		"/proc/sys/%s is left as it is: we had set it to %s, and somebody else has "
		"changed it since",
		i->name, i->now);
}

/* Names in *now: where the values are by now.  The first of several troubles is told. */
static int drop_all(struct tunables *t, const struct setting *s, const struct setting *now,
		    size_t count, struct error *ret_error)
{
	struct error other, *e = ret_error;
	bool journal = false;
	int result = 0;

	for (size_t k = 0; k < count; k++) {
		struct tunable *i = find(t, s[k].name);
		int r;

		assert(i && i->count > 0);
		if (--i->count > 0)
			continue;
		r = put_back_at(i, now[k].name);
		if (r < 0)
			r = value_fail(r, e, "put back", i->name);
		else if (r > 0)
			r = conflict(i, e);
		if (r < 0 && result == 0) {
			result = r;
			e = &other;
		}
		journal |= owed(i);
		forget(t, i);
	}
	if (journal) {
		int r = journal_write(t, e);

		result = result ? result : r;
	}
	return result;
}

int tunables_set(struct tunables *t, const char *name, const char *value, struct error *ret_error)
{
	return set_all(t, &(struct setting){ name, value }, 1, ret_error);
}

int tunables_drop(struct tunables *t, const char *name, struct error *ret_error)
{
	const struct setting s = { name, NULL };

	return drop_all(t, &s, &s, 1, ret_error);
}

bool host_is_ip6_router(const char *ifname)
{
	char name[NAME_LEN_MAX + 1], value[VALUE_MAX + 1];

	snprintf(name, sizeof(name), "net/ipv6/conf/%s/forwarding", ifname);
	return value_read(name, value) == 0 && strcmp(value, "0") != 0;
}

/* --- parents --------------------------------------------------------------------------------- */

static const struct {
	const char *name, *value;
} parent_values[] = {
	{ "arp_ignore", "1" },
	{ "arp_announce", "2" },
	{ "arp_filter", "0" },
};

static void parent_settings(const char *ifname, char names[][NAME_LEN_MAX + 1], struct setting *s)
{
	for (size_t i = 0; i < ARRAY_LEN(parent_values); i++) {
		snprintf(names[i], NAME_LEN_MAX + 1, "net/ipv4/conf/%s/%s", ifname,
			 parent_values[i].name);
		s[i] = (struct setting){ names[i], parent_values[i].value };
	}
}

int tunables_parent_set(struct tunables *t, const char *ifname, struct error *ret_error)
{
	char names[ARRAY_LEN(parent_values)][NAME_LEN_MAX + 1];
	struct setting s[ARRAY_LEN(parent_values)];

	parent_settings(ifname, names, s);
	return set_all(t, s, ARRAY_LEN(s), ret_error);
}

int tunables_parent_drop(struct tunables *t, const char *ifname, const char *name_now,
			 struct error *ret_error)
{
	char names[ARRAY_LEN(parent_values)][NAME_LEN_MAX + 1];
	char names_now[ARRAY_LEN(parent_values)][NAME_LEN_MAX + 1];
	struct setting s[ARRAY_LEN(parent_values)], now[ARRAY_LEN(parent_values)];

	parent_settings(ifname, names, s);
	parent_settings(name_now, names_now, now);
	return drop_all(t, s, now, ARRAY_LEN(s), ret_error);
}

/* --- open, settle, close --------------------------------------------------------------------- */

int tunables_settle(struct tunables *t, struct error *ret_error)
{
	struct error other, *e = ret_error;
	bool journal = false;
	int result = 0;

	for (size_t k = t->count; k-- > 0;) {
		struct tunable *i = &t->items[k];
		int r;

		if (i->count > 0)
			continue;
		r = put_back(i);
		if (r < 0)
			r = value_fail(r, e, "put back", i->name);
		else if (r > 0)
			r = conflict(i, e);
		if (r < 0 && result == 0) {
			result = r;
			e = &other;
		}
		journal = true;
		forget(t, i);
	}
	if (journal) {
		int r = journal_write(t, e);

		result = result ? result : r;
	}
	return result;
}

static void tunables_free(struct tunables *t)
{
	free(t->items);
	free(t->path);
	free(t);
}

DEFINE_CLEANUP(struct tunables *, tunables_free);

int tunables_open(const char *journal_path, bool keep, struct tunables **ret,
		  struct error *ret_error)
{
	struct tunables *t CLEANUP(tunables_free_p) = calloc(1, sizeof(*t));
	struct error ignored;
	int r;

	if (t)
		t->path = strdup(journal_path);
	if (!t || !t->path)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	r = header_make(t, ret_error);
	if (r == 0)
		r = journal_read(t, ret_error);
	/* Writing it now tells at once whether that can be done. */
	if (r == 0)
		r = journal_write(t, ret_error);
	if (r < 0)
		return r;
	/* What cannot be put back, or is not ours any more, keeps nobody from starting. */
	if (!keep)
		(void)tunables_settle(t, &ignored);
	*ret = TAKE_PTR(t);
	return 0;
}

void tunables_close(struct tunables *t)
{
	struct error ignored;

	if (!t)
		return;
	for (size_t i = 0; i < t->count; i++)
		t->items[i].count = 0;
	(void)tunables_settle(t, &ignored);
	tunables_free(t);
}
