/* Registries to and from files. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/registry_tool.h"
#include "store/export.h"

static int file_failed(struct error *ret_error, const char *doing, const char *path)
{
	return error_set(ret_error, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_REGISTRY_FAILED, NULL,
			 "cannot %s %.200s: %s", doing, path, strerror(errno));
}

static int export_to(const struct tool *t, FILE *to, struct error *ret_error)
{
	struct store *store;
	int r;

	if (t->wants_shared)
		return export_shared(&t->shared, to, ret_error);
	r = own_store(t->state_dir, NULL, &store, ret_error);
	if (r < 0)
		return r;
	r = export_own(store, &tool_mem, to, ret_error);
	store_close(store);
	return r;
}

/* Whole under another name first: an export that failed leaves what was there before. */
int registry_export(const struct tool *t, struct error *ret_error)
{
	char fresh[4096];
	FILE *to;
	int fd, r;

	if (!t->file) {
		r = export_to(t, stdout, ret_error);
		if (r == 0 && fflush(stdout) != 0)
			return file_failed(ret_error, "write", "standard output");
		return r;
	}
	snprintf(fresh, sizeof(fresh), "%s.new", t->file);
	unlink(fresh);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	to = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (!to)
		return file_failed(ret_error, "make", fresh);
	r = export_to(t, to, ret_error);
	if (r == 0 && (fflush(to) != 0 || fsync(fd) != 0))
		r = file_failed(ret_error, "write", fresh);
	fclose(to);
	if (r == 0 && rename(fresh, t->file) < 0)
		r = file_failed(ret_error, "rename", fresh);
	if (r < 0)
		unlink(fresh);
	return r;
}

static int file_open(const char *path, FILE **ret, struct error *ret_error)
{
	*ret = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	return *ret ? 0 : file_failed(ret_error, "open", path);
}

static void file_close(FILE *f)
{
	if (f != stdin)
		fclose(f);
}

static int keep(void *ctx, const struct shared_record *r)
{
	return record_set_add(ctx, r);
}

int registry_read_shared(const char *path, struct record_set *ret, struct error *ret_error)
{
	FILE *f;
	int r = file_open(path, &f, ret_error);

	if (r < 0)
		return r;
	record_set_init(ret);
	r = export_read_shared(f, path, &tool_mem, keep, ret, ret_error);
	file_close(f);
	if (r == 0 && record_set_sort(ret) < 0)
		r = error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	if (r < 0)
		record_set_done(ret);
	return r;
}

static int read_own(const char *path, struct own *ret, struct error *ret_error)
{
	struct store_visitor visitor = own_visitor(ret);
	FILE *f;
	int r = file_open(path, &f, ret_error);

	if (r < 0)
		return r;
	r = export_read_own(f, path, &tool_mem, &visitor, ret_error);
	file_close(f);
	return r == 0 ? own_check(ret, ret_error) : r;
}

int registry_import(const struct tool *t, struct error *ret_error)
{
	struct own wanted;
	int r;

	*ret_error = (struct error){ 0 };
	if (t->wants_shared)
		return registry_import_shared(t, ret_error);
	own_init(&wanted);
	r = read_own(t->file, &wanted, ret_error);
	if (r == 0)
		r = own_fill(t->state_dir, &wanted, "import", ret_error);
	own_done(&wanted);
	return r;
}
