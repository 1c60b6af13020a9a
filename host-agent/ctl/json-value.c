/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Takes values from JSON that people may have written. */

#include "host-agent/ctl/json-value.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#define SHOWN_MAX 48 /* bytes shown of a refused value or key */

static void print_path(FILE *f, const JsonPath *path)
{
    if (path->up)
        print_path(f, path->up);
    if (path->key)
        fprintf(f, "%s%.*s", path->up ? "." : "", SHOWN_MAX, path->key);
    else
        fprintf(f, "[%zu]", path->index);
}

int json_refuse(char *error, const JsonPath *path, const char *format, ...)
{
    FILE *f = fmemopen(error, JSON_ERROR_MAX, "w");
    va_list ap;

    error[0] = '\0';
    if (!f)
        return -ENOMEM;
    if (path) {
        print_path(f, path);
        fputs(": ", f);
    }
    va_start(ap, format);
    vfprintf(f, format, ap);
    va_end(ap);
    (void) fclose(f); /* text that does not fit is cut */
    error[JSON_ERROR_MAX - 1] = '\0';
    return -EINVAL;
}

int json_mismatch(char *error, const JsonPath *path, const char *wanted, json_object *value)
{
    const char *text = json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN);

    if (!text)
        return -ENOMEM;
    return json_refuse(error, path, "must be %s, not %.*s%s", wanted, SHOWN_MAX, text,
                       strlen(text) > SHOWN_MAX ? "…" : "");
}

int json_read_number(char *error, const JsonPath *path, json_object *value, double low, double high,
                     const char *wanted, double *ret)
{
    double number;

    if (!json_object_is_type(value, json_type_int) && !json_object_is_type(value, json_type_double))
        return json_mismatch(error, path, wanted, value);
    number = json_object_get_double(value);
    if (!(number >= low && number <= high))
        return json_mismatch(error, path, wanted, value);
    *ret = number;
    return 0;
}

int json_read_count(char *error, const JsonPath *path, json_object *value, const char *wanted, uint64_t *ret)
{
    double number = 0;
    int r;

    if (json_object_is_type(value, json_type_int) && json_object_get_int64(value) >= 0) {
        *ret = json_object_get_uint64(value);
        return 0;
    }
    r = json_read_number(error, path, value, 0, JSON_NUMBER_MAX, wanted, &number);
    if (r >= 0)
        *ret = (uint64_t) llround(number);
    return r;
}

int json_read_flag(char *error, const JsonPath *path, json_object *value, bool *ret)
{
    if (!json_object_is_type(value, json_type_boolean))
        return json_mismatch(error, path, "true or false", value);
    *ret = json_object_get_boolean(value);
    return 0;
}

int json_read_text(char *error, const JsonPath *path, json_object *value, const char **ret)
{
    size_t length;

    if (!json_object_is_type(value, json_type_string))
        return json_mismatch(error, path, "text", value);
    length = (size_t) json_object_get_string_len(value);
    if (length == 0 || length > JSON_TEXT_MAX || strlen(json_object_get_string(value)) != length)
        return json_refuse(error, path, "must be text of 1 to %u bytes without a zero byte", JSON_TEXT_MAX);
    *ret = json_object_get_string(value);
    return 0;
}

int json_read_object(char *error, const JsonPath *path, json_object *value)
{
    return json_object_is_type(value, json_type_object) ? 0 : json_mismatch(error, path, "an object", value);
}

int json_read_list(char *error, const JsonPath *path, json_object *value, const char *wanted)
{
    return json_object_is_type(value, json_type_array) ? 0 : json_mismatch(error, path, wanted, value);
}

static int refuse_at(char *error, const char *text, size_t at, const char *why)
{
    size_t line = 1, column = 1;

    for (size_t i = 0; i < at; i++)
        if (text[i] == '\n') {
            line++;
            column = 1;
        } else
            column++;
    return json_refuse(error, NULL, "line %zu, column %zu: not JSON: %s", line, column, why);
}

int json_parse(char *error, const char *text, size_t length, json_object **ret)
{
    json_tokener *t = json_tokener_new();
    enum json_tokener_error e;
    size_t end;
    int r = 0;

    assert(length <= INT_MAX);
    *ret = NULL;
    if (!t)
        return -ENOMEM;
    /* json-c takes trailing blanks for trailing characters. */
    json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS |
                                  JSON_TOKENER_VALIDATE_UTF8);
    *ret = json_tokener_parse_ex(t, text, (int) length);
    e = json_tokener_get_error(t);
    end = MIN(json_tokener_get_parse_end(t), length);
    if (e == json_tokener_continue)
        r = refuse_at(error, text, length, "it ends too early");
    else if (e != json_tokener_success)
        r = refuse_at(error, text, end, json_tokener_error_desc(e));
    while (r == 0 && end < length && memchr(" \t\r\n", text[end], 4))
        end++;
    if (r == 0 && end < length)
        r = refuse_at(error, text, end, "more text follows its end");
    json_tokener_free(t);
    return r;
}
