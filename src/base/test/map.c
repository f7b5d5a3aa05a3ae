#include "base/map.h"
#include "base/alloc.h"
#include "base/vec.h"

#include "tests/tap.h"

#include <stdio.h>

TEST(sets_gets_and_replaces)
{
    _cleanup_(map_freep) struct map *map = map_new();
    int a = 1, b = 2;

    ok(map_get_str(map, "x") == NULL);
    ok(map_set_str(map, "x", &a) == NULL);
    ok(map_set_str(map, "x", &b) == &a);
    ok(map_get_str(map, "x") == &b);
    ok(map_len(map) == 1);
    ok(map_remove_str(map, "x") == &b);
    ok(map_remove_str(map, "x") == NULL);
    ok(map_len(map) == 0);
    ok(map_set(map, "", 0, &a) == NULL);
    ok(map_get(map, "", 0) == &a);
}

TEST(order_is_that_of_insertion)
{
    _cleanup_(map_freep) struct map *map = map_new();
    char key[16];
    const char *value;
    int next = 0;

    for (int i = 0; i < 1000; i++) {
        (void) snprintf(key, sizeof key, "%d", i);
        map_set_str(map, key, xstrdup(key));
    }
    for (int i = 0; i < 1000; i += 2) {
        (void) snprintf(key, sizeof key, "%d", i);
        free(map_remove_str(map, key));
    }
    map_foreach(map, pos, value) {
        (void) snprintf(key, sizeof key, "%d", 2 * next++ + 1);
        is_str(value, key);
        free(map_remove_str(map, key)); /* the current entry may go */
    }
    ok(next == 500);
    ok(map_len(map) == 0);
}

/* Against a plain table: any sequence of sets and removals gives the same answers. */
TEST(agrees_with_a_table)
{
    _cleanup_(map_freep) struct map *map = map_new();
    static int values[256];
    void *table[256] = { 0 };
    unsigned state = 1;
    size_t live = 0;

    for (int step = 0; step < 200000; step++) {
        state = state * 1103515245 + 12345;
        unsigned char key = (unsigned char) (state >> 16);
        if (state >> 31) {
            live += table[key] == NULL;
            ok(map_set(map, &key, 1, &values[key]) == table[key]);
            table[key] = &values[key];
        } else {
            live -= table[key] != NULL;
            ok(map_remove(map, &key, 1) == table[key]);
            table[key] = NULL;
        }
        if (map_len(map) != live)
            break;
    }
    ok(map_len(map) == live);
    for (int i = 0; i < 256; i++) {
        unsigned char key = (unsigned char) i;
        ok(map_get(map, &key, 1) == table[i]);
    }
}

TEST(frees_values)
{
    struct map *map = map_new();

    map_set_str(map, "a", xstrdup("1"));
    map_set_str(map, "b", xstrdup("2"));
    map_free_with(map, free); /* LeakSanitizer tells */
    map_free(NULL);
}

TEST(vectors)
{
    VEC(int) v = { 0 };
    int sum = 0;

    for (int i = 0; i < 100; i++)
        vec_push(&v, i);
    vec_remove(&v, 0);
    ok(v.len == 99);
    ok(v.items[0] == 1);
    vec_foreach(&v, it)
        sum += *it;
    ok(sum == 4950);
    vec_done(&v);
    ok(v.items == NULL);
}

TEST(strings_are_replaced_safely)
{
    _cleanup_free_ char *s = xstrdup("hello");

    xstr_set(&s, s + 1);
    is_str(s, "ello");
    xstr_set(&s, NULL);
    ok(s == NULL);
    ok(xstrdup(NULL) == NULL);
}

TAP_MAIN
