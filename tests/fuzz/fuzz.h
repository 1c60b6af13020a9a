/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What every fuzz target has. Returns 0; what must hold is checked by assert(). */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
