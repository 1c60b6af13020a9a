/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Messages as plain structs: packed into frames, unpacked and validated. The structs that protoc-c generates
 * stay inside codec.c. A message from message_unpack() is bounded and consistent in itself. What only the
 * host can know (the nonce, counters that went back, figures that do not fit the balloon) is for
 * report_follows() and the link to check. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/message.h"

/* Packs m into a whole frame in buf (at least FRAME_MAX). Returns the frame's length, or -EINVAL for a
 * message that message_unpack() would refuse (report_fit() makes a Report acceptable). */
ssize_t message_pack(const Message *m, uint8_t *buf);

/* Unpacks and validates one frame's payload. It uses no heap and a fixed amount of stack.
 * Returns 0 and fills *ret, or one of these, with *ret_what (may be NULL) the field or message concerned, a
 * static string:
 *
 * - EBADMSG: not an Envelope, one without a known message, or one with far more fields than any message needs.
 * - ENODATA: a field that the message needs is missing. Hello: protocol, boot_id, boot_usec.
 *   Welcome: protocol, nonce. Configure: interval_usec. Report: at_usec, mem_total, mem_free.
 *   Distress: cause; it may lack a Report (then present is 0), but a Report in it is complete.
 *   Reclaim: id, bytes. Compact: id. Reclaimed: id, got, why.
 * - ERANGE: an impossible value. mem_total 0; mem_total, swap_total, committed or commit_limit above
 *   GUEST_MEMORY_MAX_BYTES; another size above mem_total; free memory, the four lists of pages and the ARC
 *   above mem_total together; free_blocks above mem_free; swap_free, swap_memory or
 *   swap_memory_free above swap_total; colder page cache above warmer, or above the lists of file pages; an average above 10000; a counter above
 *   GUEST_COUNTER_MAX; at_usec or boot_usec above GUEST_UPTIME_MAX_USEC; an interval outside its limits; an
 *   unknown cause; an id of 0; bytes to reclaim of 0; bytes to reclaim, got or refaulted above
 *   GUEST_MEMORY_MAX_BYTES; stalled_usec or cpu_usec above GUEST_UPTIME_MAX_USEC; an unknown why; an error
 *   above ERRNO_MAX.
 * - ENAMETOOLONG: a text that is too long.
 * - EILSEQ: a text with anything but printable ASCII (a NUL ends it), or a boot_id that is not a UUID.
 * - EPROTONOSUPPORT: Hello or Welcome with another protocol version. */
int message_unpack(const uint8_t *payload, size_t length, Message *ret, const char **ret_what);
