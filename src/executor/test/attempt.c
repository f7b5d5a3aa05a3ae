/* Attempts in real containers, driven as the engine drives them. */
#include "executor/test/host.h"

#include "tests/tap.h"

#include <signal.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/un.h>

static struct host host;

static void close_host(void) { host_close(&host); }

__attribute__((constructor)) static void open_host(void)
{
    host_skip_unless_possible();
    host_open(&host);
    (void) atexit(close_host);
}

/* A job that runs a shell script; fields other than the command. */
#define SH(script)           "{\"command\":[\"/bin/sh\",\"-c\",\"" script "\"]}"
#define SH_AND(script, more) "{\"command\":[\"/bin/sh\",\"-c\",\"" script "\"]," more "}"

static void is_end(struct job *job, const char *cause, int code)
{
    is_str(job_cause(job), cause);
    ok(job_code(job) == code);
    if (tap_failures)
        printf("# %s: code %d, %s\n", job->name, job_code(job),
               json_get_str(job->exit, "reason", "no reason"));
}

TEST(a_command_runs)
{
    struct job job;
    _cleanup_free_ char *log = NULL;

    job_run(&host, &job, SH("echo hello; exit 3"), &log);
    is_str(log, "hello\n");
    is_end(&job, "exited", 3);
    ok(json_get_int(json_object_get(job.exit, "usage"), "log_lines", 0) == 1);
    job_free(&job);
}

TEST(a_command_that_is_not_there_says_so)
{
    struct job job;

    job_run(&host, &job, "{\"command\":[\"/no/such/program\"]}", NULL);
    is_end(&job, "start_failed", -1);
    ok(strstr(json_get_str(job.exit, "reason", ""), "/no/such/program"));
    job_free(&job);
}

TEST(a_signal_that_ends_the_command_is_its_exit_code)
{
    struct job job;

    job_run(&host, &job, SH("sh -c 'kill -SEGV $$'; exit $?"), NULL);
    is_end(&job, "exited", 139);
    job_free(&job);
}

TEST(what_the_kernel_says_is_what_was_allocated)
{
    struct job job;
    _cleanup_free_ char *log = NULL;

    job_run(&host, &job,
            SH("grep -E 'Cpus_allowed_list|Mems_allowed_list|Seccomp:|NoNewPrivs|CapBnd' "
               "/proc/self/status; cat /proc/self/uid_map; df -B1 --output=size /dev/shm"),
            &log);
    is_end(&job, "exited", 0);
    ok(strstr(log, "Cpus_allowed_list:\t0\n") && strstr(log, "Mems_allowed_list:\t0\n"));
    ok(strstr(log, "Seccomp:\t2\n") && strstr(log, "NoNewPrivs:\t1\n"));
    ok(strstr(log, "CapBnd:\t00000000800405fb\n"));
    ok(strstr(log, "1879048192      65536\n"));
    ok(strstr(log, "33554432\n")); /* half of 64 MiB */
    const json_t *evidence = json_object_get(job.started, "evidence");
    is_str(json_get_str(evidence, "cpus", ""), "0");
    is_str(json_get_str(evidence, "mems", ""), "0");
    ok(json_get_int(evidence, "memory_bytes", 0) == 64 << 20);
    ok(json_get_int(evidence, "pids", 0) == 64);
    ok(json_get_int(evidence, "seccomp", 0) == 2);
    if (tap_failures)
        printf("# %s\n", log);
    job_free(&job);
}

TEST(too_much_memory_is_named)
{
    struct job job;

    job_run(&host, &job, "{\"command\":[\"python3\",\"-c\",\"b = bytearray(200 << 20)\"]}", NULL);
    is_end(&job, "out_of_memory", 137);
    job_free(&job);
}

