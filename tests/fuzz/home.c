/* Of what comes home no more is taken than came, and what was taken is taken again. */
#include "task/task.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct error err;

    if (size < 1)
        return 0;
    enum home_file file = (enum home_file)(data[0] % HOME_FILE_MAX);
    const char *bytes = (const char *) data + 1;
    if (!home_file_grows(file)) {
        (void) home_record_check(file, bytes, size - 1, data[0], &err);
        return 0;
    }
    ssize_t n = home_piece_check(file, bytes, size - 1, &err);
    assert(n <= (ssize_t) size - 1);
    if (n > 0)
        assert(home_piece_check(file, bytes, (size_t) n, &err) == n);
    return 0;
}
