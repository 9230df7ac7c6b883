/* The tables, and how they came to be.  docs/registry.md explains every column.
 *
 * A row of this list that was released is never edited: what is new is a new row, and `PRAGMA
 * user_version` says how many have been done. */
#include "base/cleanup.h"
#include "store/sqlite.h"

#define TEXT_(x) #x
#define TEXT(x)	 TEXT_(x)

/* clang-format off */
static const char version_1[] =
	"PRAGMA application_id = " TEXT(SQLITE_APPLICATION_ID) ";"

	"CREATE TABLE registry ("
	" uuid TEXT NOT NULL,"
	" created INTEGER NOT NULL);"

	"CREATE TABLE segment ("
	" id INTEGER PRIMARY KEY,"
	" name TEXT NOT NULL,"
	" uplink TEXT NOT NULL,"
	" vlan INTEGER NOT NULL,"
	" epoch_floor INTEGER NOT NULL,"
	" created INTEGER NOT NULL,"
	" net INTEGER NOT NULL);"

	"CREATE TABLE pool ("
	" id INTEGER PRIMARY KEY,"
	" segment INTEGER NOT NULL,"
	" name TEXT NOT NULL,"
	" ranges TEXT NOT NULL,"
	" excludes TEXT NOT NULL,"
	" key BLOB NOT NULL,"
	" cursor INTEGER NOT NULL,"
	" quarantine_ms INTEGER NOT NULL,"
	" most INTEGER NOT NULL,"
	" created INTEGER NOT NULL);"

	"CREATE TABLE port ("
	" id INTEGER PRIMARY KEY,"
	" segment INTEGER NOT NULL,"
	" name TEXT NOT NULL,"
	" kind TEXT NOT NULL,"
	" gate TEXT NOT NULL,"
	" made INTEGER NOT NULL,"
	" address TEXT NOT NULL,"
	" ifname TEXT NOT NULL,"
	" peer_netns TEXT NOT NULL,"
	" peer_ifname TEXT NOT NULL,"
	" owner_uid INTEGER NOT NULL,"
	" owner_gid INTEGER NOT NULL,"
	" queues INTEGER NOT NULL,"
	" mtu INTEGER NOT NULL,"
	" allow INTEGER NOT NULL,"
	" flood_pps INTEGER NOT NULL,"
	" created INTEGER NOT NULL);"

	"CREATE TABLE vmac ("
	" id INTEGER PRIMARY KEY,"
	" key INTEGER NOT NULL,"
	" status INTEGER NOT NULL,"
	" pool INTEGER,"
	" port INTEGER,"
	" epoch INTEGER,"
	" created INTEGER NOT NULL,"
	" name TEXT,"
	" owner TEXT,"
	" more TEXT);"

	"CREATE TABLE history ("
	" seq INTEGER PRIMARY KEY,"
	" at INTEGER NOT NULL,"
	" kind INTEGER NOT NULL,"
	" segment TEXT,"
	" subject TEXT,"
	" verb TEXT,"
	" actor TEXT,"
	" reason TEXT,"
	" before TEXT,"
	" after TEXT);"

	"CREATE TABLE history_block ("
	" last INTEGER PRIMARY KEY,"
	" at_least INTEGER NOT NULL,"
	" at_most INTEGER NOT NULL,"
	" filter BLOB NOT NULL);"

	/* For people. */
	"CREATE VIEW vmacs AS SELECT v.id, s.name AS segment,"
	" printf('%02x:%02x:%02x:%02x:%02x:%02x', v.key >> 40 & 255, v.key >> 32 & 255,"
	"  v.key >> 24 & 255, v.key >> 16 & 255, v.key >> 8 & 255, v.key & 255) AS address,"
	" CASE status % 10 WHEN 0 THEN 'reserved' WHEN 1 THEN 'bound' WHEN 2 THEN 'moving'"
	"  ELSE 'quarantined' END AS state,"
	" CASE status / 10 % 10 WHEN 0 THEN 'station' WHEN 1 THEN 'router' ELSE 'cluster' END AS kind,"
	" CASE status / 100 WHEN 0 THEN 'allocated' WHEN 1 THEN 'pinned' WHEN 2 THEN 'adopted'"
	"  ELSE 'protocol' END AS origin,"
	" pool.name AS pool, port.name AS port, coalesce(epoch, 0) AS epoch,"
	" datetime(v.created / 1000, 'unixepoch') AS created, v.name, v.owner, v.more"
	" FROM vmac v"
	" LEFT JOIN segment s ON s.id = (v.key >> 48 & 65535)"
	" LEFT JOIN pool ON pool.id = v.pool"
	" LEFT JOIN port ON port.id = v.port;"

	"CREATE VIEW changes AS SELECT seq, datetime(at / 1000, 'unixepoch') AS at,"
	" CASE kind WHEN 0 THEN 'segment' WHEN 1 THEN 'pool' WHEN 2 THEN 'vmac' ELSE 'port' END AS kind,"
	" segment, subject, verb, actor, reason, before, after"
	" FROM history;";

