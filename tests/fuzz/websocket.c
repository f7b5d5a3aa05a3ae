#include "http/http.h"

/* What comes out of the same bytes at every split; its length and how it ends. */
static size_t parse(const char *bytes, size_t size, size_t step, bool from_client)
{
    struct ws_parser parser = { .from_client = from_client, .limit = 4096 };
    size_t sum = 0;

    for (size_t at = 0; at < size;) {
        struct ws_message m;
        ssize_t n = ws_parse(&parser, bytes + at, size - at < step ? size - at : step, &m);
        if (n < 0 || m.len > 4096 || parser.message.len > 4096)
            break;
        if (m.opcode)
            sum = sum * 31 + m.len + m.code + m.opcode;
        at += (size_t) n;
    }
    ws_parser_done(&parser);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int client = 0; client < 2; client++)
        if (parse((const char *) data, size, size, client) !=
            parse((const char *) data, size, 1, client))
            abort();
    return 0;
}
