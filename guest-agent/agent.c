/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The running agent: an epoll loop that opens the port, judges distress and sends reports. */

#include "guest-agent/agent.h"

#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>

#include "base/log.h"
#include "base/macro.h"
#include "guest-agent/collect.h"
#include "guest-agent/history.h"
#include "guest-agent/levers.h"
#include "guest-agent/link.h"
#include "guest-agent/notify.h"
#include "guest-agent/trigger.h"

/* If the port can't be opened, the next attempts follow after 1 s, then 2, 4, … 30 s. */
#define REOPEN_MIN_USEC USEC_PER_SEC
#define REOPEN_MAX_USEC (30 * USEC_PER_SEC)

/* At the start the port is opened when it is known which levers the guest has, but no later than this: the
 * helper may be started just now. A Hello that comes too early is followed by another. */
#define PROBE_WAIT_USEC (500 * USEC_PER_MSEC)

/* How long a stopping agent waits for the host to read the Goodbye. */
#define GOODBYE_LIMIT_USEC (100 * USEC_PER_MSEC)

typedef enum Source {
    SOURCE_PORT,
    SOURCE_TRIGGER,
    SOURCE_TIMER,
    SOURCE_SIGNAL,
    SOURCE_LEVERS,
    SOURCE_MAX
} Source;

/* All times are of CLOCK_BOOTTIME, which counts while the guest is suspended. What became due meanwhile is
 * done once when the guest wakes up. */
typedef struct Agent {
    const AgentOptions *options;
    int epoll_fd, timer_fd, signal_fd;
    Collector collector;
    Trigger trigger;
    Link link;
    char levers_path[108]; /* the longest name of a socket */
    Levers levers;
    History history;

    usec_t timer_usec; /* when the timer expires */
    usec_t reopen_usec, reopen_wait_usec;
    usec_t probed_usec; /* until when the first attempt waits for the levers' probe */
    int reopen_error;   /* of the last attempt, so that each error is logged once */
    uint32_t port_events;

    usec_t interval_usec;
    usec_t report_usec; /* when the next report is due */
    bool collect_failed;
    Report looked;        /* the last report that was judged; at_usec 0: none */
    int cause;            /* of distress that is not reported yet, or 0 */
    usec_t distress_usec; /* when the next Distress may be sent */

    usec_t watchdog_usec, watchdog_interval_usec;
    const char *status; /* the last sent to the service manager */
    bool stop;
} Agent;

#define AGENT_INIT                        \
    ((Agent){.epoll_fd = -EBADF,          \
             .timer_fd = -EBADF,          \
             .signal_fd = -EBADF,         \
             .collector = COLLECTOR_INIT, \
             .trigger = TRIGGER_INIT,     \
             .link = {.fd = -EBADF},      \
             .levers = {.fd = -EBADF},    \
             .history = HISTORY_INIT,     \
             .timer_usec = USEC_INFINITY, \
             .watchdog_usec = USEC_INFINITY})

static void agent_done(Agent *a)
{
    link_detach(&a->link);
    levers_done(&a->levers);
    history_done(&a->history);
    trigger_done(&a->trigger);
    collector_done(&a->collector);
    closep(&a->signal_fd);
    closep(&a->timer_fd);
    closep(&a->epoll_fd);
}

