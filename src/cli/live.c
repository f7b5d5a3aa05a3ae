/* live.c - a screen that is drawn again every second */
#include "cli/live.h"

#include "base/alloc.h"

#include <poll.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define BEGIN "\033[?1049h\033[?25l" /* other screen, no cursor */
#define END   "\033[?25h\033[?1049l"
#define HOME  "\033[H"
#define REST  "\033[J" /* clear what is below */

enum { PERIOD_MS = 1000 };

/* Keys come one by one and are not shown. */
static bool begin_keys(struct termios *saved)
{
    struct termios keys;

    if (!isatty(0) || tcgetattr(0, saved) < 0)
        return false;
    keys = *saved;
    keys.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
    return tcsetattr(0, TCSANOW, &keys) == 0;
}

/* false: somebody wants to leave. */
static bool wait_for_next(bool has_keys)
{
    struct pollfd polled = { .fd = has_keys ? 0 : -1, .events = POLLIN };
    char key = 0;

    if (poll(&polled, 1, PERIOD_MS) > 0 && (read(0, &key, 1) != 1 || key == 'q' || key == 'Q'))
        return false;
    return interrupt_count() == 0;
}

/* Lines that fit, each cleared to its end. */
static void add_frame(struct text *out, const char *frame, unsigned height)
{
    unsigned line = 0;

    text_add(out, HOME);
    for (const char *p = frame, *end; (end = strchr(p, '\n')) && ++line < height; p = end + 1) {
        text_add_bytes(out, p, (size_t) (end - p));
        text_add(out, "\033[K\r\n");
    }
    text_add(out, REST);
}

static int draw_once(struct cli *cli, live_draw_f draw, void *userdata, struct error *err)
{
    _cleanup_text_ struct text frame = { 0 }, out = { 0 };

    cli->out = term_of(1);
    int r = draw(userdata, &frame, err);
    if (r < 0)
        return r;
    add_frame(&out, text_str(&frame), cli->out.height ? cli->out.height : 24);
    print_text(&out);
    return r;
}

int live_run(struct cli *cli, live_draw_f draw, void *userdata, struct error *err)
{
    const struct text begin = { .data = (char[]){ BEGIN }, .len = strlen(BEGIN) };
    const struct text end = { .data = (char[]){ END }, .len = strlen(END) };
    struct termios saved;
    int r;

    interrupt_catch();
    bool has_keys = begin_keys(&saved);
    print_text(&begin);
    do
        r = draw_once(cli, draw, userdata, err);
    while (r == 0 && wait_for_next(has_keys));
    print_text(&end);
    if (has_keys)
        (void) tcsetattr(0, TCSANOW, &saved);
    interrupt_release();
    return r < 0 ? r : CLI_OK;
}
