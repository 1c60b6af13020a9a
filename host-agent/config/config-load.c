/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads ballastd.conf. */

#include "host-agent/config/config-load.h"

#include <assert.h>
#include <ctype.h>
#include <ini.h>
#include <stdarg.h>
#include <string.h>
#include <syslog.h>

#include "base/fileio.h"
#include "base/nearest.h"
#include "base/units.h"
#include "host-agent/config/config-settings.h"

#define FINDING_MAX 512 /* a message, with its end */
#define SHOWN_MAX   64  /* of a value in a message */

/* The name under which inih gets each [Guest PATTERN], whatever its pattern. */
#define GUEST_SECTION "Guest PATTERN"

static const struct {
    const char *key;
    EntitlementKey which;
} guest_settings[] = {
#define SETTING(...)
#define GUEST_SETTING(key, which, help) {key, which},
#include "host-agent/config/config.def"
#undef GUEST_SETTING
#undef SETTING
};

/* All settings with their sections, by number. */
#define KNOWN (CONFIG_SETTINGS + ELEMENTSOF(guest_settings))

static const char *known_section(size_t i)
{
    return i < CONFIG_SETTINGS ? config_settings[i].section : GUEST_SECTION;
}

static const char *known_key(size_t i)
{
    return i < CONFIG_SETTINGS ? config_settings[i].key : guest_settings[i - CONFIG_SETTINGS].key;
}

static void *member_of(Config *c, const Setting *s)
{
    return (char *) c + s->offset;
}

unsigned config_line(const Config *c, const void *member)
{
    for (size_t i = 0; i < CONFIG_SETTINGS; i++)
        if ((const char *) c + config_settings[i].offset == (const char *) member)
            return c->lines[i];
    return 0;
}

int config_new(Config **ret)
{
    _cleanup_(config_freep) Config *c = calloc(1, sizeof(*c));

    if (!c)
        return -ENOMEM;
    c->guard = GUARD_CONFIG_DEFAULT;
    for (size_t i = 0; i < CONFIG_SETTINGS; i++) {
        int r = config_settings[i].parse(&config_settings[i], config_settings[i].standard,
                                         member_of(c, &config_settings[i]));

        if (r == -ENOMEM)
            return r;
        assert(r >= 0);
    }
    *ret = TAKE_PTR(c);
    return 0;
}

/* A file on its way through inih, which calls back for each line it wants (next_line) and, before it wants
 * the next, for the setting on it (on_setting). So the line's number is known without inih's help, which
 * depends on how it was built. */
typedef struct Loader {
    Config *config;
    const char *path;
    ConfigReporter report;
    void *userdata;

    const char *cursor; /* the text that is left */
    unsigned line;
    unsigned section_line; /* where the section began */
    ConfigGuests *guests;  /* of the section, where it is a [Guest PATTERN] that is in order */
    unsigned guest_lines[ELEMENTSOF(guest_settings)]; /* where that section sets each */
    bool owed;                                        /* the line must bring a setting, and hasn't yet */
    bool bad;
    int error; /* other than a bad file */
} Loader;

_printf_(4, 5) static void tell(Loader *l, int level, unsigned line, const char *format, ...)
{
    char text[FINDING_MAX];
    va_list ap;

    if (level == LOG_ERR)
        l->bad = true;
    if (!l->report)
        return;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    l->report(l->userdata, level, l->path, line, text);
}

/* Text of the file as it may stand in a message: on one line, and not too long. */
static const char *shown(char *buf, const char *text)
{
    size_t n = 0;

    for (; text[n] && n < SHOWN_MAX; n++)
        buf[n] = iscntrl((unsigned char) text[n]) ? '?' : text[n];
    snprintf(buf + n, 4, "%s", text[n] ? "..." : "");
    return buf;
}

static void settle_line(Loader *l)
{
    if (l->owed)
        tell(l, LOG_ERR, l->line, "neither a setting (Key=value) nor a section ([Name])");
    l->owed = false;
}

/* Sizes that are fine each and don't agree with each other. */
static void settle_guests(Loader *l)
{
    char why[ENTITLEMENT_WHY_MAX];

    if (l->guests && entitlement_check(&l->guests->entitlement, 0, why) < 0)
        tell(l, LOG_ERR, l->section_line, "the sizes are not valid: %s", why);
    l->guests = NULL;
}

