/* Two tasks of a gang, each on a node of its own or both on one, with a launcher and no server. */
#include "executor/test/host.h"
#include "tests/tap.h"

#include <arpa/inet.h>
#include <sys/un.h>

static struct host host;

#define SH(script) "{\"command\":[\"/bin/sh\",\"-c\",\"" script "\"]}"
#define MPI(script)                                                                                \
    "{\"command\":[\"/bin/sh\",\"-c\",\"" script                                                   \
    "\"],\"mpi\":true,\"nodes\":2,\"tasks_per_node\":1}"
#define SECRET "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

struct gang {
    struct job tasks[2];
    const char *network;
    bool is_one_node;
};

static void place(struct gang *g, int rank, const char *work)
{
    _cleanup_free_ char *fields = xasprintf(
        "{\"network\":\"%s\",\"gang\":{\"attempt\":\"01932b0e-7c00-7000-8000-000000000009\",\"rank\":%d,"
        "\"world_size\":2,\"local_rank\":%d,\"local_size\":%d,\"node_rank\":%d,\"n_nodes\":%d,"
        "\"master_port\":29500}}",
        g->network, rank, g->is_one_node ? rank : 0, g->is_one_node ? 2 : 1,
        g->is_one_node ? 0 : rank, g->is_one_node ? 1 : 2);

    ok(job_start(&host, &g->tasks[rank], 0, work, fields) == 0);
    ok(job_await(&g->tasks[rank], "ready"));
}

/* Both are ready: tell them where the other is. */
static void go(struct gang *g)
{
    _cleanup_json_ json_t *peers = json_array();

    for (int i = 0; i < 2; i++) {
        _cleanup_json_ json_t *ready = read_json(g->tasks[i].dir, "ready");
        (void) json_array_append_new(peers, json_pack("{s:i,s:i,s:i,s:s}", "rank", i, "node_rank",
                                                      g->is_one_node ? 0 : i, "local_rank",
                                                      g->is_one_node ? i : 0, "address",
                                                      json_get_str(ready, "address", "")));
    }
    _cleanup_free_ char *text = json_text(peers);
    for (int i = 0; i < 2; i++) {
        _cleanup_free_ char *path = xasprintf("%s/peers", g->tasks[i].dir);
        ok(file_replace(AT_FDCWD, path, 0644, text, strlen(text), false, NULL) == 0);
        job_tell(&g->tasks[i], "{\"op\":\"go\",\"secret\":\"" SECRET "\"}");
    }
}

static void finish(struct gang *g, int codes[static 2])
{
    for (int i = 0; i < 2; i++) {
        if (!g->tasks[i].exit)
            job_end(&g->tasks[i]);
        codes[i] = job_code(&g->tasks[i]);
        _cleanup_free_ char *log = job_file(&g->tasks[i], "log");
        if (codes[i])
            printf("# %s: %s\n# %s\n", g->tasks[i].name, log,
                   json_get_str(g->tasks[i].exit, "reason", ""));
        job_free(&g->tasks[i]);
    }
}

#define CONNECT                                                                                    \
    "import os,socket,time\\n"                                                                     \
    "for i in range(3000):\\n"                                                                     \
    "  try: s = socket.create_connection(('rank-0', 29500)); break\\n"                             \
    "  except OSError: time.sleep(0.01)\\n"                                                        \
    "s.sendall(os.environ['RANK'].encode())\\n"                                                    \
    "assert socket.gethostbyname(socket.gethostname()) == os.environ['BERTH_ADDRESS']\\n"
#define LISTEN                                                                                     \
    "import os,socket\\n"                                                                          \
    "s = socket.create_server((os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT'])))\\n"     \
    "c, peer = s.accept()\\n"                                                                      \
    "assert c.recv(1) == b'1'\\n"                                                                  \
    "assert peer[0] == socket.gethostbyname('rank-1')\\n"
#define PYTHON(script) "{\"command\":[\"/usr/bin/python3\",\"-c\",\"" script "\"]}"

static void they_meet(const char *network, bool is_one_node)
{
    struct gang g = { .network = network, .is_one_node = is_one_node };
    int codes[2];

    place(&g, 0, PYTHON(LISTEN));
    place(&g, 1, PYTHON(CONNECT));
    go(&g);
    finish(&g, codes);
    ok(codes[0] == 0 && codes[1] == 0);
}

TEST(tasks_find_each_other_by_name)
{
    they_meet("none", false);
    they_meet("egress", false);
}

TEST(tasks_of_one_node_share_its_network) { they_meet("none", true); }

