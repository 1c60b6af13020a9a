/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Limits of everything that a guest or a client can make grow. Each is charged to its cause. */

#include "base/time-util.h"

#define CHANNEL_NAME "org.ballast.guest.0"

/* Frames: see frame.h. */
#define FRAME_PAYLOAD_MAX 4096U
#define FRAME_HEADER_SIZE 12U
#define FRAME_MAX         (FRAME_HEADER_SIZE + FRAME_PAYLOAD_MAX)

/* Texts in messages, bytes without the NUL. Printable ASCII only. */
#define GUEST_TEXT_MAX 64U

/* The intervals between reports that a host may ask for, and the guest's default. */
#define REPORT_INTERVAL_MIN_USEC     (100 * USEC_PER_MSEC)
#define REPORT_INTERVAL_MAX_USEC     (60 * USEC_PER_SEC)
#define REPORT_INTERVAL_DEFAULT_USEC USEC_PER_SEC

/* The host's token buckets for each guest: messages and bytes that it may send, steadily and in a burst. The
 * shortest interval makes ten reports a second; twice that leaves room for Hello and Distress. */
#define LINK_MESSAGES_PER_SEC 20U
#define LINK_MESSAGES_BURST   40U
#define LINK_BYTES_PER_SEC    (20U * 1024U)
#define LINK_BYTES_BURST      (64U * 1024U)
/* Bytes in a row that belong to no frame, which a guest may send: a BIOS or boot loader may write to the port
 * before the agent does. */
#define LINK_RUBBISH_MAX      (16U * 1024U)
/* Messages that the host sends to a guest before it checks with a new nonce that the guest reads them: the
 * guest has read them when that nonce comes back. (libvirtd can't hold many more than 60 unread messages.) */
#define LINK_UNPROVEN_MAX     16U
/* A guest that breaks the rules is ignored for this long, twice as long each time up to the maximum. After as
 * long without a violation the time starts from the minimum again. */
#define LINK_BACKOFF_MIN_USEC (5 * USEC_PER_SEC)
#define LINK_BACKOFF_MAX_USEC (600 * USEC_PER_SEC)

/* How often a guest repeats Hello until a Welcome comes. */
#define HELLO_INTERVAL_USEC    (2 * USEC_PER_SEC)
/* At most one Distress in this time. */
#define DISTRESS_INTERVAL_USEC (USEC_PER_SEC / 2)

/* More guest memory than this is a lie (x86-64 has 52 physical address bits). */
#define GUEST_MEMORY_MAX_BYTES (UINT64_C(1) << 52)
/* An uptime of more than a hundred years is a lie. */
#define GUEST_UPTIME_MAX_USEC  (UINT64_C(100) * 365 * 86400 * USEC_PER_SEC)
/* A larger counter is a lie, too: one that grows by 2 GB each second gets here after 146 years. The
 * difference of two counters fits a signed number. */
#define GUEST_COUNTER_MAX      ((uint64_t) INT64_MAX)
/* The kernel has no larger errno. */
#define ERRNO_MAX              4095
/* Of the sizes in Details. */
#define DETAIL_UNIT_BYTES      65536U
