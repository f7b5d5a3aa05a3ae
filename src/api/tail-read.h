/* tail-read.h - the lines of one file, or of the files of all tasks of a gang, as events and in the order of time
 *
 * Belongs to one thread at a time: the pool's while tail_read() is under way, the loop's otherwise. Of many files none
 * stays open, and what is kept of each is some numbers, so that a gang of thousands costs little.
 */
#ifndef API_TAIL_READ_H
#define API_TAIL_READ_H

#include "api/line-file.h"

#include "base/id.h"
#include "base/text.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Up to so many files the id of each line says how far all of them have come; of more, an event `place` after each
 * piece does. */
#define TAIL_ID_EACH_MAX 64

/* The file of one task. */
struct tail_source {
    size_t rank;
    struct id task;
    uint64_t first_line; /* to begin with */
    int64_t last_lines;  /* only so many at first; -1: all */
    bool is_open;        /* OFFSET and LINE are known */
    int64_t offset;
    uint64_t line;
    int64_t record;  /* of log.idx: the first that begins after OFFSET */
    int64_t time_us; /* when the line at OFFSET came, to within a second */
    bool at_end, is_due;
};

struct tail_reader {
    char *state;      /* directory */
    const char *file; /* "log", "charts"; borrowed */
    bool json;        /* lines are events as they are; false: {"line", "text"} */
    bool merged;      /* each line says whose it is */
    unsigned number;  /* of the attempt */
    bool last;        /* nothing will be added: a line without its feed is one */
    struct tail_source *sources;
    size_t n_sources;
    VEC(struct tail_source *) due; /* a heap: what is to be read, the earliest first */
    enum line_view view;           /* of a single file */
    struct line_file kept;         /* a single file stays open */
    char *buf;
    struct text out;
};

/* All of them as TEMPLATE; ranks are counted from its own. STATE is copied. */
void tail_reader_init(struct tail_reader *t, const char *state, const struct tail_source *template,
                      size_t n_sources);
void tail_reader_done(struct tail_reader *t);
/* From the first lines of attempt NUMBER on, whose tasks these are. */
void tail_reader_begin(struct tail_reader *t, unsigned number, const struct id *tasks);
/* There may be more in that file. */
void tail_reader_add(struct tail_reader *t, size_t source);
/* Blocks: adds a piece to OUT; more may be left in DUE. */
void tail_read(struct tail_reader *t);
bool tail_reader_at_end(const struct tail_reader *t);
/* The place that an id of ours says: lines of attempt *RET_ATTEMPT that were seen are left out. False: it is none. */
bool tail_reader_resume(struct tail_reader *t, const char *last_id, unsigned *ret_attempt);

#endif
