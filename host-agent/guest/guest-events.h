/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What happens to a guest: its agent or libvirt reports something, a target is sent, it reboots. */

#include "host-agent/guest/guest.h"

/* The agent said Hello, for the first time, after it started again, or because its levers changed. boot_usec: when
 * the guest booted, by the host's CLOCK_MONOTONIC. restarted: the boot id is another one. Only libvirt's word makes that a reboot:
 * otherwise a guest that says Hello with ever new boot ids would be in its grace time for ever. */
void guest_hello(Guest *g, const Message *hello, usec_t boot_usec, bool restarted);
/* The agent sent a report. */
void guest_report(Guest *g, const Report *r, usec_t now_usec);
/* The agent says that the guest is in distress. r: the report that came along, perhaps empty. */
void guest_distress(Guest *g, DistressCause cause, const Report *r, usec_t now_usec);
/* The agent said Goodbye: the guest may be shutting down. Returns whether that counts; a repeated one
 * doesn't. */
bool guest_goodbye(Guest *g, usec_t now_usec);
/* The agent was asked to report at this interval. */
void guest_set_interval(Guest *g, usec_t interval_usec);

/* Stats came from libvirt. */
void guest_stats(Guest *g, const VirtStats *stats, usec_t now_usec);
/* The balloon's size was seen, in stats or an event. */
void guest_balloon_seen(Guest *g, uint64_t actual_bytes, usec_t now_usec);
/* libvirt says that the guest must be left alone. why: the reason ("paused"); NULL: it needn't be any
 * longer. */
void guest_busy(Guest *g, const char *why, usec_t now_usec);
/* The guest rebooted: uptime, balloon and history begin again, and it gets its full size first. */
void guest_rebooted(Guest *g, usec_t now_usec);

/* A move was handed to libvirt. */
void guest_sent(Guest *g, uint64_t target_bytes, usec_t now_usec);
/* The same, of a target that doesn't last (guest-levers.h): it is no growth that the host must have room for. */
void guest_sent_for_a_moment(Guest *g, uint64_t target_bytes, usec_t now_usec);
/* libvirt set the target (error 0), or didn't. -EBUSY: the guest is being migrated or saved; -ENOTCONN:
 * nobody knows whether it was set. */
void guest_set_done(Guest *g, int error, usec_t now_usec);
/* A move was wanted while libvirt was still busy with the last one. A cycle decides again when libvirt is
 * done. */
void guest_put_off(Guest *g, bool put_off);
/* The target of a stalled shrink was set back to the size that was reached. */
void guest_canceled(Guest *g);
/* Whether a rebooted guest needs a move now; if so, the caller sends it and then calls guest_reboot_sent().
 *
 * A guest was shrunk when it was reset, and its target was raised before its driver came up. Such a guest has
 * all its memory, but QEMU goes on reporting the balloon's old size: the driver finds nothing to do, so it
 * reports nothing. A target that is a little lower, and then the full size again, make the driver report. */
bool guest_reboot_due(Guest *g, usec_t now_usec, uint64_t *ret_target_bytes, const char **ret_reason);
void guest_reboot_sent(Guest *g);
/* Before each snapshot: works out how much of the memory given to the guest is still outstanding, and judges
 * its grant. */
void guest_settle(Guest *g, usec_t now_usec);
