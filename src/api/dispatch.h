/* dispatch.h - from a head to its handler */
#ifndef API_DISPATCH_H
#define API_DISPATCH_H

#include "api/internal.h"

/* Fill api->handlers by name; aborts when an endpoint has no handler or a handler no endpoint. */
void dispatch_init(struct api *api);
void dispatch_request(void *userdata, struct http_request *req);

/* page.c: answers with a file of the console if that is what was asked for. */
bool page_respond(struct api *api, struct http_request *req);

#endif
