/* say.c - one line a message, flushed */
#include "image/say.h"

#include "base/cleanup.h"
#include "os/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PROGRESS_US = 200000 };

json_t *say_event(const char *name)
{
    json_t *json = json_object();

    json_put_str(json, "event", name);
    return json;
}

void say(json_t *line)
{
    _cleanup_free_ char *text = json_text(line);

    json_decref(line);
    if (printf("%s\n", text) < 0 || fflush(stdout) != 0)
        _exit(1);
}

void say_progress(struct said *said, int64_t more)
{
    int64_t now = clock_boot_us();

    said->bytes += more;
    if (now - said->told_us < PROGRESS_US)
        return;
    said->told_us = now;
    json_t *line = say_event("progress");
    json_put_int(line, "bytes", said->bytes);
    say(line);
}

void say_failed(int code, const struct error *err)
{
    json_t *line = say_event("failed");

    json_put_int(line, "code", code);
    json_put_str(line, "text", err->text[0] ? err->text : strerror(-code));
    say(line);
}
