/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* CRC-32C (Castagnoli, polynomial 0x1EDC6F41, reflected, initial and final XOR 0xFFFFFFFF; RFC 3720 B.4). */

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(const void *data, size_t length);
/* The CRC of what |crc| is the CRC of, followed by data; 0 is the CRC of nothing. */
uint32_t crc32c_extend(uint32_t crc, const void *data, size_t length);
/* The same without the processor's own instruction; what crc32c_extend() uses where there is none. */
uint32_t crc32c_extend_portable(uint32_t crc, const void *data, size_t length);
