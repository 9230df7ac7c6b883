/* The write-ahead log, beside what SQLite does with it.
 *
 * Theory of operation
 *
 * SQLite ends its recovery at the first frame whose checksum does not fit, and rightly so: that is
 * what a transaction looks like that a power cut tore.  But a log that was damaged later looks the
 * same to it, and everything behind the damage would be gone without a word, answered or not.  The
 * difference can be seen: each commit is on the disk before the next one begins, so frames of this
 * log's generation (their salt says so) behind the END of a later transaction prove that the frame
 * in question had been whole. The form of the file:
 * https://www.sqlite.org/fileformat2.html#walformat
 *
 * The log is written round and round in place.  Blocks that a file already has are flushed without
 * a change of its metadata, which is about a third faster than appending, so the file gets its full
 * size when it is made and keeps it.  At a clean end its header is blanked: an empty log, whatever
 * follows. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "store/fd.h"
#include "store/sqlite.h"

#define WAL_HEADER	 32
#define WAL_FRAME_HEADER 24
#define WAL_MAGIC	 0x377f0682 /* its last bit: the checksum's words are big-endian */
#define WAL_VERSION	 3007000
#define WAL_PAGE_MAX	 65536
#define WAL_FRAME_SIZE	 (WAL_FRAME_HEADER + SQLITE_PAGE_SIZE)
#define WAL_FULL_SIZE	 (WAL_HEADER + WAL_FRAMES_MAX * (off_t)WAL_FRAME_SIZE)

/* Grow only where the file system has so many times the size free. */
#define WAL_ROOM_FACTOR 8

struct wal_sum {
	uint32_t a, b;
};

struct wal_head {
	bool big_endian;
	uint32_t page_size, salt1, salt2;
	struct wal_sum sum;
};

struct wal_frame {
	uint32_t page, size_behind; /* size_behind: not 0 in the last frame of a transaction */
	uint32_t salt1, salt2;
	struct wal_sum sum;
};

static void wal_sum_add(struct wal_sum *s, bool big_endian, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i += 8) {
		uint32_t w[2];

		memcpy(w, data + i, sizeof(w));
		s->a += (big_endian ? be32toh(w[0]) : le32toh(w[0])) + s->b;
		s->b += (big_endian ? be32toh(w[1]) : le32toh(w[1])) + s->a;
	}
}

static bool wal_head_parse(const uint8_t data[WAL_HEADER], struct wal_head *ret)
{
	struct reader r = reader_of(data, WAL_HEADER);
	uint32_t magic = read_u32(&r), version = read_u32(&r), page_size = read_u32(&r);
	struct wal_sum sum = { 0 };

	*ret = (struct wal_head){ .big_endian = magic & 1, .page_size = page_size };
	read_u32(&r); /* how often it was begun again */
	ret->salt1 = read_u32(&r);
	ret->salt2 = read_u32(&r);
	ret->sum.a = read_u32(&r);
	ret->sum.b = read_u32(&r);
	wal_sum_add(&sum, ret->big_endian, data, WAL_HEADER - 8);
	return (magic & ~1u) == WAL_MAGIC && version == WAL_VERSION && page_size >= 512 &&
	       page_size <= WAL_PAGE_MAX && (page_size & (page_size - 1)) == 0 &&
	       sum.a == ret->sum.a && sum.b == ret->sum.b;
}

static struct wal_frame wal_frame_parse(const uint8_t data[WAL_FRAME_HEADER])
{
	struct reader r = reader_of(data, WAL_FRAME_HEADER);
	struct wal_frame f = { .page = read_u32(&r) };

	f.size_behind = read_u32(&r);
	f.salt1 = read_u32(&r);
	f.salt2 = read_u32(&r);
	f.sum.a = read_u32(&r);
	f.sum.b = read_u32(&r);
	return f;
}

static bool wal_is_blank(const uint8_t data[WAL_HEADER])
{
	static const uint8_t zeros[WAL_HEADER];

	return memcmp(data, zeros, WAL_HEADER) == 0;
}

