/* push.h - give an image to a registry: a process of its own
 *
 * The server starts `berth push-image` for each push, for the same reasons as `berth fetch-image`
 * (fetch.h). It reads one JSON object from stdin
 *
 *     {"digest": HEX, "from", "to", "directory", "machine", "max_bytes",
 *      "login": {"username", "password"}, "from_login": {…},
 *      "plain_http", "from_plain_http", "proxy", "ca_file", "stall"}
 *
 * FROM and TO are references. The packed bytes are taken from DIRECTORY, or else from where FROM says: a
 * layout, an archive, a registry. It writes lines of JSON to stdout:
 *
 *     {"event": "resolved", "bytes": N}
 *     {"event": "progress", "bytes": N}                    of those, so far
 *     {"event": "done"}
 *     {"event": "failed", "code": ERRNO, "text": WORDS}    the last one
 */
#ifndef IMAGE_PUSH_H
#define IMAGE_PUSH_H

/* The program; its exit code is 0 also after "failed". */
int image_push_main(void);

#endif
