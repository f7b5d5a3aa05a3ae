/* what people look at: tables, curves, progress, widths */
#include "cli/plot.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "tests/tap.h"

#include <stdlib.h>

static const struct term plain = { .utf8 = true };
static const struct term ascii = { .utf8 = false };
static const struct term narrow = { .utf8 = true, .tty = true, .width = 24 };
static const struct term colored = { .utf8 = true, .tty = true, .color = true, .width = 80 };

TEST(width_counts_columns)
{
    ok(text_width("abc") == 3);
    ok(text_width("\xc3\xa4") == 1);
    ok(text_width("\xe6\x97\xa5\xe6\x9c\xac") == 4); /* two East Asian characters */
    ok(text_width("e\xcc\x81") == 1);                /* a combining accent */
}

TEST(cut_ends_with_an_ellipsis)
{
    _cleanup_text_ struct text a = { 0 }, b = { 0 }, c = { 0 };

    text_add_cut(&a, "tiny-gpt", 5, true);
    is_str(a.data, "tiny\xe2\x80\xa6");
    text_add_cut(&b, "tiny-gpt", 5, false);
    is_str(b.data, "tiny~");
    text_add_cut(&c, "tiny", 4, true);
    is_str(c.data, "tiny");
}

/* A job's name or a server's words cannot move the cursor or set the title. */
TEST(control_characters_become_visible)
{
    _cleanup_text_ struct text t = { 0 };

    text_add_clean(&t, "a\033[2Jb\n\xc2\x9b");
    is_str(t.data, "a\\x1b[2Jb\\x0a\xef\xbf\xbd");
}

/* BYTES, cut in pieces of STEP. */
static char *log_shown(const char *bytes, size_t step, bool utf8)
{
    struct log_cleaner cleaner = { .utf8 = utf8 };
    struct text t = { 0 };

    for (size_t at = 0, len = strlen(bytes); at < len; at += step)
        log_clean(&cleaner, bytes + at, len - at < step ? len - at : step, &t);
    log_clean_end(&cleaner, &t);
    return text_take(&t);
}

