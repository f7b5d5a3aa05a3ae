/* dispatch.h - from a head to its handler */
#ifndef API_DISPATCH_H
#define API_DISPATCH_H

#include "api/internal.h"

/* Fill api->handlers by name; aborts when an endpoint has no handler or a handler no endpoint. */
void dispatch_init(struct api *api);
void dispatch_request(void *userdata, struct http_request *req);

#endif
