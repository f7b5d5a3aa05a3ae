/* layers.c - the image of a task comes to its node, layer by layer, once for all tasks of the account
 *
 * Packed bytes grow in SPOOL/packed/DIGEST while the layer is unpacked beside (the place's work). Who fetches
 * holds a lock on that file; others see it grow, and find the layer there afterwards, or go on where a fetch was
 * cut off.
 */
#include "courier/internal.h"

#include "base/alloc.h"
#include "base/text.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/hash.h"
#include "task/task.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOOK_US INT64_C(100000)    /* how often one looks whether another is done */
#define AWAY_US INT64_C(600000000) /* home may be away so long, without a byte */
#define LEFT_S  86400              /* what nobody has gone on with for so long */
#define PIECE   (256 << 10)

struct fetch {
    struct home *home;
    const struct courier_layers *place;
    const struct task_image *image;
    const char *spool;
    struct coming coming;
    int packed;    /* SPOOL/packed */
    int64_t there; /* bytes of the layers that are done */
};

/* One layer. */
struct piece {
    struct fetch *f;
    size_t i;
    int fd; /* the packed bytes, locked */
    int64_t bytes;
    int64_t moved_us; /* when the last of them came */
    struct hasher *hasher;
    struct error err;
};

static const char *name_of(const struct fetch *f, size_t i, char ret[static SHA256_HEX_LEN + 1])
{
    return sha256_format(&f->image->blobs[i], ret);
}

static int tell(struct fetch *f, int64_t more, struct error *err)
{
    f->coming.done = f->there + more;
    return coming_tell(&f->coming, err);
}

static void wait_us(int64_t us)
{
    (void) nanosleep(&(struct timespec){ .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 },
                     NULL);
}

/* ---- the packed bytes ------------------------------------------------------------------------------- */

static int write_some(struct piece *p, const char *bytes, size_t n, struct error *err)
{
    char hex[SHA256_HEX_LEN + 1];

    if ((int64_t) n > p->f->image->blob_sizes[p->i] - p->bytes)
        return error_set(err, -EBADMSG, "layer %.12s: home sends more than there is",
                         name_of(p->f, p->i, hex));
    int r = write_full(p->fd, bytes, n);
    if (r < 0)
        return error_set(err, r, "layer %.12s: %s", name_of(p->f, p->i, hex), strerror(-r));
    hasher_add(p->hasher, bytes, n);
    p->bytes += (int64_t) n;
    p->moved_us = clock_boot_us();
    return 0;
}

static int take_bytes(void *userdata, const char *bytes, size_t n)
{
    struct piece *p = userdata;
    int r = write_some(p, bytes, n, &p->err);

    return r < 0 ? r : tell(p->f, p->bytes, &p->err);
}

static int ask(struct piece *p, struct error *err)
{
    char hex[SHA256_HEX_LEN + 1];
    _cleanup_free_ char *target = xasprintf("layers/%s", name_of(p->f, p->i, hex));
    struct http_call stream = { .on_body = take_bytes, .userdata = p };
    const struct home_request request = {
        .method = "GET", .target = target, .stream = &stream, .from = p->bytes
    };
    struct http_response response = { 0 };

    p->err = (struct error){ 0 };
    int r = home_call(p->f->home, &request, &response, err);
    http_response_done(&response);
    if (r < 0 && p->err.code)
        *err = p->err;
    return r < 0 && p->err.code ? p->err.code : r;
}

/* All of them, however often home goes away meanwhile. */
static int fetch_bytes(struct piece *p, struct error *err)
{
    int64_t pause_us = 0;
    int r = 0;

    p->moved_us = clock_boot_us();
    while (r >= 0 && p->bytes < p->f->image->blob_sizes[p->i]) {
        int64_t before = p->bytes;
        r = ask(p, err);
        if (r != -EAGAIN && (r < 0 || p->bytes > before))
            continue;
        if (clock_boot_us() - p->moved_us > AWAY_US)
            return r < 0 ? r : error_set(err, -EAGAIN, "home sends nothing");
        pause_us = p->bytes > before ? 0 : courier_longer(pause_us);
        wait_us(pause_us);
        r = 0;
    }
    return r;
}

static int read_before(struct piece *p, struct error *err)
{
    _cleanup_free_ char *buffer = xnew_n(char, PIECE);
    ssize_t n;

    while ((n = read(p->fd, buffer, PIECE)) > 0) {
        hasher_add(p->hasher, buffer, (size_t) n);
        p->bytes += n;
    }
    return n < 0 ? error_set(err, -errno, "reading what was fetched before: %s", strerror(errno))
                 : 0;
}