TEST(a_fork_bomb_stays_inside_its_limit)
{
    struct job job;
    _cleanup_free_ char *log = NULL;

    job_run(&host, &job,
            "{\"command\":[\"python3\",\"-c\",\"import os,time\\nn=0\\ntry:\\n  while True:\\n"
            "    if os.fork()==0: time.sleep(60)\\n    n+=1\\nexcept OSError: print(n)\"]}",
            &log);
    is_end(&job, "exited", 0);
    ok(atoi(log) > 10 && atoi(log) < 64);
    job_free(&job);
}

TEST(sigterm_ends_a_command_that_does_not_catch_it)
{
    struct job job;

    ok(job_start(&host, &job, 0, "{\"command\":[\"sleep\",\"1000\"]}", NULL) == 0);
    ok(job_await(&job, "started"));
    job_tell(&job, "{\"op\":\"stop\",\"cause\":\"stopped\",\"grace\":100}");
    job_end(&job);
    is_end(&job, "stopped", 143);
    job_free(&job);
}

TEST(a_command_may_catch_sigterm)
{
    struct job job;
    _cleanup_free_ char *log = NULL;

    ok(job_start(&host, &job, 0, SH("trap 'echo saved; exit 7' TERM; echo up; sleep 100 & wait"),
                 NULL) == 0);
    ok(job_await_log(&job, "up\n"));
    job_tell(&job, "{\"op\":\"stop\",\"cause\":\"max_time\",\"grace\":100}");
    job_end(&job);
    log = job_file(&job, "log");
    is_str(log, "up\nsaved\n");
    is_end(&job, "max_time", 7);
    job_free(&job);
}

TEST(a_command_that_ignores_sigterm_is_killed)
{
    struct job job;

    ok(job_start(&host, &job, 0, SH("trap '' TERM USR1; echo up; while :; do sleep 1; done"),
                 NULL) == 0);
    ok(job_await_log(&job, "up\n"));
    job_tell(&job, "{\"op\":\"signal\",\"signal\":10}");
    job_tell(&job, "{\"op\":\"stop\",\"cause\":\"stopped\",\"grace\":1}");
    job_end(&job);
    is_end(&job, "stopped", 137);
    job_free(&job);
}

TEST(a_checkpoint_is_asked_for_first)
{
    struct job job;
    _cleanup_free_ char *log = NULL;

    ok(job_start(&host, &job, 0,
                 SH_AND("trap 'echo checkpoint; exit 0' USR1; echo up; sleep 100 & wait",
                        "\"checkpoint\":{\"signal\":\"USR1\"}"),
                 NULL) == 0);
    ok(job_await_log(&job, "up\n"));
    job_tell(&job, "{\"op\":\"stop\",\"cause\":\"stopped\",\"grace\":100}");
    job_end(&job);
    log = job_file(&job, "log");
    is_str(log, "up\ncheckpoint\n");
    is_end(&job, "stopped", 0);
    job_free(&job);
}

TEST(max_time_holds_without_the_server)
{
    struct job job;

    job_run(&host, &job, SH_AND("sleep 100", "\"max_time\":1,\"grace\":1"), NULL);
    ok(str_equal(job_cause(&job), "max_time"));
    job_free(&job);
}

TEST(the_command_knows_who_it_is)
{
    struct job job;
    _cleanup_free_ char *log = NULL;

    job_run(&host, &job,
            SH_AND("pwd; echo $BERTH_PROJECT $BERTH_ATTEMPT $RANK $WORLD_SIZE $NAME; id -u; "
                   "hostname; test -n \\\"$BERTH_JOB_ID\\\" && echo named",
                   "\"env\":{\"NAME\":\"value\"}"),
            &log);
    is_str(log, "/workspace\nlab 1 0 1 value\n0\njob\nnamed\n");
    job_free(&job);
}

