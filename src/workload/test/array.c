#include "workload/workload.h"

#include "base/alloc.h"
#include "base/text.h"
#include "tests/tap.h"

static char *spell(const char *text)
{
    struct array_indexes indexes = { 0 };
    struct error err = { 0 };
    struct text out = { 0 };

    if (array_indexes_parse(text, &indexes, &err) < 0)
        text_add(&out, "refused");
    for (size_t i = 0; i < indexes.n && !err.code; i++)
        text_addf(&out, "%s%u", i ? " " : "", indexes.list[i]);
    if (!err.code)
        text_addf(&out, " step %u limit %u", indexes.step, indexes.limit);
    array_indexes_done(&indexes);
    return text_take(&out);
}

TEST(indexes_are_lists_of_ranges_with_a_limit)
{
    static const struct {
        const char *text, *means;
    } cases[] = {
        { "0-3", "0 1 2 3 step 1 limit 0" },
        { "0-15:4%2", "0 4 8 12 step 4 limit 2" },
        { "5", "5 step 1 limit 0" },
        { "7,1,3-5,4%1", "1 3 4 5 7 step 1 limit 1" },
        { "4000000", "4000000 step 1 limit 0" },
        { "", "refused" },
        { "3-1", "refused" },
        { "0-9:0", "refused" },
        { "0-9%0", "refused" },
        { "0-9%", "refused" },
        { "0-10000", "refused" },
        { "0-5000,5000-9999", "refused" },
        { "4000001", "refused" },
        { "99999999999999999999", "refused" },
        { "1,,2", "refused" },
        { "1-", "refused" },
        { "-1", "refused" },
        { "1:2", "refused" },
        { "0-9%2,3", "refused" },
        { "a", "refused" },
        { "1 ", "refused" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _cleanup_free_ char *got = spell(cases[i].text);
        is_str(got, cases[i].means);
    }
}

TEST(ten_thousand_are_the_most)
{
    struct array_indexes indexes = { 0 };
    struct error err = { 0 };

    ok(array_indexes_parse("0-9999", &indexes, &err) == 0 && indexes.n == 10000);
    array_indexes_done(&indexes);
    ok(array_indexes_parse("0-10000", &indexes, &err) < 0);
    is_str(err.text, "has more than 10000 indexes");
    array_indexes_done(&indexes);
}

TEST(a_job_of_an_array_is_found_by_its_index)
{
    unsigned index = 0;
    _cleanup_free_ char *base = array_text_split("a_b_12", &index);

    is_str(base, "a_b");
    ok(index == 12);
    ok(!array_text_split("a_", &index) && !array_text_split("_3", &index) &&
       !array_text_split("a_07", &index) && !array_text_split("a3", &index) &&
       !array_text_split("a_3x", &index));
}

TEST(the_first_job_stands_for_the_array)
{
    struct array_place place = { .id = { { 7 } }, .index = 3, .count = 2 };
    struct workload_spec spec = { .array = &place };
    char name[] = "sweep_3";
    struct workload head = { .id = { { 7 } }, .name = name, .spec = &spec };
    struct workload other = { .id = { { 8 } }, .name = name, .spec = &spec };
    _cleanup_free_ char *array = workload_array_name(&head);
    _cleanup_free_ char *listed = workload_listed_name(&head);
    _cleanup_free_ char *own = workload_listed_name(&other);

    is_str(array, "sweep");
    is_str(listed, "sweep");
    is_str(own, "sweep_3");
    ok(workload_heads_array(&head) && !workload_heads_array(&other) && workload_in_array(&other));
    ok(workload_means_array(&head, "sweep") && !workload_means_array(&head, "sweep_3"));
    ok(workload_means_array(&head, "0700") && !workload_means_array(&head, "0700_3"));
    ok(!workload_means_array(&other, "sweep"));
}

TEST(an_array_is_in_the_state_of_what_is_left_of_it)
{
    unsigned states[WORKLOAD_STATE_MAX] = { [WORKLOAD_SUCCEEDED] = 3 };

    ok(array_state(states) == WORKLOAD_SUCCEEDED);
    states[WORKLOAD_FAILED] = 1;
    ok(array_state(states) == WORKLOAD_FAILED);
    states[WORKLOAD_QUEUED] = 1;
    ok(array_state(states) == WORKLOAD_QUEUED);
    states[WORKLOAD_RUNNING] = 1;
    ok(array_state(states) == WORKLOAD_RUNNING);
}

TAP_MAIN