/* Routers.  One is read and written as a whole, so what a column would say of it nobody asks. */
static const char version_2[] =
	"CREATE TABLE router ("
	" id INTEGER PRIMARY KEY,"
	" name TEXT NOT NULL,"
	" record TEXT NOT NULL);"

	/* The vMACs that a guest may have as a router, with commas between. */
	"ALTER TABLE port ADD COLUMN routers TEXT NOT NULL DEFAULT '';"

	"DROP VIEW changes;"
	"CREATE VIEW changes AS SELECT seq, datetime(at / 1000, 'unixepoch') AS at,"
	" CASE kind WHEN 0 THEN 'segment' WHEN 1 THEN 'pool' WHEN 2 THEN 'vmac' WHEN 3 THEN 'port'"
	"  ELSE 'router' END AS kind,"
	" segment, subject, verb, actor, reason, before, after"
	" FROM history;";

/* What this host must know of the registry that it shares with others, with nobody in reach: keys
 * and values as they stand there. */
static const char version_3[] =
	"CREATE TABLE shared ("
	" key TEXT PRIMARY KEY,"
	" revision INTEGER NOT NULL,"
	" value TEXT NOT NULL) WITHOUT ROWID;"

	"DROP VIEW vmacs;"
	"CREATE VIEW vmacs AS SELECT v.id, s.name AS segment,"
	" printf('%02x:%02x:%02x:%02x:%02x:%02x', v.key >> 40 & 255, v.key >> 32 & 255,"
	"  v.key >> 24 & 255, v.key >> 16 & 255, v.key >> 8 & 255, v.key & 255) AS address,"
	" CASE status % 10 WHEN 0 THEN 'reserved' WHEN 1 THEN 'bound' WHEN 2 THEN 'moving'"
	"  WHEN 3 THEN 'quarantined' ELSE 'away' END AS state,"
	" CASE status / 10 % 10 WHEN 0 THEN 'station' WHEN 1 THEN 'router' ELSE 'cluster' END AS kind,"
	" CASE status / 100 WHEN 0 THEN 'allocated' WHEN 1 THEN 'pinned' WHEN 2 THEN 'adopted'"
	"  ELSE 'protocol' END AS origin,"
	" pool.name AS pool, port.name AS port, coalesce(epoch, 0) AS epoch,"
	" datetime(v.created / 1000, 'unixepoch') AS created, v.name, v.owner, v.more"
	" FROM vmac v"
	" LEFT JOIN segment s ON s.id = (v.key >> 48 & 65535)"
	" LEFT JOIN pool ON pool.id = v.pool"
	" LEFT JOIN port ON port.id = v.port;";

/* Clusters.  One is read and written as a whole, as the shared registry has it. */
static const char version_4[] =
	"CREATE TABLE cluster ("
	" id INTEGER PRIMARY KEY,"
	" segment INTEGER NOT NULL,"
	" name TEXT NOT NULL,"
	" record TEXT NOT NULL,"
	" created INTEGER NOT NULL);"

	"DROP VIEW changes;"
	"CREATE VIEW changes AS SELECT seq, datetime(at / 1000, 'unixepoch') AS at,"
	" CASE kind WHEN 0 THEN 'segment' WHEN 1 THEN 'pool' WHEN 2 THEN 'vmac' WHEN 3 THEN 'port'"
	"  WHEN 4 THEN 'router' WHEN 5 THEN 'shared' ELSE 'cluster' END AS kind,"
	" segment, subject, verb, actor, reason, before, after"
	" FROM history;";
/* clang-format on */

const struct sqlite_migration sqlite_migrations[] = {
	{ 1, version_1 },
	{ 2, version_2 },
	{ 3, version_3 },
	{ 4, version_4 },
};

const size_t sqlite_migration_count = ARRAY_LEN(sqlite_migrations);
