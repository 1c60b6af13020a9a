/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Run during the build. Writes the sample file (--sample), or a manual page from its template (--man FILE), in
 * which the line @SETTINGS@ stands for the settings. */

#include <string.h>

#include "base/macro.h"
#include "host-agent/config/config-doc.h"

static int write_man(const char *path)
{
    _cleanup_fclose_ FILE *f = fopen(path, "re");
    _cleanup_free_ char *line = NULL;
    size_t size = 0;
    bool found = false;
    int r;

    if (!f)
        return -errno;
    while (getline(&line, &size, f) >= 0) {
        if (strcmp(line, "@SETTINGS@\n") != 0) {
            fputs(line, stdout);
            continue;
        }
        found = true;
        r = config_write_man(stdout);
        if (r < 0)
            return r;
    }
    if (ferror(f) || !found || fflush(stdout) != 0)
        return -EIO;
    return 0;
}

int main(int argc, char *argv[])
{
    int r = -EINVAL;

    if (argc == 2 && strcmp(argv[1], "--sample") == 0)
        r = config_write_sample(stdout);
    else if (argc == 3 && strcmp(argv[1], "--man") == 0)
        r = write_man(argv[2]);
    if (r < 0) {
        fprintf(stderr, "%s: %s\n", argv[0], strerror(-r));
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