TEST(chart_lines_are_kept)
{
    struct job job;
    _cleanup_free_ char *charts = NULL;

    job_run(&host, &job,
            SH("echo '{\\\"chart\\\":\\\"loss\\\",\\\"x\\\":1,\\\"y\\\":2.5}'; echo no; "
               "printf '{\\\"chart\\\":\\\"loss\\\",'; sleep 0.1; "
               "printf '\\\"y\\\":7,\\\"x\\\":2}'"),
            NULL);
    charts = job_file(&job, "charts");
    ok(str_starts(charts, "{\"chart\":\"loss\",\"x\":1,\"y\":2.5,\"t\":\"20"));
    ok(strstr(charts, "\n{\"chart\":\"loss\",\"x\":2,\"y\":7,\"t\":\"20"));
    ok(json_get_int(json_object_get(job.exit, "usage"), "chart_points", 0) == 2);
    job_free(&job);
}

TEST(artifacts_are_collected_also_after_failure)
{
    struct job job;

    job_run(&host, &job,
            SH("echo model >/artifacts/model; mkdir /artifacts/d; echo x >/artifacts/d/x; "
               "ln -s /etc/passwd /artifacts/link; mkfifo /artifacts/fifo; exit 9"),
            NULL);
    is_end(&job, "exited", 9);
    const json_t *artifacts = json_object_get(job.exit, "artifacts");
    ok(json_get_int(artifacts, "count", 0) == 2);
    ok(json_get_int(artifacts, "bytes", 0) == 8);
    ok(strlen(json_get_str(artifacts, "manifest", "")) == SHA256_HEX_LEN);
    job_free(&job);
}

TEST(nothing_of_an_attempt_is_left)
{
    struct job job;

    job_run(&host, &job, SH("head -c 1000000 /dev/zero >/root/file; echo >/workspace/w"), NULL);
    is_end(&job, "exited", 0);
    _cleanup_free_ char *running = xasprintf("%s/running/%s", host.state, job.name);
    _cleanup_free_ char *group = xasprintf("/sys/fs/cgroup/memory/berth/%s", job.name);
    ok(access(group, F_OK) < 0);
    ok(job_await(&job, "never") == false); /* until the supervisor is gone */
    ok(access(running, F_OK) < 0);
    job_free(&job);
}

TEST(storage_is_kept_for_the_project_alone)
{
    struct job first, second, other;
    _cleanup_free_ char *log = NULL, *log2 = NULL;

    job_run(&host, &first, SH("echo kept >/storage/f; chmod 600 /storage/f"), NULL);
    job_run(&host, &second, SH("cat /storage/f"), &log);
    is_str(log, "kept\n");
    ok(job_start(&host, &other, 1, SH("ls /storage"), NULL) == 0);
    job_end(&other);
    log2 = job_file(&other, "log");
    is_str(log2, "");
    job_free(&first);
    job_free(&second);
    job_free(&other);
}

TEST(what_lies_on_the_machine_is_not_seen)
{
    static const char *const places[] = {
        "/root", "/home", "/run", "/tmp", "/var", "/srv", "/mnt"
    };
    struct job job;
    _cleanup_free_ char *log = NULL;
    char *planted[7];

    for (int i = 0; i < 7; i++) {
        planted[i] = xasprintf("%s/berth-planted-%d", places[i], (int) getpid());
        if (file_replace(AT_FDCWD, planted[i], 0666, "secret", 6, false, NULL) < 0)
            printf("# cannot plant %s\n", planted[i]);
    }
    job_run(&host, &job,
            SH("find / -xdev -name 'berth-planted*' 2>/dev/null; ls /root /home /run /srv /mnt "
               "/tmp; cat /etc/shadow 2>&1 | grep -c root; ls -d /workspace"),
            &log);
    ok(!strstr(log, "planted"));
    ok(strstr(log, "\n0\n/workspace\n"));
    for (int i = 0; i < 7; i++) {
        (void) unlink(planted[i]);
        free(planted[i]);
    }
    job_free(&job);
}

