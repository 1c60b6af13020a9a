/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Small helpers for every file: cleanup on scope exit, transfer of ownership, arithmetic. */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f)   __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _sentinel_     __attribute__((sentinel))

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

#define TAKE_GENERIC(x, type, none) \
    ({                              \
        type *_pvar = &(x);         \
        type _val = *_pvar;         \
        *_pvar = (none);            \
        _val;                       \
    })
#define TAKE_PTR(p) TAKE_GENERIC(p, __typeof__(p), NULL)
#define TAKE_FD(fd) TAKE_GENERIC(fd, int, -EBADF)

#define CONCAT_(a, b) a##b
#define CONCAT(a, b)  CONCAT_(a, b)
#define UNIQUE(x, n)  CONCAT(x, n)

/* Each use gets unique names, so that they nest without shadowing. */
#undef MIN
#undef MAX
#define MIN(a, b) MIN_(__COUNTER__, a, b)
#define MIN_(n, a, b)                                                  \
    ({                                                                 \
        __typeof__(a) UNIQUE(_a, n) = (a);                             \
        __typeof__(b) UNIQUE(_b, n) = (b);                             \
        UNIQUE(_a, n) < UNIQUE(_b, n) ? UNIQUE(_a, n) : UNIQUE(_b, n); \
    })
#define MAX(a, b) MAX_(__COUNTER__, a, b)
#define MAX_(n, a, b)                                                  \
    ({                                                                 \
        __typeof__(a) UNIQUE(_a, n) = (a);                             \
        __typeof__(b) UNIQUE(_b, n) = (b);                             \
        UNIQUE(_a, n) > UNIQUE(_b, n) ? UNIQUE(_a, n) : UNIQUE(_b, n); \
    })
#define CLAMP(x, low, high) MIN(MAX(x, low), high)
/* a - b, or 0 where that would be negative; for unsigned types. */
#define LESS_BY(a, b)       LESS_BY_(__COUNTER__, a, b)
#define LESS_BY_(n, a, b)                                                  \
    ({                                                                     \
        __typeof__(a) UNIQUE(_a, n) = (a);                                 \
        __typeof__(a) UNIQUE(_b, n) = (b);                                 \
        UNIQUE(_a, n) > UNIQUE(_b, n) ? UNIQUE(_a, n) - UNIQUE(_b, n) : 0; \
    })

/* Defines name##p(), to be used with _cleanup_, for a destructor that takes the object and returns NULL. */
#define DEFINE_CLEANUP_FUNC(type, func)  \
    static inline void func##p(type **p) \
    {                                    \
        if (*p)                          \
            *p = func(*p);               \
    }                                    \
    struct _eat_semicolon_

static inline void freep(void *p)
{
    free(*(void **) p);
}

static inline void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void fclosep(FILE **f)
{
    if (*f)
        fclose(*f);
}

#define _cleanup_free_   _cleanup_(freep)
#define _cleanup_close_  _cleanup_(closep)
#define _cleanup_fclose_ _cleanup_(fclosep)
