/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cuts the text of a policy into tokens. */

#include "policy/lexer.h"

#include <stdarg.h>
#include <string.h>

#include "policy/foreign.h"

static const struct {
    const char *text;
    TokenType type;
} keywords[] = {
    {"const", TOKEN_CONST},   {"let", TOKEN_LET},         {"fn", TOKEN_FN},   {"if", TOKEN_IF},
    {"then", TOKEN_THEN},     {"else", TOKEN_ELSE},       {"for", TOKEN_FOR}, {"in", TOKEN_IN},
    {"guests", TOKEN_GUESTS}, {"where", TOKEN_WHERE},     {"by", TOKEN_BY},   {"asc", TOKEN_ASC},
    {"desc", TOKEN_DESC},     {"because", TOKEN_BECAUSE}, {"and", TOKEN_AND}, {"or", TOKEN_OR},
    {"not", TOKEN_NOT},       {"state", TOKEN_STATE},     {"log", TOKEN_LOG}, {"true", TOKEN_LITERAL},
    {"false", TOKEN_LITERAL},
};

static const struct {
    const char text[3];
    TokenType type;
} marks[] = {
    {"==", TOKEN_EQ},         {"!=", TOKEN_NE},        {"<=", TOKEN_LE},         {">=", TOKEN_GE},
    {"??", TOKEN_DEFAULT},    {"=", TOKEN_ASSIGN},     {"<", TOKEN_LT},          {">", TOKEN_GT},
    {"+", TOKEN_PLUS},        {"-", TOKEN_MINUS},      {"*", TOKEN_STAR},        {"/", TOKEN_SLASH},
    {".", TOKEN_DOT},         {",", TOKEN_COMMA},      {";", TOKEN_SEMICOLON},   {"(", TOKEN_LEFT_PAREN},
    {")", TOKEN_RIGHT_PAREN}, {"{", TOKEN_LEFT_BRACE}, {"}", TOKEN_RIGHT_BRACE},
};

#define HINT_MATCH "for names, use matches(g.name, \"web*\")"

/* Marks of other languages, and what to write instead. Each is read as the token that was meant, so that one
 * mistake is one error. A policy without mistakes has none of them. */
static const struct {
    const char text[4];
    TokenType type; /* TOKEN_BAD: nothing that the language has */
    const char *hint;
} foreign[] = {
    {"===", TOKEN_EQ, "write =="},
    {"!==", TOKEN_NE, "write !="},
    {"<>", TOKEN_NE, "write !="},
    {"&&", TOKEN_AND, "write 'and'"},
    {"||", TOKEN_OR, "write 'or'"},
    {"!", TOKEN_NOT, "write 'not'"},
    {":=", TOKEN_ASSIGN, "write ="},
    {"+=", TOKEN_ASSIGN, "write the name again: x = x + 1"},
    {"-=", TOKEN_ASSIGN, "write the name again: x = x - 1"},
    {"*=", TOKEN_ASSIGN, "write the name again: x = x * 2"},
    {"/=", TOKEN_ASSIGN, "write the name again: x = x / 2"},
    {"++", TOKEN_BAD, "write x = x + 1"},
    {"**", TOKEN_BAD, "there are no powers: multiply the value with itself"},
    {"=~", TOKEN_BAD, HINT_MATCH},
    {"!~", TOKEN_BAD, HINT_MATCH},
    {"~", TOKEN_BAD, HINT_MATCH},
    {":", TOKEN_BAD, "a block is in braces: for g in guests { ... }"},
    {"[", TOKEN_BAD, "there are no lists: compare with each value, x == 1 or x == 2"},
    {"?", TOKEN_BAD, "to choose a value, write if a < b then a else b"},
    {"%", TOKEN_BAD, "write the percent sign right after its number: 20%"},
};