TEST(a_gang_leaves_no_network)
{
    _cleanup_free_ char *path = xasprintf("%s/network", host.runtime);
    const char *const argv[] = { "ls", path, NULL };
    _cleanup_text_ struct text out = { 0 };

    they_meet("none", false);
    /* The launcher hears of the end of a supervisor a moment after everybody else. */
    for (int i = 0; i < 1000; i++) {
        text_done(&out);
        ok(process_run(argv, 4096, 0, &out, NULL, NULL) == 0);
        if (!strchr(text_str(&out), '-'))
            break;
        (void) poll(NULL, 0, 10);
    }
    ok(!strchr(text_str(&out), '-')); /* an id */
}

TEST(files_and_agent_are_there_for_mpirun)
{
    struct gang g = { .network = "none" };
    int codes[2];

    place(
        &g, 0,
        MPI("set -e; grep -qx 'node-1 slots=1' $BERTH_HOSTFILE; grep -q 10.213.0.3 $BERTH_PEERS;"
            "test $(stat -c %a /run/berth/mpi) = 600; test -x $OMPI_MCA_plm_rsh_agent;"
            "code=0; $OMPI_MCA_plm_rsh_agent node-1 'echo on $(hostname) >&2;' 'exit 7' 2>said || code=$?;"
            "test $code = 7; grep -qx 'on node-1' said;"
            "if $OMPI_MCA_plm_rsh_agent node-2 true; then exit 9; fi"));
    place(&g, 1, MPI("echo this is not what runs; exit 9"));
    go(&g);
    job_end(&g.tasks[0]);
    /* The agent goes on until it is told to end. */
    job_tell(&g.tasks[1], "{\"op\":\"stop\",\"cause\":\"stopped\",\"grace\":30}");
    finish(&g, codes);
    ok(codes[0] == 0 && codes[1] == 0);
}

#define GUESS                                                                                      \
    "import socket,struct,time\\n"                                                                 \
    "line = b'touch /storage/reached'\\n"                                                          \
    "for secret in (b'0' * 64, open('/run/berth/mpi','rb').read().split()[1]):\\n"                 \
    "  for i in range(3000):\\n"                                                                   \
    "    try: s = socket.create_connection(('node-1', 29500)); break\\n"                           \
    "    except OSError: time.sleep(0.01)\\n"                                                      \
    "  s.sendall(b'berth-mpi-1\\\\n' + secret + struct.pack('>I', len(line)) + line)\\n"           \
    "  try: said = s.recv(9, socket.MSG_WAITALL)\\n"                                               \
    "  except ConnectionResetError: said = b''\\n"                                                 \
    "  print(len(said), flush=True)\\n"

TEST(who_does_not_know_the_secret_gets_nothing)
{
    struct gang g = { .network = "none" };
    int codes[2];

    place(&g, 0,
          "{\"command\":[\"/usr/bin/python3\",\"-c\",\"" GUESS
          "\"],\"mpi\":true,\"nodes\":2,\"tasks_per_node\":1}");
    place(&g, 1, MPI("true"));
    go(&g);
    job_end(&g.tasks[0]);
    _cleanup_free_ char *log = job_file(&g.tasks[0], "log");
    is_str(log, "0\n9\n"); /* an exit code for who knows it */
    job_tell(&g.tasks[1], "{\"op\":\"stop\",\"cause\":\"stopped\",\"grace\":30}");
    finish(&g, codes);
    ok(codes[0] == 0);
}

TEST(the_secret_is_never_on_disk_and_nothing_inside_can_change_it)
{
    struct gang g = { .network = "none" };
    _cleanup_text_ struct text found = { 0 };
    const char *const argv[] = { "grep", "-rls", SECRET, host.state, NULL };
    int codes[2];

    place(
        &g, 0,
        MPI("exec 2>/dev/null; ! rm /run/berth/mpi && ! touch /run/berth/x && touch /run/x && echo up; sleep 1000"));
    place(&g, 1, MPI("true"));
    go(&g);
    ok(job_await_log(&g.tasks[0], "up\n"));
    ok(process_run(argv, 65536, 0, &found, NULL, NULL) == 1);
    is_str(text_str(&found), "");
    for (int i = 0; i < 2; i++)
        job_tell(&g.tasks[i], "{\"op\":\"stop\",\"cause\":\"stopped\",\"grace\":0}");
    finish(&g, codes);
}

int main(void)
{
    int n = 0, failed = 0;

    host_skip_unless_possible();
    host_open(&host);
    for (const struct tap_test *t = __start_tap_tests; t < __stop_tap_tests; t++) {
        tap_failures = 0;
        t->run();
        printf("%sok %d - %s\n", tap_failures ? "not " : "", ++n, t->name);
        failed += tap_failures > 0;
    }
    host_close(&host);
    printf("1..%d\n", n);
    return failed > 0;
}
