/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of settings, and the parsers of their values. */

#include "host-agent/config/config-settings.h"

#include <assert.h>
#include <ctype.h>
#include <limits.h>
#include <string.h>
#include <syslog.h>

#include "base/units.h"
#include "host-agent/config/config.h"

typedef struct Word {
    const char *name;
    int value;
} Word;

static int parse_word(const Word *words, size_t n, const char *text, int *ret)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(words[i].name, text) == 0) {
            *ret = words[i].value;
            return 0;
        }
    return -EINVAL;
}

static int parse_MODE(const Setting *s, const char *text, void *member)
{
    static const Word words[] = {{"observe", GUEST_MODE_OBSERVE}, {"auto", GUEST_MODE_AUTO}};
    int value, r = parse_word(words, ELEMENTSOF(words), text, &value);

    if (r >= 0)
        *(GuestMode *) member = value;
    return r;
}

static int parse_ON_STOP(const Setting *s, const char *text, void *member)
{
    static const Word words[] = {{"keep", ON_STOP_KEEP}, {"release", ON_STOP_RELEASE}};
    int value, r = parse_word(words, ELEMENTSOF(words), text, &value);

    if (r >= 0)
        *(OnStop *) member = value;
    return r;
}

int config_parse_log_level(const char *text)
{
    static const Word words[] = {{"error", LOG_ERR},
                                 {"warning", LOG_WARNING},
                                 {"notice", LOG_NOTICE},
                                 {"info", LOG_INFO},
                                 {"debug", LOG_DEBUG}};
    int level, r = parse_word(words, ELEMENTSOF(words), text, &level);

    return r < 0 ? r : level;
}

static int parse_LOG_LEVEL(const Setting *s, const char *text, void *member)
{
    int level = config_parse_log_level(text);

    if (level < 0)
        return level;
    *(int *) member = level;
    return 0;
}

static int parse_TEXT(const Setting *s, const char *text, void *member)
{
    char **p = member, *copy;

    for (const char *c = text; *c; c++)
        if (iscntrl((unsigned char) *c))
            return -EINVAL;
    copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    free(*p);
    *p = copy;
    return 0;
}

/* A name alone, or an absolute path: what "my/x.policy" is relative to nobody would know. */
static int parse_FILES(const Setting *s, const char *text, void *member)
{
    const char *p = text + strspn(text, " \t");

    if (!*p)
        return -EINVAL;
    for (; *p; p += strspn(p, " \t")) {
        size_t length = strcspn(p, " \t");

        if (*p != '/' && memchr(p, '/', length))
            return -EINVAL;
        p += length;
    }
    return parse_TEXT(s, text, member);
}

/* "system" is a path, too, like any other to the parser. */
static int parse_SCOPE(const Setting *s, const char *text, void *member)
{
    if (!*text || strlen(text) >= PATH_MAX)
        return -EINVAL;
    for (const char *p = text; *p; p += strcspn(p, "/")) {
        p += strspn(p, "/");
        if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == '\0'))
            return -EINVAL;
    }
    return parse_TEXT(s, text, member);
}

/* Limits in the table are ours, and right. */
static usec_t limit_usec(const char *text)
{
    usec_t value = 0;
    int r = parse_duration(text, &value);

    assert(r >= 0);
    (void) r;
    return value;
}

static double limit_ratio(const char *text)
{
    double value = 0;
    int r = parse_ratio(text, &value);

    assert(r >= 0);
    (void) r;
    return value;
}

static uint64_t limit_size(const char *text)
{
    uint64_t value = 0;
    int r = parse_size(text, &value);

    assert(r >= 0);
    (void) r;
    return value;
}

static uint64_t limit_count(const char *text)
{
    uint64_t value = 0;
    int r = parse_count(text, &value);

    assert(r >= 0);
    (void) r;
    return value;
}

