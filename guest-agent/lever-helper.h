/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* `ballast-guestd --lever-helper`: root's part of the agent, a process of its own. It takes requests from the
 * agent over a socket (lever-wire.h) and carries them out (lever-kernel.h), one at a time. */

typedef struct LeverHelperOptions {
    const char *proc_root, *sys_root; /* "/proc" and "/sys", or a fixture's folders */
    const char *run_folder;           /* where the socket and the notes are */
} LeverHelperOptions;

/* Runs until SIGTERM or SIGINT; with a socket that the service manager passed, also until nobody has asked for
 * anything for a minute. Returns 0, or -errno if it could not start or wait for events (logged). */
int lever_helper_run(const LeverHelperOptions *options);
