/* sqlite.c - the store on SQLite: opening, migrating, transactions
 *
 * WAL with synchronous=FULL: each commit is on disk when it is answered (NORMAL may lose one at a
 * power loss). One connection writes, the others read beside it.
 */
#include "store/sqlite.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

int sqlite_refuse(struct connection *c, const char *what, struct error *err)
{
    int code = sqlite3_errcode(c->db);
    int r = code == SQLITE_FULL                               ? -ENOSPC
            : code == SQLITE_BUSY                             ? -EBUSY
            : code == SQLITE_READONLY                         ? -EROFS
            : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? -EBADMSG
                                                              : -EIO;
    return error_set(err, r, "%s: %s", what, sqlite3_errmsg(c->db));
}

int sqlite_exec(struct connection *c, const char *sql, struct error *err)
{
    return sqlite3_exec(c->db, sql, NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : sqlite_refuse(c, "the store's database", err);
}

sqlite3_stmt *sqlite_statement(struct connection *c, const char *sql, struct error *err)
{
    for (unsigned i = 0; i < c->n_prepared; i++)
        if (c->prepared[i].sql == sql) {
            sqlite3_reset(c->prepared[i].stmt);
            sqlite3_clear_bindings(c->prepared[i].stmt);
            return c->prepared[i].stmt;
        }
    struct prepared p = { .sql = sql };
    if (sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &p.stmt, NULL) != SQLITE_OK) {
        (void) sqlite_refuse(c, sql, err);
        return NULL;
    }
    if (c->n_prepared == sizeof c->prepared / sizeof c->prepared[0])
        abort(); /* statements are literals of this folder: counted by the tests */
    c->prepared[c->n_prepared++] = p;
    return p.stmt;
}

int sqlite_run(struct connection *c, sqlite3_stmt *stmt, struct error *err)
{
    int code = sqlite3_step(stmt);
    int r = code == SQLITE_DONE || code == SQLITE_ROW ? 0 : sqlite_refuse(c, "writing", err);
    sqlite3_reset(stmt);
    return r;
}

void bind_id(sqlite3_stmt *stmt, int i, const struct id *id)
{
    sqlite3_bind_blob(stmt, i, id->bytes, sizeof id->bytes, SQLITE_STATIC);
}

void bind_sum(sqlite3_stmt *stmt, int i, const struct sha256 *sum)
{
    sqlite3_bind_blob(stmt, i, sum->bytes, sizeof sum->bytes, SQLITE_STATIC);
}

void bind_str(sqlite3_stmt *stmt, int i, const char *s)
{
    if (s)
        sqlite3_bind_text(stmt, i, s, -1, SQLITE_STATIC);
}

void bind_json(sqlite3_stmt *stmt, int i, const json_t *json)
{
    if (json)
        sqlite3_bind_text(stmt, i, json_text(json), -1, free);
}

struct id column_id(sqlite3_stmt *stmt, int i)
{
    struct id id = id_none;
    const void *bytes = sqlite3_column_blob(stmt, i);
    if (bytes && sqlite3_column_bytes(stmt, i) == (int) sizeof id.bytes)
        memcpy(id.bytes, bytes, sizeof id.bytes);
    return id;
}

char *column_str(sqlite3_stmt *stmt, int i)
{
    return xstrdup((const char *) sqlite3_column_text(stmt, i));
}

int column_json(sqlite3_stmt *stmt, int i, json_t **ret, struct error *err)
{
    const char *text = (const char *) sqlite3_column_text(stmt, i);
    *ret = NULL;
    return text ? json_parse(text, (size_t) sqlite3_column_bytes(stmt, i), ret, err) : 0;
}

/* ---- opening ----------------------------------------------------------------------------------- */

#define LOCK_TRIES    10
#define LOCK_PAUSE_MS 10

/* 0: none. */
static pid_t read_pid(int fd)
{
    char text[16] = "";
    long long pid;

    if (pread(fd, text, sizeof text - 1, 0) <= 0)
        return 0;
    text[strcspn(text, "\n")] = '\0';
    return str_to_i64(text, 1, INT_MAX, &pid) < 0 ? 0 : (pid_t) pid;
}

static int take_lock(struct backend *b, const char *path, struct error *err)
{
    _cleanup_free_ char *name = xasprintf("%s.lock", path);
    b->lock_fd = store_file(name, 0, err);
    if (b->lock_fd < 0)
        return b->lock_fd;
    /* Whoever only looks (store_look) holds it for no longer than that. */
    for (int tries = 0; flock(b->lock_fd, LOCK_EX | LOCK_NB) < 0; tries++) {
        if (tries == LOCK_TRIES)
            return error_set(err, -EBUSY, "%s is in use by another server (process %d)", path,
                             (int) read_pid(b->lock_fd));
        (void) poll(NULL, 0, LOCK_PAUSE_MS);
    }
    char pid[16];
    int n = snprintf(pid, sizeof pid, "%d\n", (int) getpid());
    if (ftruncate(b->lock_fd, 0) < 0 || pwrite(b->lock_fd, pid, (size_t) n, 0) != n)
        return error_set(err, -errno, "%s: %s", name, strerror(errno));
    return 0;
}