TEST(a_log_keeps_its_colours_and_nothing_else)
{
    static const struct {
        const char *printed, *shown;
    } cases[] = {
        { "a\tb\r\n", "a\tb\r\n" },
        { "\033[1;31mred\033[0m", "\033[1;31mred\033[0m\033[0m" },
        { "\033[38:2:1:2:3mx\033[K", "\033[38:2:1:2:3mx\033[K\033[0m" },
        { "\033[2J\033[?25l\033[6n", "\\x1b[2J\\x1b[?25l\\x1b[6n" },
        { "\033]0;title\007", "\\x1b]0;title\\x07" },
        { "\033\033[mx", "\\x1b\033[mx\033[0m" },
        { "\033[3", "\\x1b[3" },
        { "\033[1234567890;1234567890;1234567890;1234567890m",
          "\\x1b[1234567890;1234567890;1234567890;1234567890m" },
        { "\xc2\x9b"
          "2J \xc3\xa9 \xe6\x97\xa5 \x9b \xe6\x97",
          "\xef\xbf\xbd"
          "2J \xc3\xa9 \xe6\x97\xa5 \xef\xbf\xbd \xef\xbf\xbd" },
        { "\xe6\033[2J", "\xef\xbf\xbd\\x1b[2J" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t step = 1; step < 8; step += 3) {
            _cleanup_free_ char *got = log_shown(cases[i].printed, step, true);
            is_str(got, cases[i].shown);
        }
    _cleanup_free_ char *latin = log_shown("\xc3\x9b", 1, false);
    is_str(latin, "\\xc3\\x9b");
}

static struct table *jobs(void)
{
    struct table *t = table_new();

    table_column(t, "NAME", false, 6);
    table_column(t, "EXIT", true, 0);
    table_column(t, "STATE", false, 0);
    table_cell(t, STYLE_PLAIN, "a-rather-long-name");
    table_cell(t, STYLE_PLAIN, "0");
    table_cell(t, STYLE_GREEN, "succeeded");
    table_cell(t, STYLE_PLAIN, "b");
    table_cell(t, STYLE_PLAIN, "137");
    table_cell(t, STYLE_RED, NULL);
    return t;
}

TEST(table_aligns)
{
    _cleanup_(table_freep) struct table *t = jobs();
    _cleanup_text_ struct text out = { 0 };

    table_format(t, &plain, &out);
    is_str(out.data, "NAME                EXIT  STATE\n"
                     "a-rather-long-name     0  succeeded\n"
                     "b                    137  -\n");
}

TEST(table_leaves_out_what_may_go)
{
    _cleanup_(table_freep) struct table *t = table_new();
    _cleanup_text_ struct text out = { 0 };

    table_column(t, "NAME", false, 6);
    table_column(t, "PRIORITY", true, 0);
    table_may_go(t);
    table_column(t, "EXIT", true, 0);
    table_may_go(t);
    table_column(t, "WHY", false, 5);
    table_cell(t, STYLE_PLAIN, "a-name");
    table_cell(t, STYLE_PLAIN, "0");
    table_cell(t, STYLE_PLAIN, "7");
    table_cell(t, STYLE_PLAIN, "it waits");
    table_format(t, &(struct term){ .width = 80 }, &out);
    is_str(text_str(&out), "NAME    PRIORITY  EXIT  WHY\na-name         0     7  it waits\n");
    text_clear(&out);
    table_format(t, &(struct term){ .width = 17, .utf8 = true }, &out);
    is_str(text_str(&out), "NAME    WHY\na-name  it waits\n");
    text_clear(&out);
    table_format(t, &(struct term){ .width = 21, .utf8 = true }, &out);
    is_str(text_str(&out), "NAME    EXIT  WHY\na-name     7  it wai…\n");
}

TEST(table_fits_a_narrow_terminal)
{
    _cleanup_(table_freep) struct table *t = jobs();
    _cleanup_text_ struct text out = { 0 };

    table_format(t, &narrow, &out);
    is_str(out.data, "NAME     EXIT  STATE\n"
                     "a-rath\xe2\x80\xa6     0  succeeded\n"
                     "b         137  -\n");
}

TEST(colour_only_where_asked)
{
    _cleanup_(table_freep) struct table *t = jobs();
    _cleanup_text_ struct text out = { 0 };

    table_format(t, &colored, &out);
    ok(strstr(out.data, "\033[32msucceeded\033[0m") != NULL);
    ok(style_of_state("failed") == STYLE_RED);
}

static void falling(struct plot_series *s, int n)
{
    for (int i = 0; i < n; i++) {
        struct plot_point p = { i, 4.0 - 3.0 * i / (n - 1) };
        vec_push(&s->points, p);
    }
}

TEST(plot_draws_a_falling_line_in_ascii)
{
    struct plot_series s = { .label = (char[]){ "loss" } };
    _cleanup_text_ struct text out = { 0 };
    const struct plot_options o = { "loss", 27, 4, &ascii };

    falling(&s, 16);
    plot_format(&s, 1, &o, &out);
    is_str(out.data, "           loss\n"
                     "        4 |***\n"
                     "          |   *****\n"
                     "          |        *****\n"
                     "        1 |             ***\n"
                     "          +----------------\n"
                     "           0     7.5     15\n"
                     "           * loss  last 1  lowest 1  16 points\n");
    vec_done(&s.points);
}

TEST(plot_uses_braille)
{
    struct plot_series s = { .label = (char[]){ "loss" } };
    _cleanup_text_ struct text out = { 0 };
    const struct plot_options o = { NULL, 40, 5, &plain };

    falling(&s, 1000);
    plot_format(&s, 1, &o, &out);
    ok(strstr(out.data, "\xe2\xa0") != NULL);
    vec_done(&s.points);
}

/* No point, one point, a flat line, infinite values: drawn or left out, never a fault. */
TEST(plot_takes_whatever_comes)
{
    static const double values[][3] = {
        { 1, 1, 1 }, { 0, 0, 0 }, { 1e300, -1e300, 0 }, { 1e-9, 2e-9, 0 }
    };
    const struct plot_options o = { "x", 5, 1, &plain };

    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        for (size_t n = 0; n <= 3; n++) {
            struct plot_series s = { .label = (char[]){ "x" } };
            _cleanup_text_ struct text out = { 0 };
            for (size_t k = 0; k < n; k++) {
                struct plot_point p = { (double) k, k == 2 ? strtod("inf", NULL) : values[i][k] };
                vec_push(&s.points, p);
            }
            plot_format(&s, 1, &o, &out);
            ok(out.len > 0);
            vec_done(&s.points);
        }
}

TEST(numbers_are_short)
{
    char buf[32];

    is_str(plot_number(0, buf), "0");
    is_str(plot_number(2.5, buf), "2.5");
    is_str(plot_number(12345.6, buf), "12346");
    is_str(plot_number(0.00012, buf), "1.20e-04");
    is_str(plot_number(1.23456789, buf), "1.235");
}

TEST(progress_says_how_far_and_how_long)
{
    struct progress p = { .term = &ascii, .what = "sending", .total = 4 << 20 };
    _cleanup_text_ struct text out = { 0 };

    progress_format(&p, 1 << 20, 1000000, &out);
    is_str(out.data, "sending ######..................  25%  1 MiB of 4 MiB  1 MiB/s  4s left");
}

TAP_MAIN