static int watch(Agent *a, int fd, uint32_t events, Source source)
{
    struct epoll_event e = {.events = events, .data.u32 = source};

    return epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

static void port_failed(Agent *a, int error, usec_t now)
{
    if (error != a->reopen_error) {
        /* A guest without the channel has no port: that is no fault of the agent's. */
        if (error == ENOENT)
            log_notice(
                "Port %s does not exist; waiting for it. The domain needs the channel org.ballast.guest.0 (see ballast-guestd(8))",
                a->options->port_path);
        else
            log_warning_errno(error, "Port %s failed: %m; trying again regularly", a->options->port_path);
        a->reopen_error = error;
    }
    link_detach(&a->link);
    a->reopen_usec = now + a->reopen_wait_usec;
    a->reopen_wait_usec = MIN(a->reopen_wait_usec * 2, REOPEN_MAX_USEC);
}

static usec_t reopen_due_usec(const Agent *a)
{
    return a->levers.probed ? a->reopen_usec : MAX(a->reopen_usec, a->probed_usec);
}

static void open_port(Agent *a, usec_t now)
{
    int fd, r;

    fd = link_open_port(a->options->port_path);
    if (fd < 0) {
        port_failed(a, -fd, now);
        return;
    }
    r = link_attach(&a->link, fd, now);
    if (r >= 0) {
        a->port_events = link_events(&a->link);
        r = watch(a, fd, a->port_events, SOURCE_PORT);
    }
    if (r < 0) {
        port_failed(a, -r, now);
        return;
    }
    log_info("Opened port %s", a->options->port_path);
    a->reopen_usec = USEC_INFINITY;
}

/* Collects a report, judges it, and sends what is due. cause: DISTRESS_PSI if the trigger fired, or 0. */
static void look(Agent *a, int cause, usec_t now)
{
    Report report;
    int r, judged;

    r = collector_read(&a->collector, &report);
    if (r < 0) {
        if (!a->collect_failed)
            log_error_errno(-r, "Cannot read %s/meminfo, sending no reports: %m", a->options->proc_root);
        a->collect_failed = true;
        a->report_usec = now + a->interval_usec;
        return;
    }
    a->collect_failed = false;

    judged = a->looked.at_usec > 0 ? distress_judge(&a->looked, &report, a->trigger.prompt) : 0;
    if (judged >= 0)
        a->looked = report;
    /* Of several causes the last in the protocol's order counts: an OOM kill must not be hidden by a
     * stall. */
    a->cause = MAX(a->cause, MAX(cause, judged));
    if (a->cause != 0)
        levers_stop(&a->levers);
    history_see_size(&a->history, report_get(&report, REPORT_MEM_TOTAL), now);

    if (a->cause != 0 && now >= a->distress_usec) {
        log_debug("Distress: %s", distress_cause_to_string((DistressCause) a->cause));
        r = link_distress(&a->link, (DistressCause) a->cause, &report);
        a->cause = 0;
        a->distress_usec = now + DISTRESS_INTERVAL_USEC;
    } else if (now >= a->report_usec)
        r = link_report(&a->link, &report);
    if (r < 0)
        port_failed(a, -r, now);

    /* Counted from when this report was due, so that the interval does not drift. Reports that a suspended
     * guest missed are not sent later. */
    if (now >= a->report_usec) {
        a->report_usec += a->interval_usec;
        if (a->report_usec <= now)
            a->report_usec = now + a->interval_usec;
    }
}

/* When the next look() is due, while a host is listening. */
static usec_t look_due_usec(const Agent *a)
{
    usec_t due = a->report_usec;

    if (!a->trigger.prompt && a->looked.at_usec > 0) {
        usec_t look = a->looked.at_usec + DISTRESS_LOOK_USEC;

        /* A report that is due soon after is judged as well, so one look() does both from then on. */
        if (due > look + DISTRESS_LOOK_USEC / 2)
            due = look;
    }
    if (a->cause != 0)
        due = MIN(due, a->distress_usec);
    return due;
}

/* The host asks this guest to hand back what it doesn't use. Returns 0 or -errno as link_io(). */
static int on_lever_request(Agent *a, const Message *request, usec_t now)
{
    if (levers_begin(&a->levers, request, now) < 0)
        return link_reclaimed(
            &a->link, &(Message){.type = MESSAGE_RECLAIMED, .id = request->id, .why = LEVER_END_BUSY});
    return 0;
}

/* Answers the host when its request has ended, and says which levers there are. */
static void tend_levers(Agent *a, usec_t now)
{
    Message request, result;
    int r;

    levers_tick(&a->levers, link_ready(&a->link), now);
    if (levers_take_result(&a->levers, &request, &result)) {
        history_add_request(&a->history, &request, &result, now);
        r = link_reclaimed(&a->link, &result);
        if (r < 0)
            port_failed(a, -r, now);
    }
    link_set_levers(&a->link, levers_features(&a->levers), a->levers.missing, now);
}

static void on_port(Agent *a, uint32_t events, usec_t now)
{
    int news, r;

    news = link_io(&a->link, events, now);
    if (news < 0) {
        port_failed(a, -news, now);
        return;
    }
    if (news & LINK_CONFIGURED)
        a->interval_usec = a->link.interval_usec;
    if (news & LINK_WELCOMED) {
        a->reopen_wait_usec = REOPEN_MIN_USEC;
        a->reopen_error = 0;
        a->looked.at_usec = 0; /* earlier distress does not concern this host */
        a->cause = 0;
        levers_stop(&a->levers); /* what another host asked for, neither */
        a->report_usec = now;
    } else if (news & LINK_CONFIGURED)
        a->report_usec = MIN(a->report_usec, now + a->interval_usec);
    if (news & LINK_LEVER) {
        r = on_lever_request(a, link_lever(&a->link), now);
        if (r < 0)
            port_failed(a, -r, now);
    }
}

static void on_trigger(Agent *a, uint32_t events, usec_t now)
{
    if (events & (EPOLLERR | EPOLLHUP)) {
        log_warning("The kernel dropped the PSI trigger; checking the counters every second instead");
        trigger_done(&a->trigger);
        return;
    }
    if (link_ready(&a->link))
        look(a, DISTRESS_PSI, now);
}

static void tell_status(Agent *a)
{
    const char *status = a->link.fd < 0     ? "READY=1\nSTATUS=Waiting for the port"
                         : a->link.welcomed ? "READY=1\nSTATUS=Reporting to the host"
                                            : "READY=1\nSTATUS=Waiting for the host";
    int r;

    if (status == a->status)
        return;
    a->status = status;
    r = notify_send(status);
    if (r < 0)
        log_debug_errno(-r, "Cannot notify the service manager: %m");
}

/* Does what is due, then updates the events to wait for. */
static int tick(Agent *a, usec_t now)
{
    struct epoll_event e = {.data.u32 = SOURCE_PORT};
    int r;

    tend_levers(a, now);
    if (a->link.fd < 0 && now >= reopen_due_usec(a))
        open_port(a, now);
    if (a->link.fd >= 0) {
        r = link_tick(&a->link, now);
        if (r < 0)
            port_failed(a, -r, now);
    }
    if (link_ready(&a->link) && now >= look_due_usec(a))
        look(a, 0, now);
    if (now >= a->watchdog_usec) {
        (void) notify_send("WATCHDOG=1");
        a->watchdog_usec = now + a->watchdog_interval_usec;
    }
    tell_status(a);

    e.events = link_events(&a->link);
    if (a->link.fd >= 0 && e.events != a->port_events) {
        if (epoll_ctl(a->epoll_fd, EPOLL_CTL_MOD, a->link.fd, &e) < 0)
            return -errno;
        a->port_events = e.events;
    }
    return 0;
}

static int arm_timer(Agent *a)
{
    struct itimerspec t = {};
    usec_t due;

    due = MIN(link_due_usec(&a->link), a->watchdog_usec);
    due = MIN(due, levers_due_usec(&a->levers, link_ready(&a->link)));
    if (a->link.fd < 0)
        due = MIN(due, reopen_due_usec(a));
    if (link_ready(&a->link))
        due = MIN(due, look_due_usec(a));
    if (due == a->timer_usec)
        return 0;

    if (due != USEC_INFINITY) {
        t.it_value.tv_sec = (time_t) (due / USEC_PER_SEC);
        t.it_value.tv_nsec = (long) (due % USEC_PER_SEC * NSEC_PER_USEC);
    }
    if (timerfd_settime(a->timer_fd, TFD_TIMER_ABSTIME, &t, NULL) < 0)
        return -errno;
    a->timer_usec = due;
    return 0;
}

static void dispatch(Agent *a, const struct epoll_event *e, usec_t now)
{
    switch ((Source) e->data.u32) {
    case SOURCE_PORT:
        on_port(a, e->events, now);
        break;
    case SOURCE_TRIGGER:
        on_trigger(a, e->events, now);
        break;
    case SOURCE_TIMER:
        a->timer_usec = USEC_INFINITY; /* it has expired; arm_timer() sets it again */
        break;
    case SOURCE_SIGNAL:
        a->stop = true;
        break;
    case SOURCE_LEVERS:
        levers_io(&a->levers, now);
        break;
    case SOURCE_MAX:
        break;
    }
}

static int loop(Agent *a)
{
    struct epoll_event events[SOURCE_MAX];
    int n, r;

    while (!a->stop) {
        usec_t now = now_usec(CLOCK_BOOTTIME);

        r = tick(a, now);
        if (r >= 0)
            r = arm_timer(a);
        if (r < 0)
            return log_error_errno(-r, "Cannot wait for events: %m");

        n = epoll_wait(a->epoll_fd, events, SOURCE_MAX, -1);
        if (n < 0 && errno != EINTR)
            return log_error_errno(errno, "Cannot wait for events: %m");
        now = now_usec(CLOCK_BOOTTIME);
        for (int i = 0; i < n; i++)
            dispatch(a, &events[i], now);
    }
    return 0;
}

/* epoll, signals and timer. */
static int open_loop(Agent *a)
{
    sigset_t mask;

    /* The agent has no configuration file, so a SIGHUP has nothing to reload. */
    (void) signal(SIGHUP, SIG_IGN);
    (void) signal(SIGPIPE, SIG_IGN);
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
        return -errno;

    a->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (a->epoll_fd < 0)
        return -errno;
    a->signal_fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    if (a->signal_fd < 0)
        return -errno;
    a->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (a->timer_fd < 0)
        return -errno;

    if (epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, a->signal_fd,
                  &(struct epoll_event){.events = EPOLLIN, .data.u32 = SOURCE_SIGNAL}) < 0)
        return -errno;
    return watch(a, a->timer_fd, EPOLLIN | EPOLLET, SOURCE_TIMER);
}

