/* What an agent reads: settings and heads that are taken are of their one form, names have an address. */
#include "agent/wire.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const char *text = (const char *) data;
    struct agent_settings settings;
    struct in_addr address;
    enum frame_kind kind;
    uint32_t len;

    if (agent_settings_parse(text, size, &settings) == 0)
        assert(strlen(settings.secret) == AGENT_SECRET_LEN);
    if (size >= AGENT_HEAD_LEN && agent_head_parse(text, text + size - AGENT_SECRET_LEN, &len) == 0)
        assert(len <= AGENT_COMMAND_MAX);
    if (size >= FRAME_HEAD_LEN && frame_parse(text, &kind, &len) == 0)
        assert(len <= FRAME_MAX);
    (void) hosts_find(text, size, "node-1", &address);
    return 0;
}
