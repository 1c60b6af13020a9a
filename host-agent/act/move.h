/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The only place that asks the hypervisor for a guest's size. Each move also stores with the domain where it
 * begins, its target, and the full size in force. So a later daemon doesn't take this target, or a size on
 * the way to it, for an administrator's decision (guest/full-size.h). */

#include "host-agent/act/hypervisor.h"
#include "host-agent/guest/guest.h"

/* Sends a target and reports it. 0 or -errno. */
int move_send(const Hypervisor *h, Guest *g, uint64_t target_bytes, const char *reason);
/* Sends a target that doesn't last, or the size that the guest gets back after it: a later daemon gives it back, too. It
 * isn't reported: that is act/lever.h's part. 0 or -errno. */
int move_for_a_moment(const Hypervisor *h, const Guest *g, uint64_t target_bytes);
/* Carries out this cycle's decision about a guest, or reports it in mode observe. on_account: memory that the
 * guest gets is taken from others. Returns whether memory is on its way from this guest to the host. */
bool move_apply(const Hypervisor *h, Guest *g, const SnapshotGuest *s, const Decision *d, bool on_account);
/* Between decisions: sets the target of a stalled shrink to the size that was reached (otherwise QEMU and the
 * guest's driver would go on trying without end), sends the moves that a rebooted guest needs, and stores what was
 * learned of the guest's QEMU. */
void move_tend(const Hypervisor *h, Guest *g, usec_t now_usec);
/* Gives a guest its full size back now, and doesn't shrink it during the grace time. A live size that an
 * administrator set is forgotten. *room: by how many bytes guests may grow; the growth of this guest is
 * limited to it and subtracted from it. Also works in mode observe, because an administrator asked for it. 0;
 * -EAGAIN while the guest is busy or libvirt is away; -ENOSPC if the host has no room; -EBUSY while libvirt
 * is still setting the last target. */
int move_release(const Hypervisor *h, Guest *g, uint64_t *room);