static void open_trigger(Agent *a)
{
    int r;

    r = trigger_open(&a->trigger, a->options->proc_root);
    if (r >= 0)
        r = watch(a, a->trigger.fd, EPOLLPRI, SOURCE_TRIGGER);
    if (r < 0) {
        log_notice("No PSI trigger (%s); checking the counters every second instead", strerror(-r));
        trigger_done(&a->trigger);
    } else if (!a->trigger.prompt)
        log_info(
            "The PSI trigger has a window of 2 s, as the agent lacks CAP_SYS_RESOURCE; checking the counters every second as well");
}

static int make_hello(Agent *a, Message *ret)
{
    Message m = {.type = MESSAGE_HELLO, .protocol = PROTOCOL_VERSION, .version = BALLAST_VERSION};
    struct utsname u;
    Report now;
    int r;

    r = read_boot_id(a->options->proc_root, m.boot_id);
    if (r < 0)
        return log_error_errno(-r, "Cannot read the boot id from %s/sys/kernel/random/boot_id: %m",
                               a->options->proc_root);
    /* The kernel allows a longer release than the protocol does. */
    if (uname(&u) >= 0)
        snprintf(m.text, sizeof(m.text), "%.*s", (int) GUEST_TEXT_MAX, u.release);

    r = collector_read(&a->collector, &now);
    if (r < 0)
        return log_error_errno(-r, "Cannot read %s/meminfo: %m", a->options->proc_root);
    if (report_has(&now, REPORT_PSI_MEMORY_SOME_TOTAL))
        m.features |= HELLO_FEATURE_PSI;
    if (a->trigger.fd >= 0)
        m.features |= HELLO_FEATURE_PSI_TRIGGER;
    if (report_get(&now, REPORT_SWAP_TOTAL) > 0)
        m.features |= HELLO_FEATURE_SWAP;
    *ret = m;
    return 0;
}