/* The database holds hashes of keys and sealed secrets. SQLite would make it as the umask says; the
 * files beside it get its mode and owner. */
static int make_file(const char *path, int flags, struct error *err)
{
    int fd = store_file(path, flags, err);
    safe_close(fd);
    return fd < 0 ? fd : 0;
}

static int open_connection(struct connection *c, const char *path, bool writer, struct error *err)
{
    int flags = SQLITE_OPEN_NOMUTEX |
                (writer ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);
    if (sqlite3_open_v2(path, &c->db, flags, NULL) != SQLITE_OK)
        return sqlite_refuse(c, path, err);
    sqlite3_busy_timeout(c->db, 5000);
    int r = sqlite_exec(c, "PRAGMA cache_size=-8192; PRAGMA temp_store=MEMORY;", err);
    if (r >= 0 && writer)
        r = sqlite_exec(c,
                        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                        "PRAGMA wal_autocheckpoint=4000; PRAGMA journal_size_limit=67108864;",
                        err);
    return r;
}

static int one_number(struct connection *c, const char *sql, int64_t *ret, struct error *err)
{
    sqlite3_stmt *stmt = sqlite_statement(c, sql, err);
    if (!stmt)
        return -EIO;
    int code = sqlite3_step(stmt);
    if (code == SQLITE_ROW)
        *ret = sqlite3_column_int64(stmt, 0);
    sqlite3_reset(stmt);
    return code == SQLITE_ROW ? 0 : sqlite_refuse(c, sql, err);
}

static int migrate(struct connection *c, const char *path, struct error *err)
{
    int64_t have = 0;
    int r = one_number(c, "PRAGMA user_version", &have, err);
    if (r >= 0 && have > sqlite_n_migrations)
        return error_set(err, -EPROTONOSUPPORT,
                         "%s is of format %lld, newer than this Berth knows (%u): use the newer "
                         "version or restore a backup",
                         path, (long long) have, sqlite_n_migrations);
    for (unsigned i = (unsigned) have; r >= 0 && i < sqlite_n_migrations; i++) {
        _cleanup_free_ char *sql = xasprintf("BEGIN IMMEDIATE; %s; PRAGMA user_version=%u; COMMIT;",
                                             sqlite_migrations[i], i + 1);
        r = sqlite_exec(c, sql, err);
        if (r < 0)
            (void) sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return r < 0 ? error_context(err, r, "bringing %s up to date", path) : 0;
}

static int read_counts(struct backend *b, struct error *err)
{
    sqlite3_stmt *stmt = sqlite_statement(&b->writer, "SELECT state, n FROM workload_counts", err);
    if (!stmt)
        return -EIO;
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        int state = sqlite3_column_int(stmt, 0);
        if (state >= 0 && state < WORKLOAD_STATE_MAX)
            b->counts[state] = (uint64_t) sqlite3_column_int64(stmt, 1);
    }
    sqlite3_reset(stmt);
    return 0;
}

static void close_connection(struct connection *c)
{
    for (unsigned i = 0; i < c->n_prepared; i++)
        sqlite3_finalize(c->prepared[i].stmt);
    sqlite3_close(c->db);
}

static void sqlite_close(struct backend *b)
{
    if (!b)
        return;
    for (unsigned i = 0; i < SQLITE_READERS; i++)
        close_connection(&b->readers[i]);
    close_connection(&b->writer);
    safe_close(b->lock_fd);
    free(b);
}

static void sqlite_closep(struct backend **b) { sqlite_close(*b); }

static int sqlite_open(const char *path, struct backend **ret, struct error *err)
{
    if (!*path)
        return error_set(err, -EINVAL, "store 'sqlite:' needs a path");
    _cleanup_(sqlite_closep) struct backend *b = xnew(struct backend);
    b->lock_fd = -1;
    int r = take_lock(b, path, err);
    if (r >= 0)
        r = make_file(path, 0, err);
    if (r >= 0)
        r = open_connection(&b->writer, path, true, err);
    if (r >= 0)
        r = migrate(&b->writer, path, err);
    if (r >= 0)
        r = read_counts(b, err);
    for (unsigned i = 0; r >= 0 && i < SQLITE_READERS; i++)
        r = open_connection(&b->readers[i], path, false, err);
    if (r < 0)
        return r;
    *ret = take_ptr(b);
    return 0;
}

