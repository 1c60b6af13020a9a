/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What happens to a guest: its agent and libvirt are heard, targets are sent, and it boots. */

#include "host-agent/guest/guest.h"

/* Its agent said Hello (first, or after it started again); boot_usec: when the guest booted, on the host's
 * CLOCK_MONOTONIC. restarted: with another boot id. That isn't believed to be a reboot before libvirt says so:
 * else a guest that says Hello with ever new boot ids would earn grace for ever. */
void guest_hello(Guest *g, usec_t boot_usec, bool restarted);
/* A report came from its agent. */
void guest_report(Guest *g, const Report *r, usec_t now_usec);
/* Its agent says that it is in distress; r: the report that came along, perhaps empty. */
void guest_cries(Guest *g, DistressCause cause, const Report *r, usec_t now_usec);
/* Its agent said goodbye: it may be shutting down. Returns whether that counts: not where it did so lately. */
bool guest_leaves(Guest *g, usec_t now_usec);
/* The pace of reports that its agent was asked for. */
void guest_set_interval(Guest *g, usec_t interval_usec);

/* Stats came from libvirt. */
void guest_stats(Guest *g, const VirtStats *stats, usec_t now_usec);
/* The balloon's size was seen, in stats or an event. */
void guest_balloon_seen(Guest *g, uint64_t actual_bytes, usec_t now_usec);
/* Why libvirt says that it must be left alone ("paused"); NULL: no longer. */
void guest_busy(Guest *g, const char *why, usec_t now_usec);
/* It booted again: uptime, balloon and history begin again, and its full size is due. */
void guest_rebooted(Guest *g, usec_t now_usec);

/* A move was handed to libvirt. */
void guest_sent(Guest *g, uint64_t target_bytes, usec_t now_usec);
/* libvirt took it (error 0), or refused it; -EBUSY: it is being migrated or saved; -ENOTCONN: nobody knows. */
void guest_set_done(Guest *g, int error, usec_t now_usec);
/* A move was wanted while the one before was still with libvirt: it is decided again when that is done. */
void guest_put_off(Guest *g, bool put_off);
/* A stalled shrink was handed to libvirt to be taken back to what was reached. */
void guest_canceled(Guest *g);
/* A guest that was reset while it was shrunken, and whose target was raised before its driver came up, has its
 * memory, but QEMU goes on saying what the balloon was before: the driver finds nothing to do and so says
 * nothing. A target that is a little lower, and then its full size again, make it speak. Returns whether such a
 * move is due now; guest_reboot_sent() when it was handed to libvirt. */
bool guest_reboot_due(Guest *g, usec_t now_usec, uint64_t *ret_target_bytes, const char **ret_reason);
void guest_reboot_sent(Guest *g);
/* Before each snapshot: what of the memory given to it is still not used, and whether it used a grant. */
void guest_settle(Guest *g, usec_t now_usec);
