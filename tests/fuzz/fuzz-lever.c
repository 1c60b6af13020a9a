/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The socket between the guest agent and its lever helper, from both ends: what a client asks of the helper, which runs
 * as root, and what a helper answers. The input is a sequence of steps, each what is done (1 byte), a number (2 bytes),
 * and for some as many bytes. */

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/log.h"
#include "base/macro.h"
#include "guest-agent/lever-kernel.h"
#include "guest-agent/levers.h"
#include "tests/fuzz/folder.h"
#include "tests/fuzz/fuzz.h"

typedef enum Step {
    STEP_REQUEST, /* the bytes as a request to the helper */
    STEP_ANSWER,  /* the bytes as an answer to the agent */
    STEP_SERVE,   /* the helper answers what the agent asks */
    STEP_CLOSE,   /* the helper ends */
    STEP_WAIT,    /* so many ms */
    STEP_RECLAIM, /* the host asks for so many times 4 KiB; odd numbers: of any memory */
    STEP_COMPACT,
    STEP_STOP,
    STEP_VMSTAT,  /* the bytes are the kernel's file from now on */
    STEP_LRU_GEN, /* likewise */
    STEP_NOTE,    /* the bytes are what a helper that was killed noted of vm.swappiness */
    STEP_MAX,
} Step;

enum { SOURCE = 7, SWAPPINESS = 60 };

#define ALL_LEVERS \
    ((uint32_t) (LEVER_CAN_COMPACT | LEVER_CAN_RECLAIM_FILE | LEVER_CAN_RECLAIM_ANON | LEVER_HAS_AGES))

typedef struct Rig {
    LeverKernel kernel;
    Collector collector;
    Levers levers;
    int epoll_fd, listen_fd, helper_fd;
    usec_t now;
    uint32_t id; /* of the host's last request */
    bool asked;  /* it has no answer yet */
} Rig;

static char proc[FUZZ_PATH_MAX], sys[FUZZ_PATH_MAX], run[FUZZ_PATH_MAX], socket_path[FUZZ_PATH_MAX];

static void make_files(void)
{
    char mounts[2 * FUZZ_PATH_MAX], folder[FUZZ_PATH_MAX];

    snprintf(mounts, sizeof(mounts), "cgroup2 %s cgroup2 rw 0 0\n", fuzz_path(folder, "cgroup"));
    fuzz_write_text("proc/mounts", mounts);
    fuzz_write_text("proc/meminfo", "MemTotal: 524288 kB\nMemFree: 262144 kB\nMemAvailable: 262144 kB\n"
                                    "Buffers: 0 kB\nCached: 0 kB\nSwapTotal: 65536 kB\nSwapFree: 65536 kB\n");
    fuzz_write_text("proc/vmstat", "pgfault 1\npgmajfault 1\npgsteal_anon 500\npgsteal_file 1000\n");
    fuzz_write_text("proc/buddyinfo", "Node 0, zone Normal 9 9 9 9 9 9 9 9 9 10 0\n");
    fuzz_write_text("proc/sys/vm/compact_memory", "");
    fuzz_write_text("proc/sys/vm/swappiness", "60\n");
    fuzz_write_text("cgroup/memory.reclaim", "");
    fuzz_write_text("sys/kernel/mm/lru_gen/enabled", "0x0007\n");
    fuzz_write_text("sys/kernel/debug/lru_gen", "memcg 1 /\n node 0\n 0 90000 0 100\n 1 8000 0 100\n");
    fuzz_write_text("run/levers", "");
}

static void listen_as_helper(Rig *r)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
    (void) unlink(socket_path);
    r->helper_fd = -EBADF;
    r->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (r->listen_fd < 0 || bind(r->listen_fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
        listen(r->listen_fd, 4) < 0)
        abort();
}

