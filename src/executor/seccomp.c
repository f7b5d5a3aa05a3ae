/* seccomp.c - which system calls a container may make
 *
 * Everything but a list: what changes the machine, what reaches the kernel's least tested corners,
 * and new user namespaces. Calls that are newer than this list do not exist (ENOSYS), so programs
 * fall back. Other calling conventions of the processor are refused as a whole.
 *
 * The filter is made once. crun and libseccomp would compile a profile at every start (6 to 10 ms);
 * handed over compiled it costs nothing, and its few instructions are cheaper for every call.
 */
#include "executor/internal.h"
#include "executor/privileges.h"

#include "base/alloc.h"
#include "base/base64.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "the seccomp filter knows x86-64 and arm64"
#endif

/* The newest call of Linux 6.1, set_mempolicy_home_node, is 450. */
#define NEWEST_CALL 450

static const char *const denied[] = {
    "acct",
    "add_key",
    "bpf",
    "clock_adjtime",
    "clock_settime",
    "create_module",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "get_kernel_syms",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mount",
    "mount_setattr",
    "move_mount",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pivot_root",
    "process_vm_writev",
    "query_module",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "stime",
    "swapoff",
    "swapon",
    "sysfs",
    "syslog",
    "umount",
    "umount2",
    "unshare",
    "uselib",
    "userfaultfd",
    "ustat",
    "vhangup",
    "vmsplice",
    "_sysctl",
};

#define N_DENIED (sizeof denied / sizeof *denied)

#define FIELD(name) ((uint32_t) offsetof(struct seccomp_data, name))
#define ERRNO(code) (SECCOMP_RET_ERRNO | ((uint32_t) (code) &SECCOMP_RET_DATA))

struct program {
    struct sock_filter code[4 * N_DENIED];
    size_t n;
};

static void add(struct program *p, struct sock_filter instruction)
{
    p->code[p->n++] = instruction;
}

static void load(struct program *p, uint32_t offset)
{
    add(p, (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
}

static void end(struct program *p, uint32_t verdict)
{
    add(p, (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, verdict));
}

static void assemble(struct program *p)
{
    load(p, FIELD(arch));
    add(p, (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0));
    end(p, SECCOMP_RET_KILL_PROCESS);
    load(p, FIELD(nr));
    /* Also the x32 calls, whose numbers have bit 30 set. */
    add(p, (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, NEWEST_CALL, 0, 1));
    end(p, ERRNO(ENOSYS));
    /* clone3 hides its flags from filters; programs fall back to clone. */
    add(p, (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1));
    end(p, ERRNO(ENOSYS));
    for (size_t i = 0; i < N_DENIED; i++) {
        int nr = seccomp_syscall_resolve_name(denied[i]);
        if (nr < 0)
            continue; /* not a call of this processor */
        add(p, (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t) nr, 0, 1));
        end(p, ERRNO(EPERM));
    }
    add(p, (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3));
    load(p, FIELD(args[0]));
    add(p, (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_NEWUSER, 0, 1));
    end(p, ERRNO(EPERM));
    end(p, SECCOMP_RET_ALLOW);
}

char *seccomp_compile(void)
{
    struct program program = { .n = 0 };
    struct text coded = { 0 };

    assemble(&program);
    text_add_base64(&coded, program.code, program.n * sizeof *program.code);
    return text_take(&coded);
}

int seccomp_install(struct error *err)
{
    struct program program = { .n = 0 };

    assemble(&program);
    struct sock_fprog filter = { .len = (unsigned short) program.n, .filter = program.code };
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
        return error_set(err, -errno, "the system call filter: %s", strerror(errno));
    return 0;
}

json_t *seccomp_profile(void)
{
    json_t *json = json_object(), *rules = json_array(), *rule = json_object();
    json_t *names = json_array();

    for (size_t i = 0; i < N_DENIED; i++)
        if (seccomp_syscall_resolve_name(denied[i]) >= 0)
            (void) json_array_append_new(names, json_string(denied[i]));
    json_put(rule, "names", names);
    json_put_str(rule, "action", "SCMP_ACT_ERRNO");
    json_put_int(rule, "errnoRet", EPERM);
    (void) json_array_append_new(rules, rule);

    rule = json_pack("{s:[s],s:s,s:[{s:i,s:I,s:I,s:s}]}", "names", "clone", "action",
                     "SCMP_ACT_ERRNO", "args", "index", 0, "value", (json_int_t) CLONE_NEWUSER,
                     "valueTwo", (json_int_t) CLONE_NEWUSER, "op", "SCMP_CMP_MASKED_EQ");
    (void) json_array_append_new(rules, rule);
    rule = json_pack("{s:[s],s:s,s:i}", "names", "clone3", "action", "SCMP_ACT_ERRNO", "errnoRet",
                     ENOSYS);
    (void) json_array_append_new(rules, rule);

    json_put_str(json, "defaultAction", "SCMP_ACT_ALLOW");
    json_put(json, "syscalls", rules);
    return json;
}
