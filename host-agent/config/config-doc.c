/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The settings as people read them: the sample file, and the settings' part of ballastd.conf(5). */

#include "host-agent/config/config-doc.h"

#include <string.h>

#include "host-agent/config/config.h"

#define COLUMNS     100
#define MAN_COLUMNS 76

typedef struct SettingDoc {
    const char *section, *key, *standard, *low, *high, *help;
} SettingDoc;

static const SettingDoc settings[] = {
#define SETTING(section, key, type, member, standard, low, high, help) \
    {section, key, standard, low, high, help},
#include "host-agent/config/config.def"
#undef SETTING
};

/* What a section [Guest PATTERN] takes: it has no defaults, because each key may appear many times or not at
 * all. */
static const struct {
    const char *key, *help;
} guest_settings[] = {
#define SETTING(...)
#define GUEST_SETTING(key, which, help) {key, help},
#include "host-agent/config/config.def"
#undef GUEST_SETTING
#undef SETTING
};

#define GUEST_HELP                                                                                      \
    "Grants for the guests whose names match PATTERN: * stands for any characters, ? for any single "   \
    "character, and [abc] for one of those. There can be up to 64 such sections. If several match a "   \
    "guest, the last one that sets a value wins. Values set for the guest itself (ballastctl set) win " \
    "over all sections. A value that contradicts a winning one is ignored."

_Static_assert(CONFIG_PATTERNS_MAX == 64, "GUEST_HELP says 64");

/* Whether a setting opens a section: they stand together in the table. */
static bool opens_section(size_t i)
{
    return i == 0 || strcmp(settings[i].section, settings[i - 1].section) != 0;
}

/* Writes text as comment lines of at most COLUMNS columns, broken between words. */
static void write_comment(FILE *f, const char *text)
{
    size_t column = 0;

    while (*text) {
        size_t word = strcspn(text, " ");

        if (column > 0 && column + 1 + word > COLUMNS) {
            fputc('\n', f);
            column = 0;
        }
        fprintf(f, "%s%.*s", column > 0 ? " " : "# ", (int) word, text);
        column += (column > 0 ? 1 : 2) + word;
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', f);
}

static int written(FILE *f)
{
    return fflush(f) != 0 || ferror(f) ? -EIO : 0;
}

int config_write_sample(FILE *f)
{
    char text[1024];

    write_comment(
        f,
        "Settings of ballastd, each with its default; see ballastd.conf(5). To change one, remove the # before it, then run \"systemctl reload ballastd\". ballastd refuses a file with a mistake as a whole and keeps its current settings.");
    for (size_t i = 0; i < ELEMENTSOF(settings); i++) {
        const SettingDoc *s = &settings[i];

        if (opens_section(i))
            fprintf(f, "\n[%s]\n", s->section);
        fputc('\n', f);
        if (*s->low)
            snprintf(text, sizeof(text), "%s From %s to %s.", s->help, s->low, s->high);
        else
            snprintf(text, sizeof(text), "%s", s->help);
        write_comment(f, text);
        fprintf(f, "#%s=%s\n", s->key, s->standard);
    }
    fputc('\n', f);
    write_comment(f, "[Guest PATTERN]: " GUEST_HELP);
    fputs("#[Guest *]\n", f);
    for (size_t i = 0; i < ELEMENTSOF(guest_settings); i++) {
        fputc('\n', f);
        write_comment(f, guest_settings[i].help);
        fprintf(f, "#%s=\n", guest_settings[i].key);
    }
    return written(f);
}

/* Text as mdoc takes it, in lines of at most MAN_COLUMNS, each sentence on a line of its own. A line must not begin
 * with a control character, and a hyphen that is meant literally is escaped. */
static void write_mdoc(FILE *f, const char *text)
{
    size_t column = 0;

    while (*text) {
        size_t word = strcspn(text, " ");

        if (column > 0 && (text[-2] == '.' || column + 1 + word > MAN_COLUMNS)) {
            fputc('\n', f);
            column = 0;
        } else if (column > 0)
            column += fprintf(f, " ") > 0;
        if (column == 0 && (*text == '.' || *text == '\''))
            fputs("\\&", f);
        for (const char *end = text + word; text < end; text++, column++)
            if (*text == '\\')
                fputs("\\e", f);
            else if (*text == '-')
                fputs("\\-", f);
            else
                fputc(*text, f);
        text += strspn(text, " ");
    }
    fputc('\n', f);
}

int config_write_man(FILE *f)
{
    for (size_t i = 0; i < ELEMENTSOF(settings); i++) {
        const SettingDoc *s = &settings[i];

        if (opens_section(i))
            fprintf(f, "%s.Ss [%s]\\&\n.Bl -tag -width indent\n", i > 0 ? ".El\n" : "", s->section);
        fprintf(f, ".It Li %s=\n", s->key);
        write_mdoc(f, s->help);
        if (*s->low)
            fprintf(f, "From %s to %s.\n", s->low, s->high);
        fprintf(f, "Default: %s.\n", *s->standard ? s->standard : "empty");
    }
    fputs(".El\n.Ss [Guest PATTERN]\\&\n", f);
    write_mdoc(f, GUEST_HELP);
    fputs(".Bl -tag -width indent\n", f);
    for (size_t i = 0; i < ELEMENTSOF(guest_settings); i++) {
        fprintf(f, ".It Li %s=\n", guest_settings[i].key);
        write_mdoc(f, guest_settings[i].help);
    }
    fputs(".El\n", f);
    return written(f);
}
