/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Free page reporting: the guest's kernel tells the hypervisor which free blocks it need not back. */

#include <stdbool.h>

/* Whether the balloon driver has agreed on it with the hypervisor. sysfs is found at root. Returns 0, or -errno: -ENOENT
 * without a balloon. */
int reporting_read(const char *root, bool *ret_on);

/* The order from which on blocks are reported: the module's parameter; before the first device has set that (and in
 * kernels that have no such parameter), the order of a huge page. Returns it, or -ENODATA if it is not known. */
int reporting_read_order(const char *root);
