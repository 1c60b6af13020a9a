/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* CRC-32C (Castagnoli, polynomial 0x1EDC6F41, reflected, initial and final XOR 0xFFFFFFFF; RFC 3720 B.4). */

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(const void *data, size_t length);
/* The CRC of earlier data, whose CRC is crc, followed by this data. 0 is the CRC of no data. */
uint32_t crc32c_extend(uint32_t crc, const void *data, size_t length);
/* The same without the processor's CRC instruction; crc32c_extend() uses this on a processor without one. */
uint32_t crc32c_extend_portable(uint32_t crc, const void *data, size_t length);
