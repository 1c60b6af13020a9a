/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Fills in the tables and limits of the language in ballast-policy(7). Usage: gen-manual TEMPLATE POLICYDIR;
 * writes to stdout. */

#include <string.h>

#include "base/macro.h"
#include "policy/fields.h"
#include "policy/program.h"

#define COLUMNS 76

/* A text in lines of at most COLUMNS, broken between words. No help text has a word that begins with a dot, so no line
 * of it is a macro. */
static void print_text(const char *text)
{
    size_t column = 0;

    while (*text) {
        size_t word = strcspn(text, " ");
        bool breaks = column > 0 && column + 1 + word > COLUMNS;

        printf("%s%.*s", breaks ? "\n" : column > 0 ? " " : "", (int) word, text);
        column = word + (breaks || column == 0 ? 0 : column + 1);
        text += word;
        text += strspn(text, " ");
    }
    putchar('\n');
}

static void print_field(const FieldInfo *f)
{
    static const char *const kinds[] = {
        [FIELD_KIND_GAUGE] = "", [FIELD_KIND_COUNTER] = ", counter", [FIELD_KIND_CONTROL] = ", control"};

    printf(".It Li %s\n(%s%s)\n", f->name, field_unit_to_string(f->unit), kinds[f->kind]);
    print_text(f->help);
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

static const struct {
    const char *name;
    unsigned value;
} limits[] = {
    {"@FILES@", POLICY_FILES_MAX},
    {"@SIZE@", POLICY_SIZE_MAX / 1024},
    {"@DEPTH@", POLICY_DEPTH_MAX},
    {"@COST@", POLICY_COST_MAX},
    {"@WINDOW@", POLICY_WINDOW_COST},
    {"@TEXT@", POLICY_TEXT_MAX},
    {"@KEYS@", POLICY_KEYS_MAX},
    {"@STATES@", POLICY_STATE_MAX},
    {"@SHORTEST@", POLICY_WINDOW_MIN / USEC_PER_SEC},
    {"@LONGEST@", POLICY_WINDOW_MAX / USEC_PER_SEC / 60},
    {"@VALUES@", POLICY_VALUES_MAX},
    {"@ERRORS@", POLICY_DIAGNOSTICS_MAX},
    {"@NOTES@", POLICY_NOTES_MAX},
    {"@LOGS@", POLICY_LOGS_MAX},
    {"@LINE@", POLICY_LOG_MAX - 1},
};

/* Returns whether all of the line's words are known. */
static bool print_line(const char *line, const char *policydir)
{
    for (const char *at; (at = strchr(line, '@')); line = strchr(at + 1, '@') + 1) {
        size_t length, i;

        if (!strchr(at + 1, '@'))
            return false;
        length = (size_t) (strchr(at + 1, '@') + 1 - at);
        printf("%.*s", (int) (at - line), line);
        if (strncmp(at, "@policydir@", length) == 0) {
            fputs(policydir, stdout);
            continue;
        }
        for (i = 0; i < ELEMENTSOF(limits); i++)
            if (strlen(limits[i].name) == length && strncmp(at, limits[i].name, length) == 0)
                break;
        if (i == ELEMENTSOF(limits))
            return false;
        printf("%u", limits[i].value);
    }
    fputs(line, stdout);
    return true;
}

int main(int argc, char *argv[])
{
    _cleanup_fclose_ FILE *f = argc == 3 ? fopen(argv[1], "re") : NULL;
    char line[1024];

    if (!f) {
        fprintf(stderr, "gen-manual: can't read the template\n");
        return EXIT_FAILURE;
    }
    while (fgets(line, sizeof(line), f))
        if (!print_table(line) && !print_line(line, argv[2])) {
            fprintf(stderr, "gen-manual: not known: %s", line);
            return EXIT_FAILURE;
        }
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
