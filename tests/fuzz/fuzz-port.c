/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a host may send to a guest's agent. The input is a sequence of steps, each what is done (1 byte), the time since
 * the last (2 bytes, in 10 ms), a length (1 byte), and as many bytes. */

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/macro.h"
#include "guest-agent/link.h"
#include "tests/fuzz/fuzz.h"

typedef enum Step {
    STEP_BYTES,   /* as they are */
    STEP_PAYLOAD, /* in a frame in order */
    STEP_WAIT,
    STEP_HANG_UP,
    STEP_COME,
    STEP_REPORT,
    STEP_DISTRESS,
    STEP_ANSWER, /* to the request that waits for it */
    STEP_LEVERS, /* the length: which the guest has */
    STEP_MAX,
} Step;

typedef struct Rig {
    Link link;
    int host_fd;
    usec_t now;
    FrameReader reader;
} Rig;

static Report report(usec_t now)
{
    Report r = {.at_usec = now};

    report_set(&r, REPORT_MEM_TOTAL, 1 << 30);
    report_set(&r, REPORT_MEM_FREE, 1 << 29);
    return r;
}

/* The host can read whatever the agent sends, and all but Hello belongs to its Welcome. */
static void check_frame(const Rig *r, const uint8_t *payload, size_t length)
{
    Message m;
    int error = message_unpack(payload, length, &m, NULL);

    assert(error == 0);
    assert(m.type == MESSAGE_HELLO || m.type == MESSAGE_REPORT || m.type == MESSAGE_DISTRESS ||
           m.type == MESSAGE_RECLAIMED);
    assert(m.type == MESSAGE_HELLO || (m.has_nonce && link_ready(&r->link) && m.nonce == r->link.nonce));
}

static void read_agent(Rig *r)
{
    uint8_t buf[4096];
    ssize_t n;

    while ((n = recv(r->host_fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
        for (size_t done = 0, taken, length; done < (size_t) n; done += taken) {
            const uint8_t *payload;

            if (frame_reader_feed(&r->reader, buf + done, (size_t) n - done, &taken, &payload, &length) > 0)
                check_frame(r, payload, length);
        }
    assert(r->reader.rubbish_bytes == 0 && r->reader.bad_frames == 0);
}

static void check_link(const Rig *r)
{
    const Link *l = &r->link;

    assert(l->interval_usec == 0 ||
           (l->interval_usec >= REPORT_INTERVAL_MIN_USEC && l->interval_usec <= REPORT_INTERVAL_MAX_USEC));
    assert(l->lever_id == 0 || (l->lever_id == l->lever.id && l->welcomed));
    assert(l->lever_id == 0 || l->lever.type == MESSAGE_RECLAIM || l->lever.type == MESSAGE_COMPACT);
    assert(!l->welcomed || l->present);
}

static void look(Rig *r, uint32_t events)
{
    int news = link_io(&r->link, events, r->now);

    assert(news >= 0 && (news & ~(LINK_WELCOMED | LINK_CONFIGURED | LINK_LEVER)) == 0);
    assert(link_tick(&r->link, r->now) == 0);
    check_link(r);
    read_agent(r);
}

static void say(Rig *r, const void *data, size_t length)
{
    (void) send(r->host_fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    look(r, EPOLLIN | EPOLLOUT);
}

static void say_payload(Rig *r, const uint8_t *data, size_t length)
{
    uint8_t buf[FRAME_MAX];
    ssize_t n;

    memcpy(buf + FRAME_HEADER_SIZE, data, length);
    n = frame_finish(buf, length);
    if (n > 0)
        say(r, buf, (size_t) n);
}

static void answer(Rig *r)
{
    Message m = {.type = MESSAGE_RECLAIMED, .id = r->link.lever_id, .bytes = 4096, .why = LEVER_END_DONE};

    if (m.id == 0)
        return;
    assert(link_reclaimed(&r->link, &m) == 0);
    assert(r->link.lever_id == 0);
}

static void do_step(Rig *r, Step step, const uint8_t *data, size_t length)
{
    Report figures = report(r->now);

    switch (step) {
    case STEP_BYTES:
        say(r, data, length);
        break;
    case STEP_PAYLOAD:
        say_payload(r, data, length);
        break;
    case STEP_WAIT:
        break;
    case STEP_HANG_UP:
        look(r, EPOLLIN | EPOLLHUP);
        assert(!link_ready(&r->link));
        break;
    case STEP_COME:
        frame_reader_init(&r->reader);
        look(r, EPOLLIN | EPOLLOUT);
        break;
    case STEP_REPORT:
        assert(link_report(&r->link, &figures) == 0);
        break;
    case STEP_DISTRESS:
        assert(link_distress(&r->link, DISTRESS_PSI, &figures) == 0);
        break;
    case STEP_ANSWER:
        answer(r);
        break;
    case STEP_LEVERS:
        link_set_levers(&r->link, (uint32_t) length & HELLO_FEATURE_LEVERS, "it is a test", r->now);
        break;
    case STEP_MAX:
        break;
    }
    look(r, EPOLLOUT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Rig r; /* its buffers are large */
    int fds[2], error;

    log_set_level(LOG_ALERT);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
        return 0;
    r = (Rig){.host_fd = fds[1], .now = 1000 * USEC_PER_SEC};
    frame_reader_init(&r.reader);
    link_init(&r.link, &(Message){.type = MESSAGE_HELLO,
                                  .protocol = PROTOCOL_VERSION,
                                  .version = "0.1.0",
                                  .boot_id = "6fd5c1ab-91c9-4ee6-b9f9-0d3b3c1d8a55"});
    error = link_attach(&r.link, fds[0], r.now);
    assert(error == 0);
    while (size >= 4) {
        size_t length = MIN((size_t) data[3], size - 4);

        r.now += ((usec_t) data[1] | (usec_t) data[2] << 8) * 10 * USEC_PER_MSEC;
        do_step(&r, data[0] % STEP_MAX, data + 4, length);
        data += 4 + length;
        size -= 4 + length;
    }
    link_detach(&r.link);
    close(r.host_fd);
    return 0;
}