TEST(a_container_cannot_change_the_machine)
{
    struct job job;
    _cleanup_free_ char *log = NULL;

    job_run(&host, &job,
            SH("touch /usr/x 2>&1 | grep -c 'Read-only'; mount -t tmpfs none /mnt 2>&1 | grep -c "
               "'denied\\\\|permitted'; unshare -U true 2>&1 | grep -c 'not permitted'; "
               "(echo 1 >/proc/sys/kernel/panic) 2>/dev/null || echo sysctl; "
               "mknod /tmp/d b 1 1 2>&1 | grep -c permitted; ls /sys/class/net"),
            &log);
    ok(str_starts(log, "1\n1\n1\n"));
    ok(strstr(log, "sysctl\n1\nlo\n"));
    if (tap_failures)
        printf("# %s\n", log);
    job_free(&job);
}

TEST(no_network_is_explained)
{
    struct job job;

    job_run(&host, &job,
            "{\"command\":[\"python3\",\"-c\",\"import socket; "
            "socket.create_connection(('192.0.2.1', 80), 1)\"]}",
            NULL);
    is_end(&job, "exited", 1);
    ok(strstr(json_get_str(job.exit, "hint", ""), "network: egress"));
    job_free(&job);
}

TEST(a_supervisor_that_is_killed_takes_all_with_it)
{
    struct job job;
    struct launcher_answer answer = { 0 };
    _cleanup_free_ char *log = NULL;

    ok(job_start(&host, &job, 0, SH("echo up; sleep 1000"), NULL) == 0);
    ok(job_await_log(&job, "up\n"));
    struct launcher_request kill = job.request;
    kill.op = LAUNCHER_CLEAN;
    ok(host_ask(&host, &kill, NULL, 0, &answer) == -EBUSY);
    kill.op = LAUNCHER_KILL;
    ok(host_ask(&host, &kill, NULL, 0, &answer) == 0);
    ok(!job_await(&job, "exit"));
    _cleanup_free_ char *group = xasprintf("/sys/fs/cgroup/pids/berth/%s", job.name);
    _cleanup_free_ char *running = xasprintf("%s/running/%s", host.state, job.name);
    _cleanup_free_ char *exit = xasprintf("%s/exit.json", job.dir);
    ok(access(group, F_OK) < 0 && access(running, F_OK) < 0 && access(exit, F_OK) < 0);
    job_free(&job);
}

TEST(supervisors_outlive_the_launcher)
{
    struct job job;
    struct error err = { 0 };
    struct launcher_answer answer = { 0 };

    ok(job_start(&host, &job, 0, SH("echo up; sleep 1000"), NULL) == 0);
    ok(job_await_log(&job, "up\n"));
    host_end_launcher(&host);
    ok(host_launch(&host, &err) == 0);
    struct launcher_request sweep = { .op = LAUNCHER_SWEEP, .count = 1 };
    int fd = memfd_create("ids", MFD_CLOEXEC);
    ok(write_full(fd, &job.request.attempt, sizeof(struct id)) == 0);
    ok(host_ask(&host, &sweep, &fd, 1, &answer) == 0);
    job_tell(&job, "{\"op\":\"signal\",\"signal\":15}");
    job_end(&job);
    is_end(&job, "signaled", 143);
    safe_close(fd);
    job_free(&job);
}

TEST(what_is_not_alive_any_more_is_swept)
{
    struct job job;
    struct launcher_answer answer = { 0 };

    ok(job_start(&host, &job, 0, SH("echo up; sleep 1000"), NULL) == 0);
    ok(job_await_log(&job, "up\n"));
    struct launcher_request sweep = { .op = LAUNCHER_SWEEP };
    ok(host_ask(&host, &sweep, NULL, 0, &answer) == 0);
    ok(!job_await(&job, "exit"));
    _cleanup_free_ char *running = xasprintf("%s/running/%s", host.state, job.name);
    ok(access(running, F_OK) < 0);
    job_free(&job);
}

