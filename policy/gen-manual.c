/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Fills ballast-policy(7) in with the tables and limits that the language itself works with.
 * Usage: gen-manual TEMPLATE, to stdout. */

#include <string.h>

#include "base/macro.h"
#include "policy/fields.h"
#include "policy/program.h"

/* A help text as mdoc: no line of it begins with a macro, and a name written g.x stays one word. */
static void print_field(const FieldInfo *f)
{
    static const char *const kinds[] = {
        [FIELD_KIND_GAUGE] = "", [FIELD_KIND_COUNTER] = ", counter", [FIELD_KIND_CONTROL] = ", control"};

    printf(".It Li %s\n(%s%s) %s\n", f->name, field_unit_to_string(f->unit), kinds[f->kind], f->help);
}

static bool print_table(const char *line)
{
    if (strcmp(line, "@HOST@\n") == 0)
        for (int f = 0; f < HOST_FIELD_MAX; f++)
            print_field(host_field_info((HostField) f));
    else if (strcmp(line, "@GUEST@\n") == 0)
        for (int f = 0; f < GUEST_FIELD_MAX; f++)
            print_field(guest_field_info((GuestField) f));
    else
        return false;
    return true;
}

static void print_line(const char *line)
{
    static const struct {
        const char *name;
        unsigned value;
    } limits[] = {{"@SIZE@", POLICY_SIZE_MAX / 1024},
                  {"@DEPTH@", POLICY_DEPTH_MAX},
                  {"@COST@", POLICY_COST_MAX},
                  {"@KEYS@", POLICY_KEYS_MAX}};

    while (*line) {
        const char *at = strchr(line, '@');
        size_t i;

        if (!at) {
            fputs(line, stdout);
            return;
        }
        printf("%.*s", (int) (at - line), line);
        for (i = 0; i < ELEMENTSOF(limits); i++)
            if (strncmp(at, limits[i].name, strlen(limits[i].name)) == 0)
                break;
        if (i < ELEMENTSOF(limits)) {
            printf("%u", limits[i].value);
            line = at + strlen(limits[i].name);
        } else {
            putchar('@');
            line = at + 1;
        }
    }
}

int main(int argc, char *argv[])
{
    _cleanup_fclose_ FILE *f = argc == 2 ? fopen(argv[1], "re") : NULL;
    char line[1024];

    if (!f) {
        fprintf(stderr, "gen-manual: can't read the template\n");
        return EXIT_FAILURE;
    }
    while (fgets(line, sizeof(line), f))
        if (!print_table(line))
            print_line(line);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