static void open_levers(Agent *a, usec_t now)
{
    const AgentOptions *o = a->options;

    history_init(&a->history, o->run_folder);
    snprintf(a->levers_path, sizeof(a->levers_path), "%s/" LEVER_SOCKET_NAME, o->run_folder);
    levers_init(&a->levers, o->levers ? a->levers_path : NULL, &a->collector, a->epoll_fd, SOURCE_LEVERS,
                now);
    a->probed_usec = now + PROBE_WAIT_USEC;
}

/* Locks the agent's pages, and drops the capabilities that only the start needed. */
static void settle(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};

    /* When the guest thrashes, the agent must not wait for a page of its own code: the report of distress has
     * to leave at once. Only pages that were touched are locked. */
    if (mlockall(MCL_CURRENT | MCL_ONFAULT) < 0)
        log_debug_errno(errno,
                        "Cannot lock the agent's pages in memory, so distress may be reported late: %m");

    /* Only the PSI trigger needed CAP_SYS_RESOURCE. */
    if (syscall(SYS_capset, &header, none) < 0)
        log_debug_errno(errno, "Cannot drop capabilities: %m");
}

int agent_run(const AgentOptions *options)
{
    _cleanup_(agent_done) Agent a = AGENT_INIT;
    usec_t now = now_usec(CLOCK_BOOTTIME);
    Message hello;
    int r;

    a.options = options;
    a.interval_usec = options->interval_usec;
    a.reopen_wait_usec = REOPEN_MIN_USEC;

    r = collector_open(&a.collector, options->proc_root, options->sys_root);
    if (r < 0)
        return log_error_errno(-r, "Cannot open %s/meminfo: %m", options->proc_root);
    r = open_loop(&a);
    if (r < 0)
        return log_error_errno(-r, "Cannot set up the event loop: %m");
    open_trigger(&a);
    r = make_hello(&a, &hello);
    if (r < 0)
        return r;
    link_init(&a.link, &hello);
    open_levers(&a, now);
    settle();

    a.watchdog_interval_usec = notify_watchdog_usec();
    if (a.watchdog_interval_usec != USEC_INFINITY)
        a.watchdog_usec = now + a.watchdog_interval_usec;

    r = loop(&a);
    (void) notify_send("STOPPING=1\nSTATUS=Stopping");
    (void) link_goodbye(&a.link, "stopped", GOODBYE_LIMIT_USEC);
    return r;
}
