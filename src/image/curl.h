/* curl.h - libcurl, loaded when it is needed
 *
 * Linked, it and what it needs would cost every start of the program some 9 ms. Only the child that
 * talks to registries loads it. The types are those of libcurl's own header.
 */
#ifndef IMAGE_CURL_H
#define IMAGE_CURL_H

#include "base/error.h"

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

struct curl {
    typeof(&curl_global_init) global_init;
    typeof(&curl_easy_init) easy_init;
    typeof(&curl_easy_cleanup) easy_cleanup;
    typeof(&curl_easy_reset) easy_reset;
    typeof(&curl_easy_setopt) setopt;
    typeof(&curl_easy_getinfo) getinfo;
    typeof(&curl_easy_strerror) strerror;
    typeof(&curl_easy_escape) escape;
    typeof(&curl_free) free;
    typeof(&curl_slist_append) slist_append;
    typeof(&curl_slist_free_all) slist_free_all;
    typeof(&curl_multi_init) multi_init;
    typeof(&curl_multi_cleanup) multi_cleanup;
    typeof(&curl_multi_add_handle) multi_add;
    typeof(&curl_multi_remove_handle) multi_remove;
    typeof(&curl_multi_perform) perform;
    typeof(&curl_multi_poll) poll;
    typeof(&curl_multi_info_read) info_read;
};

/* Loaded once and kept; -ENOENT when this machine has no libcurl. */
int curl_load(const struct curl **ret, struct error *err);

#endif