TEST(an_attempt_runs_once)
{
    struct job job;
    struct launcher_answer answer = { 0 };
    int pair[2];
    char byte;

    job_run(&host, &job, SH("echo once"), NULL);
    ok(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    ok(host_ask(&host, &job.request, &pair[1], 1, &answer) == 0);
    safe_close(pair[1]);
    ok(recv(pair[0], &byte, 1, 0) == 0); /* it went without a word */
    safe_close(pair[0]);
    _cleanup_free_ char *log = job_file(&job, "log");
    is_str(log, "once\n");
    job_free(&job);
}

TEST(the_log_has_a_cap)
{
    struct job job;
    _cleanup_free_ char *log = NULL;

    ok(job_start(&host, &job, 0, SH("yes | head -c 300000; echo end"), "{\"log_limit\":100000}") ==
       0);
    job_end(&job);
    log = job_file(&job, "log");
    ok(strlen(log) > 100000 && strlen(log) < 100200);
    ok(strstr(log, "limit of") && !strstr(log, "end"));
    job_free(&job);
}

static void read_stream(struct job *job, enum log_stream stream, struct text *ret)
{
    _cleanup_free_ char *path = xasprintf("%s/log.idx", job->dir);
    _cleanup_free_ char *log = job_file(job, "log");
    _cleanup_text_ struct text index = { 0 };
    struct log_record record = { 0 }, next = { 0 };

    (void) file_read(AT_FDCWD, path, 64 << 20, &index, NULL);
    for (size_t at = 0; at < index.len; at += sizeof record, record = next) {
        log_record_decode((const uint8_t *) index.data + at, &next);
        if (at > 0 && record.stream == stream)
            text_add_bytes(ret, log + record.offset, next.offset - record.offset);
        ok(next.flags & LOG_RECORD_EXACT);
    }
    if (record.stream == stream)
        text_add(ret, log + record.offset);
}

TEST(streams_are_told_apart)
{
    struct job job;
    _cleanup_text_ struct text out = { 0 }, errors = { 0 };

    ok(job_start(
           &host, &job, 0,
           SH("for i in 1 2 3 4; do printf a$i; printf 'B\\n' >&2; done; (sleep 0.1; printf C) "
              ">&2; printf 'd\\nx'; seq 9000 >&2"),
           "{}") == 0);
    job_end(&job);
    read_stream(&job, LOG_STDOUT, &out);
    read_stream(&job, LOG_STDERR, &errors);
    is_str(text_str(&out), "a1a2a3a4d\nx");
    ok(strncmp(text_str(&errors), "B\nB\nB\nB\nC1\n2\n", 13) == 0);
    ok(str_equal(errors.data + errors.len - 5, "9000\n"));
    job_free(&job);
}

/* Those who follow a log look at any time: a file has its name only when it is theirs to read. */
TEST(files_of_a_log_are_their_readers_at_once)
{
    struct job job;
    _Alignas(struct inotify_event) char events[4096];
    _cleanup_close_ int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    unsigned seen = 0;

    job_prepare(&host, &job, 0, SH("echo '{\\\"chart\\\":\\\"a\\\",\\\"x\\\":1,\\\"y\\\":1}'"),
                NULL);
    ok(inotify_add_watch(fd, job.dir, IN_CREATE | IN_MOVED_TO) >= 0);
    ok(job_launch(&host, &job) == 0);
    job_end(&job);
    ssize_t len = read(fd, events, sizeof events);
    for (char *at = events; at < events + len;) {
        const struct inotify_event *event = (const void *) at;
        if (str_equal(event->name, "log") || str_equal(event->name, "log.idx") ||
            str_equal(event->name, "charts")) {
            ok(event->mask == IN_MOVED_TO);
            seen++;
        }
        at += sizeof *event + event->len;
    }
    ok(seen == 3);
    job_free(&job);
}

TEST(a_long_line_needs_no_memory)
{
    struct job job;

    ok(job_start(&host, &job, 0, SH("head -c 300000000 /dev/zero | tr '\\\\0' '{'"),
                 "{\"log_limit\":0}") == 0);
    job_end(&job);
    is_end(&job, "exited", 0);
    const json_t *usage = json_object_get(job.exit, "usage");
    ok(json_get_int(usage, "log_bytes", 0) == 300000000);
    ok(json_get_int(usage, "log_lines", -1) == 0);
    job_free(&job);
}

TEST(the_disk_has_a_limit)
{
    struct job job;

    ok(job_start(&host, &job, 0, SH("head -c 50000000 /dev/zero >/tmp/f; sleep 100"),
                 "{\"allocation\":{\"disk\":10000000}}") == 0);
    job_end(&job);
    ok(str_equal(job_cause(&job), "disk_limit"));
    job_free(&job);
}

TEST(a_published_port_reaches_the_command)
{
    struct job job;
    char answer[64] = "";

    ok(job_start(&host, &job, 0,
                 "{\"command\":[\"python3\",\"-c\",\"import socket\\ns=socket.socket()\\n"
                 "s.bind(('127.0.0.1',8888))\\ns.listen()\\nprint('up',flush=True)\\n"
                 "c=s.accept()[0]\\nc.sendall(b'got '+c.recv(100))\"],"
                 "\"ports\":[{\"name\":\"http\",\"port\":8888,\"publish\":0}]}",
                 NULL) == 0);
    ok(job_await_log(&job, "up\n"));
    json_t *started = read_json(job.dir, "started");
    const json_t *port =
        json_object_get(json_object_get(json_object_get(started, "evidence"), "ports"), "http");
    ok(job_exchange((int) json_get_int(port, "port", 0), "ping", answer, sizeof answer) > 0);
    is_str(answer, "got ping");
    json_decref(started);
    job_end(&job);
    is_end(&job, "exited", 0);
    job_free(&job);
}

/* Store BYTES; the digest is their name. */
static struct sha256 put_blob(struct blob_store *blobs, const void *bytes, size_t len)
{
    struct blob_writer *writer = NULL;
    struct sha256 sum = { 0 };
    struct error err = { 0 };

    ok(blob_writer_new(blobs, &writer, &err) >= 0 &&
       blob_writer_add(writer, bytes, len, &err) >= 0 &&
       blob_writer_end(writer, NULL, false, &sum, NULL, &err) >= 0);
    blob_writer_free(writer);
    return sum;
}

/* A tree of one script, "run.sh"; the name of its manifest. */
static void put_tree(const char *script, char name[static SHA256_HEX_LEN + 1])
{
    _cleanup_(blob_store_closep) struct blob_store *blobs = NULL;
    _cleanup_(manifest_freep) struct manifest *manifest = manifest_new();
    size_t len = 0;

    ok(blob_store_open(host.state, &blobs, NULL) >= 0);
    struct sha256 sum = put_blob(blobs, script, strlen(script));
    ok(manifest_add(manifest, "src/run.sh", &sum, (int64_t) strlen(script), true, NULL, NULL) >= 0);
    ok(manifest_seal(manifest, NULL) >= 0);
    _cleanup_free_ char *text = manifest_format(manifest, &len);
    sum = put_blob(blobs, text, len);
    sha256_format(&sum, name);
}

TEST(the_workspace_is_what_was_submitted)
{
    struct job job, again;
    char tree[SHA256_HEX_LEN + 1];
    _cleanup_free_ char *log = NULL, *log2 = NULL;

    put_tree("#!/bin/sh\necho ran; echo more >>src/run.sh; ls src; stat -c %u src/run.sh\n", tree);
    _cleanup_free_ char *top = xasprintf("{\"workspace_tree\":\"%s\"}", tree);
    ok(job_start(&host, &job, 0, "{\"command\":[\"src/run.sh\"]}", top) == 0);
    job_end(&job);
    is_end(&job, "exited", 0);
    log = job_file(&job, "log");
    is_str(log, "ran\nrun.sh\n0\n");
    /* What one attempt changed, the next does not see. */
    ok(job_start(&host, &again, 0, SH("wc -l <src/run.sh"), top) == 0);
    job_end(&again);
    log2 = job_file(&again, "log");
    is_str(log2, "2\n");
    job_free(&job);
    job_free(&again);
}

TEST(a_workspace_that_is_not_there_is_named)
{
    struct job job;

    ok(job_start(&host, &job, 0, SH("true"),
                 "{\"workspace_tree\":"
                 "\"00000000000000000000000000000000000000000000000000000000000000aa\"}") == 0);
    job_end(&job);
    is_end(&job, "start_failed", -1);
    ok(str_starts(json_get_str(job.exit, "reason", ""), "workspace: "));
    job_free(&job);
}

/* git takes the repository in /storage for the one at example.org. */
#define ELSEWHERE                                                                                                                  \
    "\"env\":{\"GIT_ALLOW_PROTOCOL\":\"file\",\"GIT_CONFIG_COUNT\":\"1\",\"GIT_CONFIG_KEY_0\":\"url.file:///storage/.insteadOf\"," \
    "\"GIT_CONFIG_VALUE_0\":\"https://example.org/\"}"

TEST(a_git_source_is_cloned_inside)
{
    struct job maker, job, wrong;
    _cleanup_free_ char *made = NULL, *log = NULL;

    job_run(&host, &maker,
            SH("cd /storage && git init -q repo && cd repo && echo text >file && git add file && "
               "git -c user.name=a -c user.email=a@b commit -qm first && git rev-parse HEAD"),
            &made);
    is_end(&maker, "exited", 0);
    job_run(
        &host, &job,
        SH_AND(
            "cat file; git status --short",
            "\"source\":{\"git\":{\"url\":\"https://example.org/repo\",\"ref\":\"HEAD\"}}," ELSEWHERE),
        &log);
    is_end(&job, "exited", 0);
    is_str(log, "text\n");
    const char *commit =
        json_get_str(json_object_get(job.started, "evidence"), "git_commit", "none");
    ok(strlen(commit) == 40 && str_starts(made, commit));
    job_run(
        &host, &wrong,
        SH_AND(
            "true",
            "\"source\":{\"git\":{\"url\":\"https://example.org/repo\",\"ref\":\"absent\"}}," ELSEWHERE),
        NULL);
    is_end(&wrong, "start_failed", -1);
    ok(strstr(json_get_str(wrong.exit, "reason", ""), "https://example.org/repo at absent"));
    job_free(&maker);
    job_free(&job);
    job_free(&wrong);
}

TEST(an_egress_network_has_an_address)
{
    struct job job;
    _cleanup_free_ char *log = NULL;

    ok(job_start(&host, &job, 0, SH("ls /sys/class/net; cat /proc/net/route | wc -l"),
                 "{\"network\":\"egress\"}") == 0);
    job_end(&job);
    is_end(&job, "exited", 0);
    log = job_file(&job, "log");
    is_str(log, "eth0\nlo\n3\n");
    ok(str_starts(json_get_str(json_object_get(job.started, "evidence"), "address", ""),
                  "10.213."));
    job_free(&job);
}

/* A task of a gang of one: what waits for go is the same whoever the peers are. */
#define GANG                                                                                       \
    "{\"network\":\"egress\",\"gang\":{\"attempt\":\"01932b0e-7c00-7000-8000-000000000009\","      \
    "\"rank\":0,\"world_size\":1,\"local_rank\":0,\"local_size\":1,\"node_rank\":0,"               \
    "\"n_nodes\":1,\"master_port\":29500}}"

static void write_peers(struct job *job)
{
    static const char peers[] =
        "[{\"rank\":0,\"node_rank\":0,\"local_rank\":0,\"address\":\"10.213.0.2\"}]";
    _cleanup_free_ char *path = xasprintf("%s/peers", job->dir);

    ok(file_replace(AT_FDCWD, path, 0644, peers, strlen(peers), false, NULL) == 0);
}

TEST(a_task_of_a_gang_waits_for_go_also_without_a_server)
{
    struct job job;
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    ok(job_start(&host, &job, 0, SH("true"), GANG) == 0);
    ok(job_await(&job, "ready"));
    _cleanup_json_ json_t *ready = read_json(job.dir, "ready");
    ok(str_starts(json_get_str(ready, "address", ""), "10.213."));
    /* The server goes and another one comes. */
    safe_close(job.peer);
    job.peer = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    (void) snprintf(address.sun_path, sizeof address.sun_path, "%s/sock", job.dir);
    ok(connect(job.peer, (const struct sockaddr *) &address, sizeof address) == 0);
    ok(job_await(&job, "ready"));
    _cleanup_free_ char *started = xasprintf("%s/started", job.dir);
    ok(access(started, F_OK) < 0);
    write_peers(&job);
    job_tell(&job, "{\"op\":\"go\"}");
    job_end(&job);
    is_end(&job, "exited", 0);
    job_free(&job);
}

TEST(a_task_that_waits_for_go_can_be_stopped)
{
    struct job job;

    ok(job_start(&host, &job, 0, SH("true"), GANG) == 0);
    ok(job_await(&job, "ready"));
    job_tell(&job, "{\"op\":\"stop\",\"cause\":\"stopped\",\"grace\":30}");
    job_end(&job);
    is_end(&job, "stopped", -1);
    ok(!job.started);
    job_free(&job);
}

/* Answers one request on a unix socket with the secrets, if the token is right. */
static pid_t serve_secrets(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    static const char yes[] = "HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{\"key\":\"s3cr3t-v\"}";
    static const char no[] = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";

    (void) snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    ok(bind(fd, (const struct sockaddr *) &address, sizeof address) == 0 && listen(fd, 4) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        char request[4096] = "";
        int peer = accept(fd, NULL, NULL);
        (void) !read(peer, request, sizeof request - 1);
        const char *answer = strstr(request, "Bearer right\r\n") ? yes : no;
        (void) write_full(peer, answer, strlen(answer));
        (void) shutdown(peer, SHUT_WR);
        (void) !read(peer, request, sizeof request);
        _exit(0);
    }
    safe_close(fd);
    return pid;
}

static void run_with_token(struct job *job, const char *token)
{
    _cleanup_free_ char *path = xasprintf("%s/api.sock", host.top);
    _cleanup_free_ char *top = xasprintf("{\"has_secrets\":true,\"api_socket\":\"%s\"}", path);
    struct launcher_answer answer;
    int pair[2], pipes[2];

    (void) unlink(path);
    pid_t server = serve_secrets(path);
    job_prepare(&host, job, 0, SH_AND("echo $TOKEN", "\"env\":{\"TOKEN\":\"secret:key\"}"), top);
    ok(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0 && pipe(pipes) == 0);
    ok(write_full(pipes[1], token, strlen(token)) == 0);
    safe_close(pipes[1]);
    job->request.flags = LAUNCHER_HAS_TOKEN;
    ok(host_ask(&host, &job->request, (const int[2]){ pair[1], pipes[0] }, 2, &answer) == 0);
    safe_close(pair[1]);
    safe_close(pipes[0]);
    job->peer = pair[0];
    job_end(job);
    (void) kill(server, SIGKILL);
    (void) waitpid(server, NULL, 0);
}

TEST(secrets_are_fetched_with_the_token)
{
    struct job job;

    run_with_token(&job, "right");
    is_end(&job, "exited", 0);
    _cleanup_free_ char *log = job_file(&job, "log"), *spec = job_file(&job, "spec.json");
    is_str(log, "s3cr3t-v\n");
    ok(!strstr(spec, "s3cr3t-v") && !strstr(spec, "right"));
    job_free(&job);
}

TEST(a_wrong_token_starts_nothing)
{
    struct job job;

    run_with_token(&job, "wrong");
    is_end(&job, "start_failed", -1);
    ok(strstr(json_get_str(job.exit, "reason", ""), "401"));
    job_free(&job);
}

TAP_MAIN
