/* Whatever list of peers is taken, the files made of it have a line a node and no other words than names. */
#include "executor/gang-view.h"

#include "base/cleanup.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct workload_spec work = { .tasks_per_node = 1 };
    struct task_gang gang = { .world_size = 2, .n_nodes = 2, .local_size = 1, .master_port = 1 };
    struct task_spec spec = { .gang = &gang, .workload_spec = &work };
    _cleanup_json_ json_t *peers = NULL;
    struct gang_view view;

    if (json_parse((const char *) data, size, &peers, NULL) < 0 ||
        gang_view_init(&view, &spec, peers, "eth0", NULL) < 0)
        return 0;
    _cleanup_free_ char *hosts = gang_hosts(&view);
    assert(strspn(hosts, "abcdefghijklmnopqrstuvwxyzABCDEF0123456789-._: \n") == strlen(hosts));
    char **env = gang_variables(&view);
    for (char **it = env; *it; free(*it++))
        assert(strchr(*it, '='));
    free(env);
    gang_view_done(&view);
    return 0;
}
