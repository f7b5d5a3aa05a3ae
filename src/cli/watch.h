/* watch.h - a directory that is packed again when it changes
 *
 * watch.c      inotify on every directory that is not ignored
 * run-watch.c  `berth run --watch`: a change ends the run and begins the next
 */
#ifndef CLI_WATCH_H
#define CLI_WATCH_H

#include "cli/pack.h"
#include "os/loop.h"

struct watched;

/* CHANGED comes on LOOP when there was a change, maybe to something ignored, and a moment of quiet. */
int watched_open(struct loop *loop, const char *directory, void (*changed)(void *userdata),
                 void *userdata, struct watched **ret, struct error *err);
void watched_free(struct watched *w);
/* As it is now; files that have not changed since the last time are not read. */
int watched_pack(struct watched *w, struct pack *ret, struct error *err);
/* Boot clock: the first change since the last pack; 0: none. */
int64_t watched_changed_us(const struct watched *w);
/* Call back as after a change: it could not be packed while it was being written. */
void watched_look_again(struct watched *w);

/* "train.py, + new.py, - old.py": at most MAX names, then how many more. Empty: they are the same. */
void manifest_add_changes(struct text *out, const struct manifest *before,
                          const struct manifest *now, unsigned max);

struct source;
/* `berth run --watch`: until Ctrl-C. REQUEST is of a job without its workspace. */
int run_watch(struct cli *cli, json_t *request, const char *directory, bool stops,
              struct error *err);

#endif
