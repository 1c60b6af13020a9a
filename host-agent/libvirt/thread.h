/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A thread with all signals blocked (they are the main thread's) and a small stack. Joinable where ret_thread
 * is given, else detached. 0 or -errno. */

#include <pthread.h>

int thread_start(void *(*function)(void *), void *userdata, pthread_t *ret_thread);
