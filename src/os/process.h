/* process.h - run programs: arguments as a vector, explicit environment, no shell, pidfd */
#ifndef OS_PROCESS_H
#define OS_PROCESS_H

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
    pid_t pid; /* 0 while not started */
    int pidfd; /* readable when it has ended; -1 while not started */
};

struct process_options {
    const char *const *argv;  /* argv[0] is looked up in PATH unless it has a '/' */
    int program_fd;           /* > 0: the program itself; argv[0] is only its name then */
    const char *const *envp;  /* NULL: the environment is inherited */
    const char *cwd;          /* NULL: unchanged */
    int stdin_fd;             /* -1: /dev/null; otherwise dup'ed */
    int stdout_fd, stderr_fd; /* -1: /dev/null */
    const int *keep_fds;      /* inherited under the same numbers, close-on-exec cleared */
    unsigned n_keep_fds;
    uid_t uid; /* 0: unchanged; with GID, groups are dropped */
    gid_t gid;
    bool die_with_parent; /* PR_SET_PDEATHSIG SIGKILL */
    bool new_session;
};

/* All other descriptors are closed in the child (close_range). The caller waits for the exec (vfork). */
int process_start(const struct process_options *options, struct process *ret, struct error *err);
/* A copy of this process, which has one thread: it runs BODY, exits with what that returns, and dies with
 * its parent. Descriptors are shared; handlers of signals and blocked ones are not inherited. */
int process_fork(int (*body)(void *userdata), void *userdata, struct process *ret,
                 struct error *err);
/* Wait for the end; returns the exit code, or 128 + signal. */
int process_wait(struct process *p);
/* SIGKILL and reap; accepts a process that was not started. For cleanup attributes. */
void process_kill(struct process *p);

/* Something to read that is at its end, owned by the caller; negative errno. For programs that give what they
 * got as standard input to somebody (crun calls fchown): never a device of the machine, which everybody uses. */
int process_empty_input(void);

/* Run to the end with an empty input, collecting up to LIMIT bytes each of stdout and stderr (the rest is dropped).
 * OUT and ERR_OUT may be NULL. After TIMEOUT_MS (0: none) it is killed: -ETIMEDOUT.
 * Returns the exit code (0 to 255), or a negative errno when it could not be run. */
int process_run(const char *const *argv, size_t limit, unsigned timeout_ms, struct text *out,
                struct text *err_out, struct error *err);

/* pidfd_send_signal, pidfd_open */
int pidfd_signal(int pidfd, int signo);
int pidfd_open_pid(pid_t pid);

#endif
