/* sqlite-tags.c - tags of what has no record that they could be in: rows = fold(events)
 *
 * Of jobs and datasets they are in their records, which are checked whole.
 */
#include "store/sqlite.h"

#include "base/alloc.h"
#include "base/map.h"

#include <errno.h>
#include <string.h>

static void free_tags(void *tags) { json_decref(tags); }

/* An event that says nothing of tags leaves them; nothing has any after it was deleted. */
static void fold(struct map *map, const struct event *e)
{
    json_t *tags = json_object_get(e->data, "tags");
    json_t *before = NULL;

    if (str_ends(e->type, ".deleted") || (tags && json_object_size(tags) == 0))
        before = map_remove(map, e->subject.bytes, sizeof e->subject.bytes);
    else if (tags)
        before = map_set(map, e->subject.bytes, sizeof e->subject.bytes, json_incref(tags));
    json_decref(before);
}

static int fold_events(struct sqlite_check *check, struct map *map)
{
    static const char sql[] =
        "SELECT " EVENT_COLUMNS " FROM events WHERE kind NOT IN ('job', 'dataset') "
        "AND (type LIKE '%.deleted' OR instr(data, '\"tags\"') > 0) ORDER BY seq";
    sqlite3_stmt *stmt = sqlite_statement(&check->b->writer, sql, check->err);
    int r = stmt ? 0 : -EIO;

    while (r >= 0 && sqlite3_step(stmt) == SQLITE_ROW) {
        _cleanup_(event_freep) struct event *e = event_of_row(stmt, check->err);
        if (e)
            fold(map, e);
        else
            r = -EBADMSG;
    }
    sqlite3_reset(stmt);
    return r;
}

static void check_one(struct sqlite_check *check, struct map *map, const struct subject_record *row)
{
    char id[ID_TEXT_LEN + 1];
    json_t *folded = map_remove(map, row->subject.bytes, sizeof row->subject.bytes);

    if (!folded || !json_equal(folded, row->record))
        sqlite_difference(check, "tags of %s: the row differs from its events",
                          id_format(&row->subject, id));
    json_decref(folded);
}

int sqlite_check_tags(struct sqlite_check *check)
{
    struct map *map = map_new();
    struct store_state state = { 0 };
    int r = fold_events(check, map);

    if (r >= 0)
        r = sqlite_load_tags(check->b, &state, check->err);
    vec_foreach(&state.tags, row) {
        check_one(check, map, row);
        json_decref(row->record);
    }
    vec_done(&state.tags);
    if (r >= 0 && map_len(map) > 0)
        sqlite_difference(check, "%zu rows of tags that events tell of are missing", map_len(map));
    map_free_with(map, free_tags);
    return r;
}