/* Walks the frames: first those that fit, then, behind the first that does not, looks for proof. */
static int wal_walk(int fd, const struct wal_head *head, const char *path, struct error *ret_error)
{
	uint8_t data[WAL_FRAME_HEADER + WAL_PAGE_MAX];
	size_t size = WAL_FRAME_HEADER + head->page_size;
	bool fits = true, ended = false;
	struct wal_sum sum = head->sum;
	uint64_t at = 0, misfit = 0;

	for (;; at++) {
		/* Behind the misfit the heads alone matter. */
		size_t want = fits ? size : WAL_FRAME_HEADER;
		ssize_t n = pread(fd, data, want, (off_t)(WAL_HEADER + at * size));
		struct wal_frame f;
		bool ours;

		if (n < 0)
			return sqlite_file_failed(ret_error, errno, "read", path);
		if ((size_t)n < want)
			return 0;
		f = wal_frame_parse(data);
		ours = f.salt1 == head->salt1 && f.salt2 == head->salt2 && f.page != 0;
		if (fits) {
			wal_sum_add(&sum, head->big_endian, data, 8);
			wal_sum_add(&sum, head->big_endian, data + WAL_FRAME_HEADER,
				    head->page_size);
			fits = ours && sum.a == f.sum.a && sum.b == f.sum.b;
			misfit = at;
		}
		if (fits || !ours)
			continue;
		if (ended)
			return sqlite_corrupt(
				ret_error,
				"page %llu of its log %s was overwritten, and answered "
				"changes stand behind it",
				(unsigned long long)misfit + 1, path);
		ended = f.size_behind != 0;
	}
}

int sqlite_wal_check(const char *path, struct error *ret_error)
{
	CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t data[WAL_HEADER];
	struct wal_head head;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0 : sqlite_file_failed(ret_error, errno, "open", path);
	n = pread(fd, data, sizeof(data), 0);
	if (n < 0)
		return sqlite_file_failed(ret_error, errno, "read", path);
	/* Shorter than its head: the first commit has not begun. */
	if ((size_t)n < sizeof(data) || wal_is_blank(data))
		return 0;
	if (!wal_head_parse(data, &head))
		return sqlite_corrupt(ret_error, "its log %s does not begin like one", path);
	return wal_walk(fd, &head, path, ret_error);
}

static int wal_fill(int fd, off_t from, off_t to)
{
	static const uint8_t zeros[1 << 16];

	while (from < to) {
		size_t len = to - from < (off_t)sizeof(zeros) ? (size_t)(to - from) : sizeof(zeros);
		ssize_t n = pwrite(fd, zeros, len, from);

		if (n <= 0)
			return -ENOSPC;
		from += n;
	}
	return fdatasync(fd) < 0 ? -errno : 0;
}

int sqlite_wal_grow(const struct sqlite_paths *p, struct error *ret_error)
{
	CLEANUP(fd_close) int fd = open(p->wal, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct statvfs room;
	struct stat st;

	if (fd < 0)
		return sqlite_file_failed(ret_error, errno, "open", p->wal);
	if (fstat(fd, &st) < 0 || fstatvfs(fd, &room) < 0)
		return sqlite_file_failed(ret_error, errno, "look at", p->wal);
	if (st.st_size < WAL_FULL_SIZE &&
	    room.f_bavail * room.f_frsize / WAL_ROOM_FACTOR > (uint64_t)WAL_FULL_SIZE &&
	    wal_fill(fd, st.st_size, WAL_FULL_SIZE) < 0 && ftruncate(fd, st.st_size) < 0)
		return sqlite_file_failed(ret_error, errno, "cut", p->wal);
	return sqlite_sync_directory(p, ret_error);
}

void sqlite_wal_blank(const char *path)
{
	static const uint8_t zeros[WAL_HEADER];
	CLEANUP(fd_close) int fd = open(path, O_WRONLY | O_CLOEXEC);

	/* Without this the next start reads the log once more; that is all. */
	if (fd >= 0 && pwrite(fd, zeros, sizeof(zeros), 0) == WAL_HEADER)
		fdatasync(fd);
}
