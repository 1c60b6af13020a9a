/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Starts a thread with a small stack and all signals blocked, since the main thread handles them. Joinable if
 * ret_thread is given, else detached. 0 or -errno. */

#include <pthread.h>

int thread_start(void *(*function)(void *), void *userdata, pthread_t *ret_thread);
