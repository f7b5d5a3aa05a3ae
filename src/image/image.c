/* image.c - the struct: make it, add to it, free it */
#include "base/alloc.h"
#include "image/internal.h"

void image_add_link(struct image *image, const char *path, const char *target)
{
    const struct image_link link = { .path = xstrdup(path), .target = xstrdup(target) };

    vec_push(&image->links, link);
}

void image_add_file(struct image *image, const char *path, const char *content)
{
    const struct image_file file = { .path = xstrdup(path),
                                     .mode = 0644,
                                     .content = xstrdup(content) };

    vec_push(&image->files, file);
}

void image_add_directory(struct image *image, const char *path, mode_t mode)
{
    const struct image_directory directory = { .path = xstrdup(path), .mode = mode };

    vec_push(&image->directories, directory);
}

static void free_list(char **list)
{
    for (char **it = list; it && *it; it++)
        free(*it);
    free(list);
}

void image_free(struct image *image)
{
    if (!image)
        return;
    vec_foreach(&image->layers, layer)
        free(*layer);
    vec_foreach(&image->binds, bind) {
        free(bind->source);
        free(bind->target);
    }
    vec_foreach(&image->links, link) {
        free(link->path);
        free(link->target);
    }
    vec_foreach(&image->directories, directory)
        free(directory->path);
    vec_foreach(&image->files, file) {
        free(file->path);
        free(file->content);
    }
    vec_done(&image->layers);
    vec_done(&image->binds);
    vec_done(&image->links);
    vec_done(&image->directories);
    vec_done(&image->files);
    free_list(image->config.entrypoint);
    free_list(image->config.command);
    free_list(image->config.env);
    free(image->config.user);
    free(image->config.workdir);
    free(image->stamp.path);
    free(image->name);
    free(image);
}
