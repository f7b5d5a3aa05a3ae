/* volume.h - a file system that several machines have mounted at the same path: is it the same one everywhere,
 * and how fast is it?
 *
 * PATH/.berth-storage/mark holds 32 hex digits that the server made. An empty mount point has none.
 */
#ifndef OS_VOLUME_H
#define OS_VOLUME_H

#include "base/error.h"

#include <stdint.h>
#include <sys/types.h>

#define VOLUME_DIRECTORY ".berth-storage" /* OWNER may write to it */
#define VOLUME_MARK_LEN  32

/* Marks PATH, or reads its mark. STATE remembers it: -ESTALE when PATH is another one than it was, or is not
 * mounted. */
int volume_declare(const char *path, const char *state, uid_t owner,
                   char ret[static VOLUME_MARK_LEN + 1], struct error *err);
/* -ESTALE unless DIRFD, which messages call PATH, has that mark. */
int volume_check(int dirfd, const char *path, const char *mark, struct error *err);

struct volume_speed {
    int64_t read_bps, write_bps; /* bytes a second */
};
/* Writes so many bytes to a file without a name in DIRFD until they are on disk, and reads them back, not from
 * the page cache. */
int volume_measure(int dirfd, int64_t bytes, struct volume_speed *ret, struct error *err);

#endif