static const struct {
    const char *text;
    double factor;
    Kind kind;
} units[] = {
    {"B", 1, KIND_BYTES},         {"KiB", 0x1p10, KIND_BYTES},  {"MiB", 0x1p20, KIND_BYTES},
    {"GiB", 0x1p30, KIND_BYTES},  {"TiB", 0x1p40, KIND_BYTES},  {"kB", 1e3, KIND_BYTES},
    {"MB", 1e6, KIND_BYTES},      {"GB", 1e9, KIND_BYTES},      {"TB", 1e12, KIND_BYTES},
    {"us", 1, KIND_DURATION},     {"ms", 1e3, KIND_DURATION},   {"s", 1e6, KIND_DURATION},
    {"min", 60e6, KIND_DURATION}, {"h", 3600e6, KIND_DURATION}, {"d", 86400e6, KIND_DURATION},
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool same(const char *text, size_t length, const char *word)
{
    return strlen(word) == length && memcmp(text, word, length) == 0;
}

/* The character at the offset; 0 after the end. */
static char peek(const Lexer *l, size_t ahead)
{
    const Source *s = l->unit->source;

    return l->offset + ahead < s->length ? s->text[l->offset + ahead] : 0;
}

static bool at_end(const Lexer *l)
{
    return l->offset >= l->unit->source->length;
}

static void report(Lexer *l, Position at, const char *hint, const char *format, ...) _printf_(4, 5);
static void report(Lexer *l, Position at, const char *hint, const char *format, ...)
{
    char message[100];
    va_list ap;

    if (l->quiet)
        return;
    va_start(ap, format);
    (void) vsnprintf(message, sizeof(message), format, ap);
    va_end(ap);
    diagnostics_add(l->unit->diagnostics, at, hint, "%s", message);
}

static Position here(const Lexer *l)
{
    return (Position){l->line, (uint32_t) (l->offset - l->line_start) + 1};
}

static void next_line(Lexer *l)
{
    l->line++;
    l->line_start = l->offset + 1;
}

/* Goes to the last letter of a comment of C, or to the text's end. Returns whether a line began. */
static bool skip_block_comment(Lexer *l)
{
    uint32_t line = l->line;

    for (l->offset += 2; !at_end(l) && (peek(l, 0) != '*' || peek(l, 1) != '/'); l->offset++)
        if (peek(l, 0) == '\n')
            next_line(l);
    if (!at_end(l))
        l->offset++;
    return l->line > line;
}

/* Skips blanks and comments. Returns whether a line or the text began. */
static bool skip_blank(Lexer *l)
{
    bool newline = l->offset == 0;

    for (; !at_end(l); l->offset++) {
        char c = peek(l, 0);

        if (c == '/' && (peek(l, 1) == '/' || peek(l, 1) == '*')) {
            report(l, here(l), "a comment begins with #", "unexpected '/%c'", peek(l, 1));
            if (peek(l, 1) == '*') {
                newline = skip_block_comment(l) || newline;
                if (at_end(l))
                    break;
                continue;
            }
            c = '#';
        }
        if (c == '#') {
            while (!at_end(l) && peek(l, 0) != '\n')
                l->offset++;
            if (at_end(l))
                break;
            c = '\n';
        }
        if (c == '\n') {
            next_line(l);
            newline = true;
        } else if (c != ' ' && c != '\t' && c != '\r')
            break;
    }
    return newline;
}

static void bad(Lexer *l, Token *t, const char *hint, const char *what)
{
    t->type = TOKEN_BAD;
    report(l, t->at, hint, "%s", what);
}

static int read_word(Lexer *l, Token *t)
{
    while (is_letter(peek(l, 0)) || is_digit(peek(l, 0)))
        l->offset++;
    t->length = (size_t) (l->unit->source->text + l->offset - t->text);

    for (size_t i = 0; i < ELEMENTSOF(keywords); i++)
        if (same(t->text, t->length, keywords[i].text)) {
            t->type = keywords[i].type;
            t->kind = KIND_BOOLEAN;
            t->value = t->text[0] == 't';
            return 0;
        }
    if (t->length > POLICY_NAME_MAX) {
        bad(l, t, NULL, "a name has at most 64 letters");
        return 0;
    }
    t->type = TOKEN_NAME;
    t->name = unit_name(l->unit, t->text, t->length);
    return t->name ? 0 : -ENOMEM;
}

/* Its index in the units; their number if it is not a unit. */
static size_t find_unit(const char *text, size_t length)
{
    size_t i = 0;

    while (i < ELEMENTSOF(units) && !same(text, length, units[i].text))
        i++;
    return i;
}

bool lexer_is_unit(const char *text, size_t length)
{
    return find_unit(text, length) < ELEMENTSOF(units);
}

static void read_unit(Lexer *l, Token *t)
{
    const char *text = l->unit->source->text + l->offset, *meant;
    size_t length = 0, i;
    char hint[64];

    while (is_letter(peek(l, length)) || is_digit(peek(l, length)))
        length++;
    if (length == 0)
        return;
    l->offset += length;
    i = find_unit(text, length);
    meant = i < ELEMENTSOF(units) ? NULL : foreign_unit(text, length);
    if (meant) {
        (void) snprintf(hint, sizeof(hint), "write %.*s%s", (int) MIN(text - t->text, 20), t->text, meant);
        report(l, t->at, hint, "unknown unit");
        i = find_unit(meant, strlen(meant));
    }
    if (i < ELEMENTSOF(units)) {
        t->value *= units[i].factor;
        t->kind = units[i].kind;
    } else
        bad(l, t, "use a unit of B KiB MiB GiB TiB kB MB GB TB, us ms s min h d, and %", "unknown unit");
}

/* Collects the digits as one whole number and divides once, so that 0.05 and 5% are the double nearest to
 * 0.05, in any locale. */
static void read_number(Lexer *l, Token *t)
{
    double whole = 0, scale = 1;
    unsigned digits = 0;

    t->type = TOKEN_LITERAL;
    t->kind = KIND_NUMBER;
    for (bool fraction = false;; l->offset++) {
        char c = peek(l, 0);

        if (is_digit(c)) {
            whole = whole * 10 + (c - '0');
            digits += whole > 0;
            if (fraction)
                scale *= 10;
        } else if (c == '.' && !fraction && is_digit(peek(l, 1)))
            fraction = true;
        else
            break;
    }
    if (digits > 15 || scale > 1e15)
        bad(l, t, NULL, "a number has at most 15 digits");
    if (peek(l, 0) == '%') {
        l->offset++;
        t->value = whole / (scale * 100);
        return;
    }
    t->value = whole / scale;
    read_unit(l, t);
}

static void read_text(Lexer *l, Token *t)
{
    char quote = t->text[0];

    if (quote == '\'')
        report(l, t->at, "write text in double quotes", "unexpected '''");
    t->type = TOKEN_TEXT;
    t->text++;
    for (l->offset++; peek(l, 0) != quote; l->offset++) {
        char c = peek(l, 0);

        if (at_end(l) || c == '\n') {
            bad(l, t, NULL, "this text has no closing quote on its line");
            return;
        }
        if (c < ' ' || c > '~')
            bad(l, t, NULL, "text can only contain printable ASCII characters");
    }
    t->length = (size_t) (l->unit->source->text + l->offset - t->text);
    l->offset++;
    if (t->length > POLICY_TEXT_MAX)
        bad(l, t, NULL, "a text has at most 255 letters");
}

_Static_assert(POLICY_TEXT_MAX == 255, "as the message says");

/* The mark's length if it is next and longer than the one found before, else 0. */
static size_t longer_mark(const Lexer *l, const char *mark, size_t before)
{
    size_t n = 0;

    while (mark[n] && peek(l, n) == mark[n])
        n++;
    return mark[n] || n <= before ? 0 : n;
}

/* Reads an operator or punctuation, the longest that fits, or reports a character that does not belong
 * here. */
static void read_mark(Lexer *l, Token *t)
{
    const char *hint = NULL;
    char c = peek(l, 0);
    size_t length = 0;

    t->type = TOKEN_BAD;
    for (size_t i = 0; i < ELEMENTSOF(marks); i++)
        if (longer_mark(l, marks[i].text, length) > 0) {
            length = strlen(marks[i].text);
            t->type = marks[i].type;
        }
    for (size_t i = 0; i < ELEMENTSOF(foreign); i++)
        if (longer_mark(l, foreign[i].text, length) > 0) {
            length = strlen(foreign[i].text);
            t->type = foreign[i].type;
            hint = foreign[i].hint;
        }
    if (length > 0 || (c > ' ' && c <= '~')) {
        length = MAX(length, 1U);
        l->offset += length;
        if (hint || t->type == TOKEN_BAD)
            report(l, t->at, hint, "unexpected '%.*s'", (int) length, t->text);
        return;
    }
    while (l->offset < l->unit->source->length && (peek(l, 0) < ' ' || peek(l, 0) > '~') &&
           peek(l, 0) != '\n')
        l->offset++;
    report(l, t->at, NULL, "only comments can contain other characters than ASCII");
}

int lexer_next(Lexer *l, Token *ret)
{
    Token t = {};
    char c;
    int r = 0;

    t.newline = skip_blank(l);
    t.at = here(l);
    if (peek(l, 0) == '$' && is_letter(peek(l, 1))) {
        report(l, t.at, "write the name without $", "unexpected '$'");
        l->offset++;
    }
    t.text = l->unit->source->text + l->offset;
    c = peek(l, 0);

    if (at_end(l))
        t.type = TOKEN_END;
    else if (is_letter(c))
        r = read_word(l, &t);
    else if (is_digit(c))
        read_number(l, &t);
    else if (c == '"' || c == '\'')
        read_text(l, &t);
    else
        read_mark(l, &t);
    if (r < 0)
        return r;
    if (t.type != TOKEN_TEXT)
        t.length = (size_t) (l->unit->source->text + l->offset - t.text);
    *ret = t;
    return 0;
}