static int add_guests(Loader *l, const char *pattern, size_t length)
{
    Config *c = l->config;
    ConfigGuests *grown;

    grown = realloc(c->guests, (c->n_guests + 1) * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    c->guests = grown;
    grown[c->n_guests] =
        (ConfigGuests){.pattern = strndup(pattern, length), .line = l->line, .entitlement = ENTITLEMENT_NONE};
    if (!grown[c->n_guests].pattern)
        return -ENOMEM;
    l->guests = &grown[c->n_guests++];
    return 0;
}

/* Where a section's line ends: blanks and a comment after a blank don't belong to it. */
static const char *end_of_section(const char *text)
{
    const char *end = text;

    while (*end && !(strchr(" \t", *end) && strchr(";#", end[1])))
        end++;
    while (end > text && isspace((unsigned char) end[-1]))
        end--;
    return end;
}

/* The ] of a pattern's bracket expression that begins at p, as fnmatch() reads it; end if it has none. */
static const char *end_of_bracket(const char *p, const char *end)
{
    p++;
    if (p < end && strchr("!^", *p))
        p++;
    for (const char *first = p; p < end && (*p != ']' || p == first); p++)
        if (*p == '\\' && p + 1 < end)
            p++;
        else if (*p == '[' && p + 1 < end && strchr(":.=", p[1])) {
            const char sign = p[1];

            for (p += 2; p + 1 < end && !(*p == sign && p[1] == ']'); p++)
                ;
            p++;
        }
    return MIN(p, end);
}

/* Whether each [ of a pattern has its ]. *ret_one: the pattern is nothing but [...]. */
static bool brackets_close(const char *pattern, const char *end, bool *ret_one)
{
    *ret_one = false;
    for (const char *p = pattern; p < end; p++)
        if (*p == '\\')
            p++;
        else if (*p == '[') {
            const char *close = end_of_bracket(p, end);

            if (close == end)
                return false;
            *ret_one = p == pattern && close + 1 == end;
            p = close;
        }
    return true;
}

static void check_pattern(Loader *l, const char *pattern, const char *end)
{
    char name[SHOWN_MAX + 4], text[SHOWN_MAX + 1];
    bool one;

    snprintf(text, sizeof(text), "%.*s", (int) MIN(end - pattern, (ptrdiff_t) SHOWN_MAX), pattern);
    shown(name, text);
    if (!brackets_close(pattern, end, &one))
        tell(
            l, LOG_ERR, l->line,
            "the pattern %s has a [ without its ]: leave it out, as in [Guest web-*], or write \\[ for a [ in a guest's "
            "name",
            name);
    else if (one)
        tell(
            l, LOG_WARNING, l->line,
            "the pattern %s matches only names of one character: write it without brackets of its own, as in "
            "[Guest web-*]",
            name);
}

/* What follows [Guest on a line: blanks, the pattern, in which ] may stand, blanks, ], and perhaps a comment
 * after a blank. */
static void open_guests(Loader *l, const char *rest)
{
    const char *end = end_of_section(rest);
    int r;

    if (end == rest || end[-1] != ']') {
        tell(l, LOG_ERR, l->line, "a section without its closing ]");
        return;
    }
    for (end--; end > rest && isspace((unsigned char) end[-1]);)
        end--;
    rest += strspn(rest, " \t");
    if (rest >= end)
        tell(l, LOG_ERR, l->line, "a section for guests needs a pattern of their names, as in [Guest web-*]");
    else if (l->config->n_guests >= CONFIG_PATTERNS_MAX)
        tell(l, LOG_ERR, l->line, "more than %u sections [" GUEST_SECTION "]", CONFIG_PATTERNS_MAX);
    else {
        check_pattern(l, rest, end);
        r = add_guests(l, rest, (size_t) (end - rest));
        if (r < 0)
            l->error = r;
    }
}

static bool is_section(const char *name)
{
    for (size_t i = 0; i < CONFIG_SETTINGS; i++)
        if (strcmp(config_settings[i].section, name) == 0)
            return true;
    return false;
}

static void tell_unknown_section(Loader *l, const char *section)
{
    const char *word = section + strspn(section, " \t");
    char name[SHOWN_MAX + 4];
    Nearest near;

    /* All names are one word, but for the pattern of guests. */
    nearest_init(&near, word, strcspn(word, " \t"));
    for (size_t i = 0; i < CONFIG_SETTINGS; i++)
        nearest_offer(&near, config_settings[i].section);
    nearest_offer(&near, "Guest");
    if (near.best && strcmp(near.best, "Guest") == 0)
        near.best = GUEST_SECTION;
    if (near.best)
        tell(l, LOG_WARNING, l->line,
             "no section is called [%s], ignored with what is in it; did you mean [%s]?",
             shown(name, section), near.best);
    else
        tell(l, LOG_WARNING, l->line, "no section is called [%s], ignored with what is in it",
             shown(name, section));
}

/* Any section but those for guests. inih ends its name at the first ]. */
static void open_plain(Loader *l, const char *text)
{
    const char *end = end_of_section(text), *close = memchr(text, ']', (size_t) (end - text));
    _cleanup_free_ char *name = NULL;

    if (!close) {
        tell(l, LOG_ERR, l->line, "a section without its closing ]");
        return;
    }
    if (close + 1 < end) {
        tell(l, LOG_ERR, l->line, "more than a comment after the ] of a section");
        return;
    }
    name = strndup(text + 1, (size_t) (close - text - 1));
    if (!name)
        l->error = -ENOMEM;
    else if (!is_section(name))
        tell_unknown_section(l, name);
}

/* inih ends a section's name at its first ], and cuts it off where it is long. */
static void open_section(Loader *l, char *buf, size_t size)
{
    static const char guest[] = "[Guest";

    settle_guests(l);
    l->section_line = l->line;
    memset(l->guest_lines, 0, sizeof(l->guest_lines));
    if (strncmp(buf, guest, strlen(guest)) == 0 && strchr("] \t", buf[strlen(guest)])) {
        open_guests(l, buf + strlen(guest));
        snprintf(buf, size, "[" GUEST_SECTION "]\n");
    } else
        open_plain(l, buf);
}

/* What inih has for fgets(). Blanks in front are left out: inih takes an indented line for more of the value
 * above. */
static char *next_line(char *buf, int size, void *userdata)
{
    Loader *l = userdata;
    size_t length;

    settle_line(l);
    if (!*l->cursor) {
        settle_guests(l);
        return NULL;
    }
    l->line++;
    l->cursor += strspn(l->cursor, " \t\r\f\v");
    length = strcspn(l->cursor, "\n");
    if (length + 2 > (size_t) size) {
        tell(l, LOG_ERR, l->line, "longer than %d characters", size - 2);
        strcpy(buf, "\n");
    } else {
        memcpy(buf, l->cursor, length);
        strcpy(buf + length, "\n");
    }
    l->cursor += length;
    if (*l->cursor)
        l->cursor++;

    if (buf[0] == '[')
        open_section(l, buf, (size_t) size);
    else
        l->owed = !strchr("\n#;", buf[0]);
    return buf;
}

static void tell_unknown_key(Loader *l, const char *section, const char *key)
{
    char name[SHOWN_MAX + 4];
    const char *nearest = NULL; /* the section of the nearest key */
    Nearest near;

    shown(name, key);
    nearest_init(&near, key, strlen(key));
    /* Those of the same section first: among equals the first wins. */
    for (int same = 1; same >= 0; same--)
        for (size_t i = 0; i < KNOWN; i++) {
            unsigned distance = near.distance;

            if ((strcmp(known_section(i), section) == 0) == same)
                nearest_offer(&near, known_key(i));
            if (near.distance < distance)
                nearest = known_section(i);
        }

    if (!nearest && !*section)
        tell(l, LOG_WARNING, l->line, "%s= stands outside of any section, ignored", name);
    else if (!nearest)
        tell(l, LOG_WARNING, l->line, "no setting of [%s] is called %s=, ignored", section, name);
    else if (near.distance == 0 && strcmp(nearest, section) != 0)
        tell(l, LOG_WARNING, l->line, "%s= belongs in [%s], ignored here", name, nearest);
    else
        tell(l, LOG_WARNING, l->line, "no setting is called %s=, ignored; did you mean %s= in [%s]?", name,
             near.best, nearest);
}

static void tell_bad_value(Loader *l, const Setting *s, const char *value, int error)
{
    char text[SHOWN_MAX + 4], range[64] = "", example[64] = "", meant[UNITS_MEANT_MAX];

    shown(text, value);
    if (error == -ENOTUNIQ) {
        tell(l, LOG_ERR, l->line, "%s=%s has no unit: %s?", s->key, text,
             setting_units_meant(s, meant, value));
        return;
    }
    if (*s->low)
        snprintf(range, sizeof(range), " from %s to %s", s->low, s->high);
    if (*s->low)
        snprintf(example, sizeof(example), ", such as %s", s->standard);
    tell(l, LOG_ERR, l->line, "%s=%s is not valid: it takes %s%s%s", s->key, text, s->takes, range, example);
}

/* Remembers where a setting is set: *line, which is 0 before. */
static void note_line(Loader *l, const char *key, unsigned *line)
{
    if (*line > 0)
        tell(l, LOG_WARNING, l->line, "%s= is set here and in line %u; the last one counts", key, *line);
    *line = l->line;
}

/* A setting of a section [Guest PATTERN]. One that wasn't in order has been told. */
static void on_guest_setting(Loader *l, const char *key, const char *value)
{
    char why[ENTITLEMENT_WHY_MAX];

    for (size_t i = 0; i < ELEMENTSOF(guest_settings); i++) {
        if (strcmp(guest_settings[i].key, key) != 0)
            continue;
        note_line(l, key, &l->guest_lines[i]);
        if (l->guests && entitlement_set(&l->guests->entitlement, guest_settings[i].which, value, why) < 0)
            tell(l, LOG_ERR, l->line, "%c%s", *key, why + 1); /* as the file writes the key */
        return;
    }
    tell_unknown_key(l, GUEST_SECTION, key);
}

static int on_setting(void *userdata, const char *section, const char *key, const char *value)
{
    Loader *l = userdata;
    int r;

    l->owed = false;
    if (strcmp(section, GUEST_SECTION) == 0) {
        on_guest_setting(l, key, value);
        return 1;
    }
    for (size_t i = 0; i < CONFIG_SETTINGS; i++) {
        const Setting *s = &config_settings[i];

        if (strcmp(s->section, section) != 0 || strcmp(s->key, key) != 0)
            continue;
        note_line(l, key, &l->config->lines[i]);
        r = s->parse(s, value, member_of(l->config, s));
        if (r == -EINVAL || r == -ERANGE || r == -ENOTUNIQ)
            tell_bad_value(l, s, value, r);
        else if (r < 0)
            l->error = r;
        return 1;
    }
    /* Those of an unknown section were told with it. */
    if (!*section || is_section(section))
        tell_unknown_key(l, section, key);
    return 1;
}

/* Settings that are fine each and odd together. */
static void check_together(Loader *l)
{
    const Config *c = l->config;
    char stale[UNITS_FORMAT_MAX], period[UNITS_FORMAT_MAX];

    if (c->guard.stale_usec <= MAX(c->stats_period_usec, c->interval_usec))
        tell(l, LOG_WARNING, 0,
             "Stale=%s isn't longer than the time between two stats (%s): guests will often count as stale",
             format_duration(stale, c->guard.stale_usec),
             format_duration(period, MAX(c->stats_period_usec, c->interval_usec)));
}

/* The whole file, NUL-terminated. */
static int read_text(Loader *l, char **ret)
{
    _cleanup_free_ char *text = NULL;
    size_t length;
    int r;

    r = fileio_read_regular(l->path, CONFIG_FILE_MAX, &text, &length);
    if (r == -EFBIG)
        tell(l, LOG_ERR, 0, "larger than %u bytes", CONFIG_FILE_MAX);
    if (r == -EMEDIUMTYPE)
        tell(l, LOG_ERR, 0, "%s", fileio_strerror(r));
    if (r < 0)
        return r == -EFBIG || r == -EMEDIUMTYPE ? -EINVAL : r;
    if (strlen(text) < length) {
        tell(l, LOG_ERR, 0, "not a text file");
        return -EINVAL;
    }
    *ret = TAKE_PTR(text);
    return 0;
}

int config_load(const char *path, ConfigReporter report, void *userdata, Config **ret)
{
    _cleanup_(config_freep) Config *c = NULL;
    _cleanup_free_ char *text = NULL;
    Loader l = {.path = path, .report = report, .userdata = userdata};
    int r = read_text(&l, &text);

    if (r < 0)
        return r;
    r = config_new(&c);
    if (r < 0)
        return r;
    l.config = c;
    l.cursor = text;
    if (strncmp(text, "\xEF\xBB\xBF", 3) == 0) /* a byte order mark */
        l.cursor += 3;
    r = ini_parse_stream(next_line, &l, on_setting, &l);
    if (r == -2)
        return -ENOMEM;
    if (r > 0 && !l.bad)
        tell(&l, LOG_ERR, (unsigned) r, "can't be understood");
    if (l.error < 0)
        return l.error;
    if (l.bad)
        return -EINVAL;
    check_together(&l);
    c->path = strdup(path);
    if (!c->path)
        return -ENOMEM;
    *ret = TAKE_PTR(c);
    return 0;
}