static int parse_DURATION(const Setting *s, const char *text, void *member)
{
    usec_t value;
    int r = parse_duration(text, &value);

    if (r < 0)
        return r;
    if (value < limit_usec(s->low) || value > limit_usec(s->high))
        return -ERANGE;
    *(usec_t *) member = value;
    return 0;
}

static int parse_SECONDS(const Setting *s, const char *text, void *member)
{
    usec_t value;
    int r = parse_DURATION(s, text, &value);

    if (r < 0)
        return r;
    if (value % USEC_PER_SEC != 0)
        return -EINVAL;
    *(usec_t *) member = value;
    return 0;
}

static int parse_RATIO(const Setting *s, const char *text, void *member)
{
    double value;
    int r = parse_ratio(text, &value);

    if (r < 0)
        return r;
    if (value < limit_ratio(s->low) || value > limit_ratio(s->high))
        return -ERANGE;
    *(double *) member = value;
    return 0;
}

/* Bytes, as a number to reckon rates with. */
static int parse_SIZE(const Setting *s, const char *text, void *member)
{
    uint64_t value;
    int r = parse_size(text, &value);

    if (r < 0)
        return r;
    if (value < limit_size(s->low) || value > limit_size(s->high))
        return -ERANGE;
    *(double *) member = (double) value;
    return 0;
}

static int parse_COUNT(const Setting *s, const char *text, void *member)
{
    uint64_t value;
    int r = parse_count(text, &value);

    if (r < 0)
        return r;
    if (value < limit_count(s->low) || value > limit_count(s->high))
        return -ERANGE;
    *(double *) member = (double) value;
    return 0;
}

static int parse_SIZE_OR_RATIO(const Setting *s, const char *text, void *member)
{
    SizeOrRatio value = {0};
    int r;

    r = strchr(text, '%') ? parse_ratio(text, &value.ratio) : parse_size(text, &value.bytes);
    if (r >= 0)
        *(SizeOrRatio *) member = value;
    return r;
}

/* What each type of setting is in C, and in words. */
#define MEMBER_MODE          GuestMode
#define MEMBER_ON_STOP       OnStop
#define MEMBER_LOG_LEVEL     int
#define MEMBER_TEXT          char *
#define MEMBER_FILES         char *
#define MEMBER_SCOPE         char *
#define MEMBER_DURATION      usec_t
#define MEMBER_SECONDS       usec_t
#define MEMBER_RATIO         double
#define MEMBER_SIZE          double
#define MEMBER_COUNT         double
#define MEMBER_SIZE_OR_RATIO SizeOrRatio

#define TAKES_MODE          "observe or auto"
#define TAKES_ON_STOP       "keep or release"
#define TAKES_LOG_LEVEL     "error, warning, notice, info or debug"
#define TAKES_TEXT          "text"
#define TAKES_FILES         "absolute paths, or names of installed policies, separated by blanks"
#define TAKES_SCOPE         "'system', or the path of a memory cgroup such as machine.slice"
#define TAKES_DURATION      "a time"
#define TAKES_SECONDS       "a time in whole seconds"
#define TAKES_RATIO         "a share"
#define TAKES_SIZE          "a size"
#define TAKES_COUNT         "a whole number"
#define TAKES_SIZE_OR_RATIO "a size such as 4GiB or a share such as 10%"

#define SETTING(section, key, type, member, standard, low, high, help) \
    _Static_assert(__builtin_types_compatible_p(__typeof__(((Config *) NULL)->member), MEMBER_##type), key);
#include "host-agent/config/config.def"
#undef SETTING

char *setting_units_meant(const Setting *s, char *buf, const char *text)
{
    return units_meant(buf, text, s->parse != parse_RATIO, s->parse != parse_SIZE);
}

const Setting config_settings[CONFIG_SETTINGS] = {
#define SETTING(section, key, type, member, standard, low, high, help) \
    {section, key, parse_##type, TAKES_##type, offsetof(Config, member), standard, low, high},
#include "host-agent/config/config.def"
#undef SETTING
};
