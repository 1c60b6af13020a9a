/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* CRC-32C: the vectors of RFC 3720, B.4, and the usual check value. */

#include <check.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/macro.h"
#include "tests/unit/run.h"

START_TEST(vectors)
{
    static const uint8_t read_command[48] = {
        0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18,
        0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    };
    uint8_t bytes[32];

    memset(bytes, 0, sizeof(bytes));
    ck_assert_uint_eq(crc32c(bytes, sizeof(bytes)), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    ck_assert_uint_eq(crc32c(bytes, sizeof(bytes)), 0x62a8ab43);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t) i;
    ck_assert_uint_eq(crc32c(bytes, sizeof(bytes)), 0x46dd794e);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t) (sizeof(bytes) - 1 - i);
    ck_assert_uint_eq(crc32c(bytes, sizeof(bytes)), 0x113fdb5c);
    ck_assert_uint_eq(crc32c(read_command, sizeof(read_command)), 0xd9963a56);
    ck_assert_uint_eq(crc32c("123456789", 9), 0xe3069283);
    ck_assert_uint_eq(crc32c("", 0), 0);
}
END_TEST

START_TEST(in_pieces)
{
    const char *text = "the whole is the sum of its parts";
    size_t length = strlen(text);

    for (size_t i = 0; i <= length; i++)
        ck_assert_uint_eq(crc32c_extend(crc32c(text, i), text + i, length - i), crc32c(text, length));
}
END_TEST

START_TEST(with_and_without_the_instruction)
{
    uint8_t bytes[100];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t) (i * i + 7);
    ck_assert_uint_eq(crc32c_extend_portable(0, "123456789", 9), 0xe3069283);
    for (size_t start = 0; start < 9; start++)
        for (size_t length = 0; start + length <= sizeof(bytes); length++)
            ck_assert_uint_eq(crc32c_extend(42, bytes + start, length),
                              crc32c_extend_portable(42, bytes + start, length));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("crc32c");

    tcase_add_test(tc, vectors);
    tcase_add_test(tc, in_pieces);
    tcase_add_test(tc, with_and_without_the_instruction);
    return run_tests(tc);
}
