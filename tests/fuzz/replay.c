/* replay.c - runs a fuzz target over the files of a corpus, in place of libFuzzer
 *
 *     fuzz-NAME DIRECTORY-OR-FILE...
 *
 * Prints TAP: one line a file. A target that finds a fault aborts, which ends the test.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replayed;

static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }

    struct stat st;
    if (fstat(fileno(file), &st) < 0) {
        perror(path);
        exit(1);
    }
    size_t size = (size_t) st.st_size;
    /* Exactly as large as the input, so that a sanitizer sees a read past its end. */
    uint8_t *bytes = malloc(size ? size : 1);
    if (!bytes || fread(bytes, 1, size, file) != size) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    (void) fclose(file);
    LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);

    const char *name = strrchr(path, '/');
    printf("ok %d - %s\n", ++replayed, name ? name + 1 : path);
    (void) fflush(stdout);
}

static int is_file(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static void replay_directory(const char *path)
{
    struct dirent **entries = NULL;
    int n = scandir(path, &entries, is_file, alphasort);
    if (n < 0) {
        perror(path);
        exit(1);
    }
    for (int i = 0; i < n; i++) {
        char file[4096];
        (void) snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        replay_file(file);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
            replay_directory(argv[i]);
        else
            replay_file(argv[i]);
    }
    printf("1..%d\n", replayed);
    return 0;
}
