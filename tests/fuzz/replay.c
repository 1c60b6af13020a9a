/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Stands in for libFuzzer: runs the target once for each file named, and each file in each folder named. */

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "base/macro.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_MAX ((size_t) 4 * 1024 * 1024)

static int replay_file(const char *path)
{
    _cleanup_fclose_ FILE *f = fopen(path, "re");
    _cleanup_free_ uint8_t *data = NULL, *exact = NULL;
    size_t n;

    if (!f)
        return -errno;

    data = malloc(INPUT_MAX);
    if (!data)
        return -ENOMEM;

    n = fread(data, 1, INPUT_MAX, f);
    if (ferror(f))
        return -EIO;

    /* Just as large as the input, so that a sanitizer sees a read behind its end. */
    exact = malloc(n + !n);
    if (!exact)
        return -ENOMEM;
    memcpy(exact, data, n);

    LLVMFuzzerTestOneInput(exact, n);
    return 1;
}

static int is_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Returns how many files were run, or -errno. */
static int replay_folder(const char *folder)
{
    struct dirent **entries = NULL;
    int n, r = 0, count = 0;

    n = scandir(folder, &entries, is_file, alphasort);
    if (n < 0)
        return -errno;

    for (int i = 0; i < n; i++) {
        _cleanup_free_ char *path = NULL;

        if (r >= 0) {
            if (asprintf(&path, "%s/%s", folder, entries[i]->d_name) < 0) {
                path = NULL;
                r = -ENOMEM;
            } else
                r = replay_file(path);
            count += r >= 0;
        }
        free(entries[i]);
    }
    free(entries);

    return r < 0 ? r : count;
}

int main(int argc, char *argv[])
{
    int total = 0;

    for (int i = 1; i < argc; i++) {
        struct stat st;
        int r;

        if (stat(argv[i], &st) < 0)
            r = -errno;
        else
            r = S_ISDIR(st.st_mode) ? replay_folder(argv[i]) : replay_file(argv[i]);
        if (r < 0) {
            fprintf(stderr, "%s: %s\n", argv[i], strerror(-r));
            return EXIT_FAILURE;
        }
        total += r;
    }

    printf("%d inputs\n", total);
    return total > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
