/* curl.c - load libcurl */
#include "image/curl.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

static const struct {
    const char *name;
    size_t offset;
} functions[] = {
    { "curl_global_init", offsetof(struct curl, global_init) },
    { "curl_easy_init", offsetof(struct curl, easy_init) },
    { "curl_easy_cleanup", offsetof(struct curl, easy_cleanup) },
    { "curl_easy_reset", offsetof(struct curl, easy_reset) },
    { "curl_easy_setopt", offsetof(struct curl, setopt) },
    { "curl_easy_getinfo", offsetof(struct curl, getinfo) },
    { "curl_easy_strerror", offsetof(struct curl, strerror) },
    { "curl_easy_escape", offsetof(struct curl, escape) },
    { "curl_free", offsetof(struct curl, free) },
    { "curl_slist_append", offsetof(struct curl, slist_append) },
    { "curl_slist_free_all", offsetof(struct curl, slist_free_all) },
    { "curl_multi_init", offsetof(struct curl, multi_init) },
    { "curl_multi_cleanup", offsetof(struct curl, multi_cleanup) },
    { "curl_multi_add_handle", offsetof(struct curl, multi_add) },
    { "curl_multi_remove_handle", offsetof(struct curl, multi_remove) },
    { "curl_multi_perform", offsetof(struct curl, perform) },
    { "curl_multi_poll", offsetof(struct curl, poll) },
    { "curl_multi_info_read", offsetof(struct curl, info_read) },
};

int curl_load(const struct curl **ret, struct error *err)
{
    static struct curl loaded;

    *ret = &loaded;
    if (loaded.global_init)
        return 0;
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; library && i < sizeof functions / sizeof *functions; i++) {
        void *symbol = dlsym(library, functions[i].name);
        if (!symbol)
            library = NULL;
        memcpy((char *) &loaded + functions[i].offset, &symbol, sizeof symbol);
    }
    if (!library || loaded.global_init(CURL_GLOBAL_DEFAULT) != 0) {
        loaded.global_init = NULL;
        return error_set(err, -ENOENT,
                         "this machine has no libcurl.so.4; install it: apt-get install libcurl4");
    }
    return 0;
}
