/* What the two ends of an agent's connection say, and where they find each other. */
#include "agent/wire.h"
#include "agent/agent.h"
#include "tests/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define SECRET "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static int settings(const char *text, struct agent_settings *ret)
{
    return agent_settings_parse(text, strlen(text), ret);
}

TEST(settings_have_one_form)
{
    struct agent_settings s = { 0 };

    ok(settings("29500 " SECRET "\n", &s) == 0 && s.port == 29500);
    is_str(s.secret, SECRET);
    ok(settings("", &s) == -EINVAL);
    ok(settings("0 " SECRET "\n", &s) == -EINVAL);
    ok(settings("65536 " SECRET "\n", &s) == -EINVAL);
    ok(settings("29500 " SECRET, &s) == -EINVAL);
    ok(settings("29500 " SECRET "0\n", &s) == -EINVAL);
    ok(settings("29500  " SECRET "\n", &s) == -EINVAL);
    ok(settings("29500 "
                "X0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
                "\n",
                &s) == -EINVAL);
}

TEST(only_who_knows_the_secret_is_heard)
{
    char head[AGENT_HEAD_LEN], other[] = SECRET;
    uint32_t len = 0;

    agent_head_format(SECRET, 7, head);
    ok(agent_head_parse(head, SECRET, &len) == 0 && len == 7);
    other[63] = 'e';
    ok(agent_head_parse(head, other, &len) == -EACCES);
    head[0] = 'B';
    ok(agent_head_parse(head, SECRET, &len) == -EPROTO);
    agent_head_format(SECRET, AGENT_COMMAND_MAX + 1, head);
    ok(agent_head_parse(head, SECRET, &len) == -E2BIG);
    agent_head_format(SECRET, 0, head);
    ok(agent_head_parse(head, SECRET, &len) == -E2BIG);
}

TEST(a_frame_says_what_and_how_much)
{
    char head[FRAME_HEAD_LEN];
    enum frame_kind kind;
    uint32_t len;

    frame_format(FRAME_STDERR, 65536, head);
    ok(frame_parse(head, &kind, &len) == 0 && kind == FRAME_STDERR && len == 65536);
    frame_format(FRAME_STDOUT, 65537, head);
    ok(frame_parse(head, &kind, &len) == -EPROTO);
    frame_format(FRAME_EXIT, 5, head);
    ok(frame_parse(head, &kind, &len) == -EPROTO);
    head[0] = 9;
    ok(frame_parse(head, &kind, &len) == -EPROTO);
}

static const char *found(const char *hosts, const char *name)
{
    static char text[INET_ADDRSTRLEN];
    struct in_addr address;

    if (hosts_find(hosts, strlen(hosts), name, &address) < 0)
        return "none";
    return inet_ntop(AF_INET, &address, text, sizeof text);
}

TEST(names_are_those_of_etc_hosts)
{
    static const char hosts[] = "127.0.0.1 localhost\n::1 localhost node-9\n"
                                "# 10.0.0.1 node-1\n"
                                "10.113.0.2\tnode-0  rank-0 # node-5\r\n"
                                "10.113.0.3 node-1 rank-1";

    is_str(found(hosts, "node-0"), "10.113.0.2");
    is_str(found(hosts, "rank-0"), "10.113.0.2");
    is_str(found(hosts, "rank-1"), "10.113.0.3");
    is_str(found(hosts, "192.0.2.1"), "192.0.2.1");
    is_str(found(hosts, "node-5"), "none");
    is_str(found(hosts, "node-9"), "none"); /* the agent speaks IPv4 */
    is_str(found(hosts, "node"), "none");
    is_str(found("", "node-0"), "none");
    is_str(found("999.0.0.1 node-0\n", "node-0"), "none");
}

TEST(the_program_is_there)
{
    ok(agent_program_size > 10000);
    ok(memcmp(agent_program, "\177ELF", 4) == 0);
}

TAP_MAIN
