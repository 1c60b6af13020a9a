/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Everything that a guest or a client can make grow, and how far. Charged to whoever causes it. */

#include "base/time-util.h"

#define CHANNEL_NAME "org.ballast.guest.0"

/* Frames: see frame.h. */
#define FRAME_PAYLOAD_MAX 4096U
#define FRAME_HEADER_SIZE 12U
#define FRAME_MAX         (FRAME_HEADER_SIZE + FRAME_PAYLOAD_MAX)

/* Texts in messages, bytes without the NUL. Printable ASCII only. */
#define GUEST_TEXT_MAX 64U

/* The interval of reports that a host may ask for, and what a guest does unasked. */
#define REPORT_INTERVAL_MIN_USEC     (100 * USEC_PER_MSEC)
#define REPORT_INTERVAL_MAX_USEC     (60 * USEC_PER_SEC)
#define REPORT_INTERVAL_DEFAULT_USEC USEC_PER_SEC

/* The host's token bucket for each guest: messages it may send, steadily and at once. The fastest interval is
 * ten reports a second; the double of it leaves room for Hello and Distress. Bytes likewise: twenty full
 * frames. */
#define LINK_MESSAGES_PER_SEC 20U
#define LINK_MESSAGES_BURST   40U
#define LINK_BYTES_PER_SEC    (20U * 1024U)
#define LINK_BYTES_BURST      (64U * 1024U)
/* Bytes that are no frame (line noise before step is found again) which a guest may send in a row. A BIOS or
 * boot loader may write to the port before the agent does. */
#define LINK_RUBBISH_MAX      (16U * 1024U)
/* Messages sent to a guest of which it isn't known whether it reads them, before it is given another nonce:
 * when that comes back, it has read them. (libvirtd can't hold much more than 60 that aren't read.) */
#define LINK_UNPROVEN_MAX     16U
/* A guest that breaks the rules isn't heard for this long; doubled each time, up to the maximum; forgotten
 * after as long a time of good conduct. */
#define LINK_BACKOFF_MIN_USEC (5 * USEC_PER_SEC)
#define LINK_BACKOFF_MAX_USEC (600 * USEC_PER_SEC)

/* How often a guest says Hello while no Welcome has come. */
#define HELLO_INTERVAL_USEC    (2 * USEC_PER_SEC)
/* At most one Distress in this time. */
#define DISTRESS_INTERVAL_USEC (USEC_PER_SEC / 2)

/* Guest memory beyond this is a lie (x86-64 has 52 physical address bits). */
#define GUEST_MEMORY_MAX_BYTES (UINT64_C(1) << 52)
/* A guest that is up for longer than a hundred years is a lie. */
#define GUEST_UPTIME_MAX_USEC  (UINT64_C(100) * 365 * 86400 * USEC_PER_SEC)
/* Counters beyond this are, too: a byte counter that grows by 2 GB each second gets here after 146 years.
 * Differences of two counters fit a signed number. */
#define GUEST_COUNTER_MAX      ((uint64_t) INT64_MAX)
