/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What people read of the settings: the sample file, and the settings' part of ballastd.conf(5). */

#include <string.h>

#include "host-agent/config/config.h"

#define COLUMNS 100

typedef struct SettingDoc {
    const char *section, *key, *standard, *low, *high, *help;
} SettingDoc;

static const SettingDoc settings[] = {
#define SETTING(section, key, type, member, standard, low, high, help) \
    {section, key, standard, low, high, help},
#include "host-agent/config/config.def"
#undef SETTING
};

/* What a section [Guest PATTERN] takes: it has no defaults, for each may be there many times or not at
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
    "What guests are granted whose name fits PATTERN, in which * stands for any characters, ? for any " \
    "one, and [abc] for one of those. There may be up to 64 such sections. Where several fit a guest, " \
    "the last that says something wins; what is said with the guest itself (ballastctl set) wins over " \
    "all of them. What contradicts a value that wins is left out."

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
        "Settings of ballastd, each with its default; see ballastd.conf(5). To change one, take the # in front of it away. \"systemctl reload ballastd\" puts a change into force; a file with a mistake is refused whole, and the settings that were in force stay.");
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

/* Text as troff takes it: what it would read as a command or as a hyphen is said in its own way. */
static void write_troff(FILE *f, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", f);
    for (; *text; text++)
        if (*text == '\\')
            fputs("\\e", f);
        else if (*text == '-')
            fputs("\\-", f);
        else
            fputc(*text, f);
}

int config_write_man(FILE *f)
{
    for (size_t i = 0; i < ELEMENTSOF(settings); i++) {
        const SettingDoc *s = &settings[i];

        if (opens_section(i))
            fprintf(f, ".SS [%s]\n", s->section);
        fprintf(f, ".TP\n.B %s=\n", s->key);
        write_troff(f, s->help);
        fputs("\n.br\n", f);
        if (*s->low) {
            fputs("From ", f);
            write_troff(f, s->low);
            fputs(" to ", f);
            write_troff(f, s->high);
            fputs(". ", f);
        }
        fputs("Default: ", f);
        write_troff(f, *s->standard ? s->standard : "empty");
        fputs(".\n", f);
    }
    fputs(".SS [Guest PATTERN]\n", f);
    write_troff(f, GUEST_HELP);
    fputc('\n', f);
    for (size_t i = 0; i < ELEMENTSOF(guest_settings); i++) {
        fprintf(f, ".TP\n.B %s=\n", guest_settings[i].key);
        write_troff(f, guest_settings[i].help);
        fputc('\n', f);
    }
    return written(f);
}
