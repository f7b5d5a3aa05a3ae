/* crun-program.c - crun's program, found once and held in sealed memory
 *
 * crun does not run from a file that a container might write to: it finds itself on one, makes a copy
 * that cannot be written and executes that, so a dozen libraries are loaded and linked twice at each
 * start. Sealed memory is such a copy (its test is for these seals), so we make it once, and again
 * when the file has changed.
 */
#include "executor/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3 */
#endif

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* The path of the first crun in PATH, owned by the caller; NULL: there is none. */
static char *find_crun(void)
{
    const char *path = getenv("PATH");

    for (const char *p = path ? path : "/usr/sbin:/usr/bin:/sbin:/bin"; *p;) {
        size_t len = strcspn(p, ":");
        _cleanup_free_ char *name = xasprintf("%.*s/crun", (int) len, p);
        if (len && faccessat(AT_FDCWD, name, X_OK, 0) == 0)
            return take_ptr(name);
        p += len + (p[len] == ':');
    }
    return NULL;
}

static int memory_file(void)
{
    int fd = memfd_create("crun", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

    return fd < 0 && errno == EINVAL ? memfd_create("crun", MFD_CLOEXEC | MFD_ALLOW_SEALING) : fd;
}

static int copy_sealed(int from, off_t size)
{
    _cleanup_close_ int fd = memory_file();

    while (fd >= 0 && size > 0) {
        ssize_t n = sendfile(fd, from, NULL, (size_t) size);
        if (n <= 0)
            return -1;
        size -= n;
    }
    return fd < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0 ? -1 : take_fd(&fd);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* A crun that does not know the annotation would start containers without a filter. */
static bool knows_annotation(int file, off_t size)
{
    static const char name[] = "run.oci.seccomp_bpf_data";
    void *bytes = mmap(NULL, (size_t) size, PROT_READ, MAP_PRIVATE, file, 0);

    if (bytes == MAP_FAILED)
        return false;
    bool knows = memmem(bytes, (size_t) size, name, sizeof name - 1) != NULL;
    (void) munmap(bytes, (size_t) size);
    return knows;
}

void crun_refresh(struct crun_program *p)
{
    struct stat st;

    if (p->path && stat(p->path, &st) == 0 && is_same(&st, &p->made_from))
        return;
    free(p->path);
    p->fd = safe_close(p->fd);
    p->path = find_crun();
    _cleanup_close_ int file = p->path ? open(p->path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0 || fstat(file, &p->made_from) < 0)
        return;
    if (!p->takes_filter) {
        void *shared =
            mmap(NULL, sizeof(bool), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        p->takes_filter = shared == MAP_FAILED ? NULL : shared;
    }
    if (p->takes_filter)
        *p->takes_filter = knows_annotation(file, p->made_from.st_size);
    p->fd = copy_sealed(file, p->made_from.st_size);
}
