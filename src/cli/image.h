/* image.h - what commands about images share */
#ifndef CLI_IMAGE_H
#define CLI_IMAGE_H

#include "cli/internal.h"

struct image_sending {
    int fd;           /* read to its end */
    int64_t size;     /* -1: not known */
    const char *name; /* NAME[:TAG] */
    bool docker;      /* what docker save writes; otherwise an OCI layout as a tar */
};

/* Send an archive; RET is the image that is made of it. */
int image_send(struct cli *cli, const struct image_sending *sending, json_t **ret,
               struct error *err);
/* Show how IMAGE comes until it is there; -EREMOTEIO with the reason when it cannot. */
int image_await(struct cli *cli, json_t **image, struct error *err);
/* Build an image NAME on this machine by the Dockerfile in the directory DOCKERFILE, and send it; RET is
 * the image, with its digest. */
int image_build(struct cli *cli, const char *dockerfile, const char *name, json_t **ret,
                struct error *err);
/* Wait until IMAGE is there, unless --detach was said, and tell about it. */
int image_finish(struct cli *cli, const struct args *args, json_t **image, struct error *err);

#endif
