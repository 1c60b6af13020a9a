/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The only place that asks the hypervisor for a guest's size. Before each move it is remembered with the domain
 * where the move begins, what is sent, and the full size in force: so a later daemon doesn't take its target, nor
 * a size half-way to it, for an administrator's decision. */

#include "host-agent/act/hypervisor.h"
#include "host-agent/guest/guest.h"

/* Sends a target and reports it. 0 or -errno. */
int move_send(const Hypervisor *h, Guest *g, uint64_t target_bytes, const char *reason);
/* Carries out what was decided of a guest in this cycle, or reports it in mode observe. on_account: what it is
 * given is taken from others. Returns whether memory is on its way from it to the host. */
bool move_apply(const Hypervisor *h, Guest *g, const SnapshotGuest *s, const Decision *d, bool on_account);
/* Between the decisions: takes a stalled shrink back to the size that was reached (left standing, QEMU and the
 * guest's driver would go on trying for ever), and makes a guest that rebooted say what it has. */
void move_tend(const Hypervisor *h, Guest *g, usec_t now_usec);
/* Gives a guest its full size back now, as far as *room goes (bytes by which guests may grow; what is given is
 * taken off it), and leaves it alone for the grace time; a live size that an administrator set is forgotten. Also
 * in mode observe: it was asked for. 0; -EAGAIN while it is busy or libvirt is away, -ENOSPC where the host has no
 * room, -EBUSY while it is just being set. */
int move_release(const Hypervisor *h, Guest *g, uint64_t *room);
