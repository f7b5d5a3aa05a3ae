/* pusher.h - what gives images to registries: `berth push-image` for each. See puller.h
 *
 * All calls return at once; what happens is reported on the loop through the listener.
 */
#ifndef ENGINE_PUSHER_H
#define ENGINE_PUSHER_H

#include "engine/puller.h"

struct pusher;

struct registry_login_text {
    const char *username, *password; /* NULL: none */
};

/* Strings are borrowed for the call. */
struct image_push {
    struct id push, project;
    struct sha256 manifest;
    const char *from, *to; /* references */
    struct registry_login_text login, from_login;
};

struct pusher_listener {
    void (*progress)(void *userdata, const struct id *push, int64_t done, int64_t total);
    /* CODE 0: it is there. */
    void (*ended)(void *userdata, const struct id *push, int code, const char *text);
    void *userdata;
};

struct pusher_options {
    struct loop *loop;
    const char *state;
    const char *const *plain_http;
    const char *proxy, *ca_file; /* NULL: none */
    int64_t stall_s, max_bytes;
};

/* Options' strings are borrowed for the pusher's life. */
struct pusher *pusher_new(const struct pusher_options *options);
/* Ends what is on its way; nothing is reported of it. */
void pusher_free(struct pusher *pusher);
DEFINE_CLEANUP(struct pusher *, pusher_free);
void pusher_listen(struct pusher *pusher, const struct pusher_listener *listener);
void pusher_push(struct pusher *pusher, const struct image_push *what);

#endif