/* ---- transactions ------------------------------------------------------------------------------ */

static int sqlite_begin(struct backend *b, struct error *err)
{
    memset(b->deltas, 0, sizeof b->deltas);
    return sqlite_exec(&b->writer, "BEGIN IMMEDIATE", err);
}

static int write_counts(struct backend *b, struct error *err)
{
    int r = 0;

    for (int i = 0; i < WORKLOAD_STATE_MAX && r >= 0; i++) {
        if (!b->deltas[i])
            continue;
        sqlite3_stmt *stmt =
            sqlite_statement(&b->writer,
                             "INSERT OR REPLACE INTO workload_counts (state, n) VALUES (?, ?)",
                             err);
        if (!stmt)
            return -EIO;
        sqlite3_bind_int(stmt, 1, i);
        sqlite3_bind_int64(stmt, 2, (int64_t) b->counts[i] + b->deltas[i]);
        r = sqlite_run(&b->writer, stmt, err);
    }
    return r;
}

static int sqlite_commit(struct backend *b, struct error *err)
{
    int r = write_counts(b, err);
    if (r >= 0)
        r = sqlite_exec(&b->writer, "COMMIT", err);
    for (int i = 0; i < WORKLOAD_STATE_MAX && r >= 0; i++)
        b->counts[i] += (uint64_t) b->deltas[i];
    return r;
}

static void sqlite_rollback(struct backend *b)
{
    (void) sqlite3_exec(b->writer.db, "ROLLBACK", NULL, NULL, NULL);
}

static int sqlite_counts(struct backend *b, uint64_t ret[WORKLOAD_STATE_MAX], struct error *err)
{
    memcpy(ret, b->counts, sizeof b->counts);
    return 0;
}

/* ---- backup ------------------------------------------------------------------------------------ */

/* One step: a reader of one moment, beside which the writer goes on. */
static int copy_pages(struct connection *from, struct connection *to, const char *to_path,
                      struct error *err)
{
    sqlite3_backup *backup = sqlite3_backup_init(to->db, "main", from->db, "main");
    int r = 0;

    if (!backup || sqlite3_backup_step(backup, -1) != SQLITE_DONE)
        r = sqlite_refuse(to, to_path, err);
    sqlite3_backup_finish(backup);
    /* One file that needs no other beside it. */
    return r < 0 ? r : sqlite_exec(to, "PRAGMA journal_mode=DELETE", err);
}

int store_backup(const char *url, const char *to_path, struct error *err)
{
    if (!str_starts(url, "sqlite:"))
        return error_set(err, -EINVAL, "store '%s' is not sqlite:PATH", url);
    struct connection from = { 0 }, to = { 0 };
    int r = open_connection(&from, url + 7, false, err);
    if (r >= 0)
        r = make_file(to_path, O_EXCL, err);
    bool is_mine = r >= 0;
    if (r >= 0 && sqlite3_open_v2(to_path, &to.db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        r = sqlite_refuse(&to, to_path, err);
    if (r >= 0)
        r = copy_pages(&from, &to, to_path, err);
    close_connection(&from);
    close_connection(&to);
    if (r < 0 && is_mine)
        (void) unlink(to_path);
    return r;
}

/* ---- from outside ------------------------------------------------------------------------------ */

static pid_t holder(const char *path)
{
    _cleanup_free_ char *name = xasprintf("%s.lock", path);
    _cleanup_close_ int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 ? read_pid(fd) : 0;
}

int store_look(const char *url, struct store_seen *ret, struct error *err)
{
    *ret = (struct store_seen){ .known = sqlite_n_migrations };
    if (!str_starts(url, "sqlite:"))
        return error_set(err, -EINVAL, "store '%s' is not sqlite:PATH", url);
    const char *path = url + strlen("sqlite:");
    if (access(path, R_OK) < 0)
        return error_set(err, -errno, "%s: %s", path, strerror(errno));

    struct connection c = { 0 };
    int64_t format = 0;
    int r = open_connection(&c, path, false, err);
    if (r >= 0)
        r = one_number(&c, "PRAGMA user_version", &format, err);
    close_connection(&c);
    if (r < 0)
        return r;
    ret->format = format < 0 || format > UINT_MAX ? UINT_MAX : (unsigned) format;
    ret->server = holder(path);
    return 0;
}

const struct backend_ops backend_sqlite = {
    .name = "sqlite",
    .n_readers = SQLITE_READERS,
    .open = sqlite_open,
    .close = sqlite_close,
    .begin = sqlite_begin,
    .apply = sqlite_apply,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .answer = sqlite_answer,
    .load = sqlite_load,
    .outcome = sqlite_outcome,
    .counts = sqlite_counts,
    .check = sqlite_check,
};
