/* transfer.h - one request of a registry with all that may happen to it: authentication, redirects,
 * broken connections, time-outs; what registry.c and registry-push.c are made of
 */
#ifndef IMAGE_TRANSFER_H
#define IMAGE_TRANSFER_H

#include "image/curl.h"
#include "image/registry.h"
#include "os/hash.h"

struct registry {
    const struct curl *curl;
    CURLM *multi;
    struct registry_options options;
    char *origin;        /* "https://registry-1.docker.io" */
    char *authorization; /* "Authorization: …" once the registry has asked for it; NULL */
};

struct transfer {
    struct registry *registry;
    CURL *easy;
    const char *method;                /* "GET" */
    char *url;                         /* owned; changes with redirects */
    const char *accept, *content_type; /* NULL: none */
    /* what is sent: bytes, or a file */
    const char *body;
    size_t body_len;
    int body_fd; /* -1: none; the caller's */
    int64_t sent;
    /* where the answer goes: into TEXT, or to a file that must become WHAT */
    struct text text;
    int fd; /* -1: into TEXT */
    struct oci_descriptor what;
    struct hasher *hasher;
    int64_t have; /* bytes in the file */
    /* Called once, when a good part of the file is there; NULL: not. */
    void (*begun)(void *userdata, struct transfer *t);
    void *userdata;
    /* what came */
    long status;
    char *location, *challenge;
    int r;
    struct error err;
    /* how it went so far */
    unsigned tries, redirects, logins;
    struct curl_slist *headers;
    int64_t due_us; /* not before, after a failure */
    bool busy, ended;
    size_t index; /* the caller's */
};

void transfer_init(struct transfer *t, struct registry *registry, const char *path);
void transfer_done(struct transfer *t);
/* All of them, at most four at once, to their end; ENDED(USERDATA, T) follows each success. Returns
 * the first failure. */
int transfers_run(struct registry *registry, struct transfer *list, size_t n,
                  void (*ended)(void *userdata, struct transfer *t), void *userdata,
                  struct error *err);

/* auth.c: answer CHALLENGE: set registry->authorization. */
int registry_log_in(struct registry *registry, const char *challenge, struct error *err);

#endif
