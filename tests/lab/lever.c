/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asks the lever helper of a lab guest, as the agent does. Runs inside it, statically linked.
 *
 *   lever probe|compact|file|anon|ages [MIB [TIMES]]
 *
 * Prints a line for each answer: error, levers, got (bytes), cpu (µs), cold (bytes, for 10, 60, 600 s) and
 * what is missing. Ends at the first error. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../guest-agent/lever-wire.h"

static const char *const verbs[LEVER_VERB_MAX] = {[LEVER_PROBE] = "probe",
                                                  [LEVER_COMPACT] = "compact",
                                                  [LEVER_RECLAIM_FILE] = "file",
                                                  [LEVER_RECLAIM_ANON] = "anon",
                                                  [LEVER_AGES] = "ages"};

static int ask(int fd, uint32_t verb, uint64_t bytes)
{
    LeverRequest q = {.verb = verb, .bytes = bytes};
    LeverAnswer a;

    if (send(fd, &q, sizeof(q), MSG_NOSIGNAL) != sizeof(q) || recv(fd, &a, sizeof(a), 0) != sizeof(a)) {
        perror("lever");
        return -EIO;
    }
    printf("error=%d levers=%u got=%" PRIu64 " cpu=%" PRIu64 " cold=%" PRIu64 ",%" PRIu64 ",%" PRIu64
           " missing=%s\n",
           a.error, a.levers, a.got_bytes, a.cpu_usec, a.cold_bytes[LEVER_AGE_10S],
           a.cold_bytes[LEVER_AGE_60S], a.cold_bytes[LEVER_AGE_600S], a.missing);
    fflush(stdout);
    return a.error;
}

int main(int argc, char *argv[])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = LEVER_RUN_FOLDER "/" LEVER_SOCKET_NAME};
    uint64_t bytes = argc > 2 ? strtoull(argv[2], NULL, 10) << 20 : 0;
    unsigned long times = argc > 3 ? strtoul(argv[3], NULL, 10) : 1;
    uint32_t verb = LEVER_PROBE;
    int fd;

    while (argc > 1 && verb < LEVER_VERB_MAX && strcmp(verbs[verb], argv[1]) != 0)
        verb++;
    if (argc < 2 || verb == LEVER_VERB_MAX) {
        fprintf(stderr, "usage: lever probe|compact|file|anon|ages [MIB [TIMES]]\n");
        return 2;
    }
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0) {
        perror("lever: connect");
        return 1;
    }
    for (; times > 0; times--)
        if (ask(fd, verb, bytes) < 0)
            return 1;
    return 0;
}
