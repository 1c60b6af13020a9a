/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words and units of other languages, for hints. */

#include "policy/foreign.h"

#include <string.h>

#include "base/macro.h"

#define LOOP     "the only loop is over guests: for g in guests { ... }"
#define ORDER    "write by: for g in guests by g.free desc { ... }"
#define FUNCTION "a function is one expression: fn half(x) = x / 2"
#define VARIABLE "declare a variable with let: let x = 1"
#define PRINT    "write log(\"free is\", host.free)"
#define LEAVE    "select guests with where, or use if: nothing else leaves a loop"
#define MISSING  "a stat that may be missing gets a default: g.stall ?? 0%"
#define BLOCK    "a block is in braces: if host.available < 1GiB { ... }"
#define NAMES    "for names, use matches(g.name, \"web*\")"
#define WHOLE    "use round(x, step): round(g.free, 1MiB)"
#define FILES    "files that run together are named in Files= under [Policy] in ballastd.conf"

static const struct {
    const char *word, *hint;
} words[] = {
    {"foreach", LOOP},
    {"while", LOOP},
    {"until", LOOP},
    {"loop", LOOP},
    {"range", LOOP},
    {"order", ORDER},
    {"sort", ORDER},
    {"sorted", ORDER},
    {"def", FUNCTION},
    {"func", FUNCTION},
    {"function", FUNCTION},
    {"lambda", FUNCTION},
    {"return", FUNCTION},
    {"var", VARIABLE},
    {"local", VARIABLE},
    {"global", VARIABLE},
    {"set", VARIABLE},
    {"setq", VARIABLE},
    {"defvar", VARIABLE},
    {"print", PRINT},
    {"printf", PRINT},
    {"echo", PRINT},
    {"continue", LEAVE},
    {"break", LEAVE},
    {"next", LEAVE},
    {"exit", LEAVE},
    {"elif", "write else if: if a { ... } else if b { ... }"},
    {"elsif", "write else if: if a { ... } else if b { ... }"},
    {"elseif", "write else if: if a { ... } else if b { ... }"},
    {"unless", "write if not: if not g.distress { ... }"},
    {"switch", "write if, else if and else"},
    {"case", "write if, else if and else"},
    {"pass", "a block may be empty: { }"},
    {"begin", BLOCK},
    {"do", BLOCK},
    {"done", BLOCK},
    {"end", BLOCK},
    {"endif", BLOCK},
    {"fi", BLOCK},
    {"import", FILES},
    {"include", FILES},
    {"from", FILES},
    {"None", MISSING},
    {"null", MISSING},
    {"NULL", MISSING},
    {"nil", MISSING},
    {"undefined", MISSING},
    {"is", "to compare, write =="},
    {"AND", "write and"},
    {"OR", "write or"},
    {"NOT", "write not"},
    {"True", "write true"},
    {"False", "write false"},
    {"contains", NAMES},
    {"fnmatch", NAMES},
    {"glob", NAMES},
    {"like", NAMES},
    {"match", NAMES},
    {"startswith", NAMES},
    {"ceil", WHOLE},
    {"floor", WHOLE},
    {"int", WHOLE},
    {"len", "write count(g for g in guests)"},
};

static const struct {
    const char *text, *unit;
} units[] = {
    {"k", "KiB"},       {"K", "KiB"},    {"M", "MiB"},     {"g", "GiB"},   {"G", "GiB"},    {"t", "TiB"},
    {"T", "TiB"},       {"ki", "KiB"},   {"Ki", "KiB"},    {"Mi", "MiB"},  {"Gi", "GiB"},   {"Ti", "TiB"},
    {"kib", "KiB"},     {"KIB", "KiB"},  {"kiB", "KiB"},   {"mib", "MiB"}, {"MIB", "MiB"},  {"gib", "GiB"},
    {"GIB", "GiB"},     {"tib", "TiB"},  {"TIB", "TiB"},   {"kb", "kB"},   {"KB", "kB"},    {"mb", "MB"},
    {"Mb", "MB"},       {"gb", "GB"},    {"Gb", "GB"},     {"tb", "TB"},   {"Tb", "TB"},    {"b", "B"},
    {"byte", "B"},      {"bytes", "B"},  {"usec", "us"},   {"msec", "ms"}, {"sec", "s"},    {"secs", "s"},
    {"S", "s"},         {"second", "s"}, {"seconds", "s"}, {"m", "min"},   {"mins", "min"}, {"minute", "min"},
    {"minutes", "min"}, {"H", "h"},      {"hr", "h"},      {"hour", "h"},  {"hours", "h"},  {"D", "d"},
    {"day", "d"},       {"days", "d"},
};

const char *foreign_word(const char *text, size_t length)
{
    for (size_t i = 0; i < ELEMENTSOF(words); i++)
        if (strlen(words[i].word) == length && memcmp(text, words[i].word, length) == 0)
            return words[i].hint;
    return NULL;
}

const char *foreign_unit(const char *text, size_t length)
{
    for (size_t i = 0; i < ELEMENTSOF(units); i++)
        if (strlen(units[i].text) == length && memcmp(text, units[i].text, length) == 0)
            return units[i].unit;
    return NULL;
}
