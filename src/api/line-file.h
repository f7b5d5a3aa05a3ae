/* line-file.h - lines of a file in an attempt's directory, found with the help of its index
 *
 * Of a log also those of one stream alone. All of this blocks.
 */
#ifndef API_LINE_FILE_H
#define API_LINE_FILE_H

#include "base/json.h"
#include "task/task.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum line_view { VIEW_ALL, VIEW_STDOUT, VIEW_STDERR };
struct line_file {
    int fd;    /* -1: there is none */
    int index; /* -1: there is none */
    int64_t size;
    int64_t size_then;   /* of the file, when it was opened */
    enum line_view view; /* lines, offsets and SIZE are those of that stream alone */
    bool exact;          /* the index tells streams apart; of a log without all is stdout */
    struct view_place {
        int64_t offset, at, record; /* of the view, and of the file; the next record */
        uint8_t stream;
    } place; /* where the last read of a view ended */
    uint8_t records[2048];
    int64_t first_record, n_records; /* those in RECORDS */
};
void line_file_open(const char *path, enum line_view view, struct line_file *ret);
/* As pread(), also of what was added since. */
ssize_t line_file_read(struct line_file *f, char *buf, size_t n, int64_t offset);
/* What is asked for with `stream`. */
enum line_view line_view_of(const json_t *query);
void line_file_done(struct line_file *f);
/* Where line LINE (from 0) begins; the size when there are fewer. */
int64_t line_file_find(struct line_file *f, uint64_t line);
/* Lines, the last counts also without its line feed. */
uint64_t line_file_count(struct line_file *f);
/* Record NUMBER of the index; false: there is none. */
bool line_file_record(const struct line_file *f, int64_t number, struct log_record *ret);
/* The number of the first record that is of a line after LINE. */
int64_t line_file_record_after(const struct line_file *f, uint64_t line);

#endif