static void rig_init(Rig *r)
{
    int error;

    *r = (Rig){.now = 1000 * USEC_PER_SEC, .epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    make_files();
    listen_as_helper(r);
    error = lever_kernel_init(&r->kernel, proc, sys, run);
    assert(error == 0);
    error = collector_open(&r->collector, proc, sys);
    assert(error == 0);
    levers_init(&r->levers, socket_path, &r->collector, r->epoll_fd, SOURCE, r->now);
}

static void rig_done(Rig *r)
{
    levers_done(&r->levers);
    collector_done(&r->collector);
    lever_kernel_done(&r->kernel);
    closep(&r->helper_fd);
    closep(&r->listen_fd);
    closep(&r->epoll_fd);
}

/* The agent's end: what it makes known of itself is bounded, and each request gets one answer. */
static void check_agent(Rig *r)
{
    Message request, result;
    Report report;

    assert((levers_features(&r->levers) & ~(uint32_t) HELLO_FEATURE_LEVERS) == 0);
    assert(memchr(r->levers.missing, '\0', sizeof(r->levers.missing)));
    if (collector_read(&r->collector, &report) == 0)
        assert(report_check(&report, NULL) == 0);
    if (!levers_take_result(&r->levers, &request, &result))
        return;
    assert(r->asked && request.id == r->id);
    assert(result.type == MESSAGE_RECLAIMED && result.id == r->id && lever_end_to_string(result.why));
    assert(result.error >= 0 && (result.error == 0 || result.why == LEVER_END_FAILED));
    r->asked = false;
}

static void go_round(Rig *r)
{
    struct epoll_event e;

    while (epoll_wait(r->epoll_fd, &e, 1, 0) == 1) {
        assert(e.data.u32 == SOURCE);
        levers_io(&r->levers, r->now);
    }
    levers_tick(&r->levers, true, r->now);
    check_agent(r);
}

/* The helper's end: whatever it is asked for, it leaves vm.swappiness as it was. */
static LeverAnswer serve(Rig *r, const LeverRequest *q)
{
    bool reclaims = q->verb == LEVER_RECLAIM_FILE || q->verb == LEVER_RECLAIM_ANON;
    LeverAnswer a;

    memset(&a, 0x55, sizeof(a));
    lever_kernel_serve(&r->kernel, q, &a);
    assert(a.error <= 0 && (a.levers & ~ALL_LEVERS) == 0);
    assert(memchr(a.missing, '\0', sizeof(a.missing)));
    assert((q->verb >= LEVER_PROBE && q->verb < LEVER_VERB_MAX) || a.error == -EINVAL);
    assert(!reclaims || (q->bytes > 0 && q->bytes <= LEVER_RECLAIM_MAX_BYTES) || a.error == -EINVAL);
    assert(q->verb == LEVER_AGES || a.cold_bytes[LEVER_AGE_10S] == 0);
    assert(fuzz_read_number("proc/sys/vm/swappiness") == SWAPPINESS);
    return a;
}

static void accept_agent(Rig *r)
{
    int fd = accept4(r->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return;
    closep(&r->helper_fd);
    r->helper_fd = fd;
}

static void answer(Rig *r, const void *data, size_t length)
{
    if (r->helper_fd >= 0 && length > 0)
        (void) send(r->helper_fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    go_round(r);
}

static void serve_agent(Rig *r)
{
    LeverRequest q;
    LeverAnswer a;

    if (r->helper_fd < 0 || recv(r->helper_fd, &q, sizeof(q), 0) != (ssize_t) sizeof(q))
        return;
    assert(q.verb >= LEVER_PROBE && q.verb < LEVER_VERB_MAX && q.bytes <= LEVER_RECLAIM_MAX_BYTES);
    a = serve(r, &q);
    answer(r, &a, sizeof(a));
}

static void serve_bytes(Rig *r, const uint8_t *data, size_t length)
{
    LeverRequest q = {};

    memcpy(&q, data, MIN(length, sizeof(q)));
    (void) serve(r, &q);
}

static void begin(Rig *r, MessageType type, uint64_t bytes, bool anon)
{
    Message m = {.type = type, .id = r->id + 1, .bytes = bytes, .anon = anon};

    if (levers_begin(&r->levers, &m, r->now) < 0) {
        assert(r->asked);
        return;
    }
    assert(!r->asked);
    r->id = m.id;
    r->asked = true;
    go_round(r);
}

static void recall_note(Rig *r, const uint8_t *data, size_t length)
{
    long long left;

    fuzz_write("run/swappiness", data, length);
    fuzz_write_text("proc/sys/vm/swappiness", "0\n");
    lever_kernel_restore(&r->kernel);
    left = fuzz_read_number("proc/sys/vm/swappiness");
    assert(left >= 0 && left <= 200);
    fuzz_write_text("proc/sys/vm/swappiness", "60\n");
}

static void do_step(Rig *r, Step step, size_t number, const uint8_t *data, size_t length)
{
    accept_agent(r);
    switch (step) {
    case STEP_REQUEST:
        serve_bytes(r, data, length);
        break;
    case STEP_ANSWER:
        answer(r, data, length);
        break;
    case STEP_SERVE:
        serve_agent(r);
        break;
    case STEP_CLOSE:
        closep(&r->helper_fd);
        r->helper_fd = -EBADF;
        go_round(r);
        break;
    case STEP_WAIT:
        r->now += number * USEC_PER_MSEC;
        go_round(r);
        break;
    case STEP_RECLAIM:
        begin(r, MESSAGE_RECLAIM, (uint64_t) number * 4096, number & 1);
        break;
    case STEP_COMPACT:
        begin(r, MESSAGE_COMPACT, 0, false);
        break;
    case STEP_STOP:
        levers_stop(&r->levers);
        go_round(r);
        break;
    case STEP_VMSTAT:
        fuzz_write("proc/vmstat", data, length);
        break;
    case STEP_LRU_GEN:
        fuzz_write("sys/kernel/debug/lru_gen", data, length);
        break;
    case STEP_NOTE:
        recall_note(r, data, length);
        break;
    case STEP_MAX:
        break;
    }
}

static bool has_bytes(Step step)
{
    return step == STEP_REQUEST || step == STEP_ANSWER || step == STEP_VMSTAT || step == STEP_LRU_GEN ||
           step == STEP_NOTE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Rig r;

    log_set_level(LOG_ALERT);
    if (fuzz_folder_init()) {
        fuzz_path(proc, "proc");
        fuzz_path(sys, "sys");
        fuzz_path(run, "run");
        fuzz_path(socket_path, "levers");
    }
    rig_init(&r);
    while (size >= 3) {
        Step step = data[0] % STEP_MAX;
        size_t number = (size_t) (data[1] | data[2] << 8), length;

        data += 3;
        size -= 3;
        length = has_bytes(step) ? MIN(number, size) : 0;
        do_step(&r, step, number, data, length);
        data += length;
        size -= length;
    }
    rig_done(&r);
    return 0;
}