/* What was cut off may have lost its end in a crash; it begins anew then, once. */
static int check(struct piece *p, bool resumed, struct error *err)
{
    struct sha256 sum = hasher_end(p->hasher);
    char hex[SHA256_HEX_LEN + 1];

    if (p->bytes == p->f->image->blob_sizes[p->i] && sha256_equal(&sum, &p->f->image->blobs[p->i]))
        return 0;
    (void) unlinkat(p->f->packed, name_of(p->f, p->i, hex), 0);
    return error_set(err, resumed ? -EILSEQ : -EBADMSG,
                     "layer %.12s: what home sends has another digest", hex);
}

/* ---- one layer -------------------------------------------------------------------------------------- */

static int begin_unpacking(const struct piece *p, int arriving, struct error *err)
{
    const struct task_image *image = p->f->image;
    char hex[SHA256_HEX_LEN + 1];
    const struct layers_request request = { .op = LAYERS_UNPACK,
                                            .layer = image->layers[p->i],
                                            .packed_size = image->blob_sizes[p->i],
                                            .entries_max = image->entries_max,
                                            .bytes_max = image->bytes_max,
                                            .ratio_max = image->ratio_max };
    _cleanup_close_ int fd =
        openat(p->f->packed, name_of(p->f, p->i, hex), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return error_set(err, -errno, "packed/%s: %s", hex, strerror(errno));
    return p->f->place->begin(p->f->place->userdata, &request, (const int[2]){ fd, arriving }, err);
}

/* It is unpacked while it comes, and seen by nobody before all of it is here and right. */
static int fetch_and_unpack(struct piece *p, bool resumed, struct error *err)
{
    const struct courier_layers *place = p->f->place;
    struct error why = { 0 };
    int pipe_fds[2];

    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_set(err, -errno, "layers: %s", strerror(errno));
    int begun = begin_unpacking(p, pipe_fds[0], err);
    safe_close(pipe_fds[0]);
    int r = begun < 0 ? begun : fetch_bytes(p, err);
    if (r >= 0)
        r = check(p, resumed, err);
    if (r >= 0)
        r = write_full(pipe_fds[1], "", 1) < 0 ? 0 : r; /* an unpacker that is gone tells why */
    safe_close(pipe_fds[1]);
    int unpacked = begun < 0 ? begun : place->end(place->userdata, r < 0 ? &why : err);
    if (r < 0)
        return r;
    char hex[SHA256_HEX_LEN + 1];
    if (unpacked >= 0 || unpacked == -EBADMSG)
        (void) unlinkat(p->f->packed, name_of(p->f, p->i, hex), 0);
    return unpacked < 0 ? error_context(err, unpacked, "layer %.12s", name_of(p->f, p->i, hex)) : 0;
}

static int run_piece(struct piece *p, struct error *err)
{
    p->hasher = hasher_new();
    int r = read_before(p, err);
    bool resumed = p->bytes > 0;

    if (r >= 0)
        r = fetch_and_unpack(p, resumed, err);
    hasher_free(p->hasher);
    return r;
}

/* 1: locked; 0: somebody else has it, *RET_BYTES of it so far. */
static int lock_piece(const struct fetch *f, size_t i, int *ret, int64_t *ret_bytes,
                      struct error *err)
{
    char hex[SHA256_HEX_LEN + 1];
    struct stat st, named;

    _cleanup_close_ int fd =
        openat(f->packed, name_of(f, i, hex), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(err, -errno, "packed/%s: %s", hex, strerror(errno));
    bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (fstat(fd, &st) < 0)
        return error_set(err, -errno, "packed/%s: %s", hex, strerror(errno));
    *ret_bytes = st.st_size;
    /* Whoever is done with it takes its name away. */
    if (!locked || fstatat(f->packed, hex, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
        named.st_ino != st.st_ino)
        return 0;
    *ret = take_fd(&fd);
    return 1;
}

/* 1: it is there now; 0: somebody else fetches it. */
static int try_layer(struct fetch *f, size_t i, int64_t *ret_bytes, struct error *err)
{
    struct piece p = { .f = f, .i = i, .fd = -1 };
    int r = f->place->has(f->place->userdata, &f->image->layers[i], err);

    *ret_bytes = 0;
    if (r != 0)
        return r;
    r = lock_piece(f, i, &p.fd, ret_bytes, err);
    if (r <= 0)
        return r;
    /* Another may have made it since one looked. */
    r = f->place->has(f->place->userdata, &f->image->layers[i], err);
    if (r == 0)
        r = run_piece(&p, err);
    safe_close(p.fd);
    if (r == -EILSEQ)
        return 0;
    return r < 0 ? r : 1;
}

/* ---- all of them -------------------------------------------------------------------------------------- */

static bool is_listed_before(const struct task_image *image, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (sha256_equal(&image->layers[k], &image->layers[i]))
            return true;
    return false;
}

static int no_room(const struct fetch *f, struct error *err)
{
    char all[32];

    return error_set(err, -ENOSPC,
                     "this machine's spool %s is full: image %.100s has %s packed, and more "
                     "unpacked; make room there, or name another directory (BERTH_SPOOL)",
                     f->spool, f->image->name, bytes_to_str(f->coming.total, all));
}

/* One that finds no room may make some, once. */
static int insist_on(struct fetch *f, size_t i, int64_t *ret_bytes, struct error *err)
{
    int r = try_layer(f, i, ret_bytes, err);

    if (r != -ENOSPC)
        return r;
    (void) f->place->shed(f->place->userdata, true, NULL);
    *err = (struct error){ 0 };
    r = try_layer(f, i, ret_bytes, err);
    return r == -ENOSPC ? no_room(f, err) : r;
}

/* Look at each that is not there yet; what others fetch is left to them. 1: all are there. */
static int go_round(struct fetch *f, bool *is_there, struct error *err)
{
    int64_t bytes = 0, others = 0;
    bool all = true;

    for (size_t i = 0; i < f->image->n_layers; i++) {
        if (is_there[i])
            continue;
        int r = insist_on(f, i, &bytes, err);
        if (r < 0)
            return r;
        is_there[i] = r > 0;
        all = all && r > 0;
        f->there += r > 0 ? f->image->blob_sizes[i] : 0;
        others += r > 0 ? 0 : bytes;
    }
    int r = all ? 0 : tell(f, others, err);
    return r < 0 ? r : all;
}

/* Which are there already; *RET: how many bytes have to come. */
static int look(struct fetch *f, bool *is_there, struct error *err)
{
    for (size_t i = 0; i < f->image->n_layers; i++) {
        int r = is_listed_before(f->image, i)
                    ? 1
                    : f->place->has(f->place->userdata, &f->image->layers[i], err);
        if (r < 0)
            return r;
        is_there[i] = r > 0;
        f->coming.total += r > 0 ? 0 : f->image->blob_sizes[i];
    }
    return 0;
}

/* Left by those that were killed, and that nobody has needed since. */
static void sweep_packed(int packed)
{
    int copy = openat(packed, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *entry;
    struct stat st;

    while (dir && (entry = readdir(dir))) {
        _cleanup_close_ int fd = -1;
        if (fstatat(packed, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
            time(NULL) - st.st_mtime < LEFT_S)
            continue;
        fd = openat(packed, entry->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
            (void) unlinkat(packed, entry->d_name, 0);
    }
    if (dir)
        (void) closedir(dir);
}

static int open_packed(const char *spool, struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/packed", spool);
    int r = mkdir_all(AT_FDCWD, path, 0700, err);

    if (r < 0)
        return r;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? error_set(err, -errno, "%s: %s", path, strerror(errno)) : fd;
}

static int run(struct fetch *f, struct error *err)
{
    _cleanup_free_ bool *is_there = xnew_n(bool, f->image->n_layers + 1);
    int r = look(f, is_there, err);

    if (r < 0 || f->coming.total == 0)
        return r;
    sweep_packed(f->packed);
    while ((r = go_round(f, is_there, err)) == 0)
        wait_us(LOOK_US);
    if (r > 0)
        (void) f->place->shed(f->place->userdata, false, NULL);
    return r;
}

int layers_fetch(struct home *home, struct home *orders, const char *spool,
                 const struct courier_layers *place, const struct task_image *image,
                 enum end_cause *ret_stopped, struct error *err)
{
    _cleanup_free_ char *what = xasprintf("image %s", image->name);
    _cleanup_close_ int packed = open_packed(spool, err);
    struct fetch f = { .home = home,
                       .place = place,
                       .image = image,
                       .spool = spool,
                       .packed = packed,
                       .coming = { .home = orders, .what = what } };

    if (packed < 0)
        return err->code;
    if (!image->blobs)
        return error_set(err, -EOPNOTSUPP,
                         "image %.100s: home keeps no layers of it for other machines",
                         image->name);
    coming_begin(&f.coming);
    int r = run(&f, err);
    *ret_stopped = f.coming.stopped;
    return r < 0 ? error_context(err, r, "image %.100s", image->name) : 0;
}
