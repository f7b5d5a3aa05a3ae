/* say.h - lines of JSON that the programs for images write to stdout */
#ifndef IMAGE_SAY_H
#define IMAGE_SAY_H

#include "base/error.h"
#include "base/json.h"

/* How much has moved, told a few times a second. */
struct said {
    int64_t bytes, told_us;
};

/* {"event": NAME}; owned by the caller. */
json_t *say_event(const char *name);
/* Takes LINE. The program ends when nobody listens. */
void say(json_t *line);
void say_progress(struct said *said, int64_t more);
/* {"event": "failed", …} */
void say_failed(int code, const struct error *err);

#endif
