/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* vm.swappiness, lowered to 0 for a moment and put back, also after a crash.
 *
 * While it is 0, the kernel reclaims page cache only. A note in the run folder says what it was. The note is
 * written before the setting is changed and removed after it is put back, so whoever starts next and finds a
 * note can put it back. If the setting isn't 0 by then, somebody else has set it, and it stays as it is. */

typedef struct Swappiness {
    char *path; /* of the setting */
    char *note;
} Swappiness;

/* Returns 0 or -ENOMEM. *s may be uninitialized, and needs swappiness_done() also on failure. */
int swappiness_init(Swappiness *s, const char *proc_root, const char *run_folder);
void swappiness_done(Swappiness *s);

/* Whether it can be lowered: 0, or -errno of opening the file for writing. */
int swappiness_probe(const Swappiness *s);
/* Sets it to 0. Returns 0 or -errno, with the setting as it was. Also -errno where the note can't be
 * written. */
int swappiness_lower(const Swappiness *s);
/* Puts back what a note says. Returns 1 if it was put back, 0 if there was nothing to do, or -errno. */
int swappiness_restore(const Swappiness *s);
