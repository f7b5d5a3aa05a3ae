/* keeper.h - a process of root's that reads and changes the projects' /storage at home, for a server that may not
 *
 * It is asked over a socket, from any thread: what a directory has, for one of its files, to make changes. Requests
 * name a project and are checked again there; it touches nothing but STATE/projects/ID/storage, and reads blobs.
 */
#ifndef STORAGE_KEEPER_H
#define STORAGE_KEEPER_H

#include "base/id.h"
#include "base/text.h"

/* Fork it. To be called by root, with STATE in place and before there are threads. *RET_FD is the socket, *RET_PIDFD says
 * when it has ended (both the caller's); it ends when the socket is closed, or its parent ends. */
int keeper_start(const char *state, uint32_t uid_first, int *ret_fd, int *ret_pidfd,
                 struct error *err);

struct storage_counts;

struct keeper_project {
    struct id project;
    uint32_t uid_base;
};

/* Ask; returns a socket, the caller's, that can be read when the answer is there. -EAGAIN: it is too busy. */

/* For the list of what lies there. */
int keeper_ask_list(int keeper, const struct keeper_project *project, struct error *err);
/* For a regular file, to be read. */
int keeper_ask_file(int keeper, const struct keeper_project *project, const char *path,
                    struct error *err);
/* For storage_land() of the task NAME, by the digest of its list of changes. */
int keeper_ask_land(int keeper, const struct keeper_project *project, const char *name,
                    const struct sha256 *changes, struct error *err);

/* The answer on SOCKET, waiting for it. *RET_FD, the caller's: the list, the file, what is to be said in the task's
 * log; -1: nothing. -ENOENT: no such file. */
int keeper_answer(int socket, int *ret_fd, struct storage_counts *ret, struct error *err);

#endif
