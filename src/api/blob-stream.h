/* blob-stream.h - the bytes of many blobs as one answer, made while it is sent: a piece of one of them in memory
 * at a time
 */
#ifndef API_BLOB_STREAM_H
#define API_BLOB_STREAM_H

#include "api/internal.h"

/* What lies between the blobs. Called by a thread of the pool, one call at a time. */
struct blob_stream_form {
    const char *media;
    /* The next blob; false: there is none. */
    bool (*next)(void *owner, struct sha256 *ret);
    /* Before its SIZE bytes; false: it is not what was meant, the answer breaks off. */
    bool (*head)(void *owner, struct text *out, int64_t size);
    void (*tail)(void *owner, struct text *out, int64_t size); /* after them; NULL: nothing */
    void (*end)(void *owner, struct text *out);                /* after the last; NULL: nothing */
    void (*free)(void *owner);
};

/* Answers the call; takes call and OWNER. A blob that cannot be read breaks the answer off: its status was sent. */
void blob_stream_send(struct call *call, const struct blob_stream_form *form, void *owner);

#endif
