/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cuts the text of a policy into tokens. */

#include "policy/lexer.h"

#include <string.h>

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
    /* the longer ones first */
    {"==", TOKEN_EQ},         {"!=", TOKEN_NE},        {"<=", TOKEN_LE},         {">=", TOKEN_GE},
    {"??", TOKEN_DEFAULT},    {"=", TOKEN_ASSIGN},     {"<", TOKEN_LT},          {">", TOKEN_GT},
    {"+", TOKEN_PLUS},        {"-", TOKEN_MINUS},      {"*", TOKEN_STAR},        {"/", TOKEN_SLASH},
    {".", TOKEN_DOT},         {",", TOKEN_COMMA},      {";", TOKEN_SEMICOLON},   {"(", TOKEN_LEFT_PAREN},
    {")", TOKEN_RIGHT_PAREN}, {"{", TOKEN_LEFT_BRACE}, {"}", TOKEN_RIGHT_BRACE},
};

/* Tokens of other languages, and what to write instead. */
static const struct {
    const char text[3];
    const char *hint;
} foreign[] = {
    {"&&", "write 'and'"},
    {"||", "write 'or'"},
    {"!", "write 'not'"},
    {"%", "write the percent sign right after its number: 20%"},
    {"'", "write text in double quotes"},
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

/* Skips blanks and comments. Returns whether a line or the text began. */
static bool skip_blank(Lexer *l)
{
    bool newline = l->offset == 0;

    for (; !at_end(l); l->offset++) {
        char c = peek(l, 0);

        if (c == '#') {
            while (!at_end(l) && peek(l, 0) != '\n')
                l->offset++;
            if (at_end(l))
                break;
            c = '\n';
        }
        if (c == '\n') {
            l->line++;
            l->line_start = l->offset + 1;
            newline = true;
        } else if (c != ' ' && c != '\t' && c != '\r')
            break;
    }
    return newline;
}

static void bad(Lexer *l, Token *t, const char *hint, const char *what)
{
    t->type = TOKEN_BAD;
    diagnostics_add(l->unit->diagnostics, t->at, hint, "%s", what);
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
    const char *text = l->unit->source->text + l->offset;
    size_t length = 0, i;

    while (is_letter(peek(l, length)) || is_digit(peek(l, length)))
        length++;
    if (length == 0)
        return;
    l->offset += length;
    i = find_unit(text, length);
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
    t->type = TOKEN_TEXT;
    t->text++;
    for (l->offset++; peek(l, 0) != '"'; l->offset++) {
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

/* Reads an operator or punctuation, or reports a character that does not belong here. */
static void read_mark(Lexer *l, Token *t)
{
    char c = peek(l, 0);

    for (size_t i = 0; i < ELEMENTSOF(marks); i++)
        if (c == marks[i].text[0] && (!marks[i].text[1] || peek(l, 1) == marks[i].text[1])) {
            t->type = marks[i].type;
            t->length = strlen(marks[i].text);
            l->offset += t->length;
            return;
        }

    t->type = TOKEN_BAD;
    for (size_t i = 0; i < ELEMENTSOF(foreign); i++)
        if (c == foreign[i].text[0] && (!foreign[i].text[1] || peek(l, 1) == foreign[i].text[1])) {
            size_t length = strlen(foreign[i].text);

            l->offset += length;
            diagnostics_add(l->unit->diagnostics, t->at, foreign[i].hint, "unexpected '%s'", foreign[i].text);
            return;
        }
    if (c > ' ' && c <= '~') {
        l->offset++;
        diagnostics_add(l->unit->diagnostics, t->at, NULL, "unexpected '%c'", c);
        return;
    }
    while (l->offset < l->unit->source->length && (peek(l, 0) < ' ' || peek(l, 0) > '~') &&
           peek(l, 0) != '\n')
        l->offset++;
    diagnostics_add(l->unit->diagnostics, t->at, NULL,
                    "only comments can contain other characters than ASCII");
}

int lexer_next(Lexer *l, Token *ret)
{
    Token t = {};
    char c;
    int r = 0;

    t.newline = skip_blank(l);
    t.at = (Position){l->line, (uint32_t) (l->offset - l->line_start) + 1};
    t.text = l->unit->source->text + l->offset;
    c = peek(l, 0);

    if (at_end(l))
        t.type = TOKEN_END;
    else if (is_letter(c))
        r = read_word(l, &t);
    else if (is_digit(c))
        read_number(l, &t);
    else if (c == '"')
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
