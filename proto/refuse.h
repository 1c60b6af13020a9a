/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Says which field of a message is refused. */

/* Sets *ret_what (may be NULL) to what, and returns error. */
static inline int refuse(const char **ret_what, const char *what, int error)
{
    if (ret_what)
        *ret_what = what;
    return error;
}
