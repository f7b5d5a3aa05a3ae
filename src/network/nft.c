/* nft.c - nft(8) as a program: once a project, never once an attempt */
#include "base/json.h"
#include "network/internal.h"
#include "os/fd.h"
#include "os/process.h"

#include <errno.h>
#include <sys/mman.h>

#define NFT_TIMEOUT_MS 10000
#define NFT_OUTPUT_MAX 65536

/* The first line of what nft said, without "Error: ". */
static const char *complaint(struct text *said)
{
    char *s = said->len ? said->data : NULL;

    if (!s)
        return "no reason given";
    s[strcspn(s, "\n")] = '\0';
    char *error = strstr(s, "Error: ");
    return error ? error + strlen("Error: ") : s;
}

static int read_back(int fd, struct text *ret)
{
    off_t size = lseek(fd, 0, SEEK_END);
    if (size < 0)
        return -errno;
    size_t n = size < NFT_OUTPUT_MAX ? (size_t) size : NFT_OUTPUT_MAX;
    ssize_t got = pread(fd, text_reserve(ret, n), n, 0);
    if (got < 0)
        return -errno;
    ret->len += (size_t) got;
    ret->data[ret->len] = '\0';
    return 0;
}

int nft_load(const struct text *rules, struct error *err)
{
    static const char *const argv[] = { "nft", "-f", "/dev/stdin", NULL };
    _cleanup_close_ int in = memfd_create("rules", MFD_CLOEXEC);
    _cleanup_close_ int out = memfd_create("complaint", MFD_CLOEXEC);
    _cleanup_text_ struct text said = { 0 };
    struct process p = { .pidfd = -1 };

    if (in < 0 || out < 0)
        return error_set(err, -errno, "memory for the packet filter's rules: %m");
    int r = write_full(in, rules->data, rules->len);
    if (r < 0 || lseek(in, 0, SEEK_SET) < 0)
        return error_set(err, r < 0 ? r : -errno, "writing the packet filter's rules failed");
    struct process_options options = {
        .argv = argv, .stdin_fd = in, .stdout_fd = -1, .stderr_fd = out
    };
    r = process_start(&options, &p, err);
    if (r < 0)
        return error_context(err, r, "packet filter");
    r = process_wait(&p);
    if (r == 0)
        return 0;
    if (r > 0)
        r = -EIO;
    (void) read_back(out, &said);
    return error_set(err, r, "nft refused the rules: %s", complaint(&said));
}

int nft_opened(struct ways_out *ret, struct error *err)
{
    static const char *const argv[] = {
        "nft", "-j", "list", "set", "inet", "berth", "opened", NULL
    };
    _cleanup_text_ struct text out = { 0 };
    _cleanup_json_ json_t *json = NULL;
    json_t *item, *element;
    size_t i, k;

    *ret = (struct ways_out){ 0 };
    int r = process_run(argv, NFT_OUTPUT_MAX, NFT_TIMEOUT_MS, &out, NULL, err);
    if (r < 0)
        return r;
    if (r > 0)
        return 0; /* no table */
    r = json_parse(text_str(&out), out.len, &json, err);
    if (r < 0)
        return error_context(err, r, "what nft printed");
    json_array_foreach(json_object_get(json, "nftables"), i, item)
        json_array_foreach(json_object_get(json_object_get(item, "set"), "elem"), k, element) {
            const char *name = json_string_value(element);
            if (name && strlen(name) < IFNAMSIZ && ret->n < WAYS_MAX)
                memcpy(ret->names[ret->n++], name, strlen(name) + 1);
        }
    return 0;
}

int nft_delete_machine_table(struct error *err)
{
    _cleanup_text_ struct text rules = { 0 };

    text_add(&rules, "table inet berth {}\ndelete table inet berth\n");
    return nft_load(&rules, err);
}
