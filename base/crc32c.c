/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* CRC-32C, with the processor's instruction where it has one. */

#include "base/crc32c.h"

#include <string.h>

/* Remainders of the 16 values of four bits, for the reflected polynomial 0x82F63B78. */
static const uint32_t remainder_of[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t crc32c_extend_portable(uint32_t crc, const void *data, size_t length)
{
    const uint8_t *p = data;

    crc = ~crc;
    for (size_t i = 0; i < length; i++) {
        crc ^= p[i];
        crc = (crc >> 4) ^ remainder_of[crc & 15];
        crc = (crc >> 4) ^ remainder_of[crc & 15];
    }

    return ~crc;
}

#ifdef __x86_64__
/* A hostile guest that sends a header every few bytes makes the host check a whole payload for each. The
 * instruction makes that so cheap that it does not keep the host busy. */
__attribute__((target("sse4.2"))) static uint32_t extend_sse42(uint32_t crc, const uint8_t *p, size_t length)
{
    uint64_t c = (uint32_t) ~crc;

    for (; length >= sizeof(uint64_t); p += sizeof(uint64_t), length -= sizeof(uint64_t)) {
        uint64_t word;

        memcpy(&word, p, sizeof(word));
        c = __builtin_ia32_crc32di(c, word);
    }
    for (; length > 0; p++, length--)
        c = __builtin_ia32_crc32qi((uint32_t) c, *p);

    return ~(uint32_t) c;
}
#endif

uint32_t crc32c_extend(uint32_t crc, const void *data, size_t length)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2"))
        return extend_sse42(crc, data, length);
#endif
    return crc32c_extend_portable(crc, data, length);
}

uint32_t crc32c(const void *data, size_t length)
{
    return crc32c_extend(0, data, length);
}
