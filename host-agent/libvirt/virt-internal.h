/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The structs and functions that this folder's files share. One lock, Virt.lock, guards all of them, the
 * queue and the workers included. No thread calls libvirt while it holds the lock, because libvirt calls
 * back. The functions below are called with the lock held, unless their comment says otherwise.
 *
 * The files from the top. Each calls only files below it (and files above it through hooks):
 *
 *   virt.c        the interface: requests, events, the timer
 *   calls.c       the calls that workers make for a domain
 *   events.c      libvirt's events
 *   session.c     connects to libvirt, and again after the connection is lost
 *   domain.c      the known domains, and the events that report on them
 *   shut-off.c    requests about domains that are shut off
 *   channel.c     a domain's channel as a stream
 *   connection.c  opens, watches and closes one connection
 *   core.c        references to Virt, events to the daemon's loop, libvirt's errors
 *   workers.c, queue.c, loop.c, thread.c   know neither domains nor connections */

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdatomic.h>
#include <systemd/sd-event.h>

#include "base/outage.h"
#include "host-agent/libvirt/loop.h"
#include "host-agent/libvirt/queue.h"
#include "host-agent/libvirt/shut-off.h"
#include "host-agent/libvirt/virt-event.h"
#include "host-agent/libvirt/workers.h"

typedef struct Virt Virt;

/* libvirt never lists more domains than this at once. */
#define DOMAINS_MAX  16384U
#define DOMAINS_HASH 4096U

/* The kinds of calls, most urgent first. */
typedef enum CallKind {
    CALL_SET,
    CALL_ENTITLE,
    CALL_DEFINITION,
    CALL_STATS,
    CALL_REMEMBER,
    CALL_CHANNEL,
    CALL_FIND, /* of domains that are shut off */
    CALL_KIND_MAX,
} CallKind;

_Static_assert((unsigned) CALL_KIND_MAX <= 32, "kinds are bits");
#define CALLS_ALL ((1U << CALL_KIND_MAX) - 1)

/* The purposes of connections. One more connection, for events, is in no lane: it carries no calls, so
 * nothing ever holds it up. */
typedef enum LaneId {
    LANE_SET,
    LANE_QUERY,
    LANE_CHANNEL,
    LANE_MAX,
} LaneId;

_Static_assert((unsigned) LANE_MAX <= LANES_MAX, "lanes for all");

/* A connection carries one call at a time. libvirt's client accepts more, but then a second thread leaves it
 * to the first one to send its request, and with libvirt 9.0 the first thread may not notice that before
 * something arrives. Seen: while a call to a stopped domain was under way, calls to healthy domains hung for
 * five seconds, until the next keep-alive. */
#define SLOTS_MAX 6U

typedef struct Slot {
    LaneId lane;
    struct Conn *conn; /* NULL: being replaced */
    bool taken;        /* by a call */
    usec_t retry_usec; /* when to try again to open a connection; 0: don't */
} Slot;

/* connection.c writes it. */
typedef struct Conn {
    Virt *virt;
    virConnectPtr ptr;
    atomic_uint refs;    /* to this struct: one for its owner and one for each registered callback */
    unsigned uses;       /* calls under way and streams; it stays open while there are any */
    unsigned generation; /* Session.generation of the attempt that opened it */
    void (*on_lost)(Virt *v, const char *why); /* with the lock; only for a connection of the open session */
    bool retired;                              /* to be closed when nothing uses it any more */
    bool lost;
    bool watched; /* has a close callback */
    int callbacks[16];
    size_t n_callbacks;
    Job job; /* to close it */
} Conn;

typedef struct Domain Domain;
typedef struct Channel Channel;

/* A domain's channel; channel.c writes it. */
typedef struct DomainChannel {
    Channel *open;
    Channel *ending; /* being closed; no other can be opened until that is done */
} DomainChannel;

/* channel.c writes it. */
struct Channel {
    Virt *virt;
    Domain *domain; /* NULL: freed */
    Conn *conn;
    virStreamPtr stream; /* once the channel is adopted, only the loop's thread uses it, until end_run() */
    char uuid[37];
    bool attached, dead, queued;
    uint8_t *out; /* bytes to be sent, at most CHANNEL_OUT_MAX */
    size_t out_length;
    size_t unread; /* socket bytes that the guest may not have read: see channel.c */
    struct Channel *next;
    Job job; /* to end the stream */
};

/* A call under way: its arguments and its outcome. calls.c writes it; without the lock, but only the worker
 * that makes the call uses it until the call returns. */
typedef struct Call {
    Conn *conn;
    DomainState state;
    EntitlementChange entitling;
    unsigned period_sec;
    unsigned changes; /* Domain.busy.changes when the call began */
    int error;
    char *text;    /* libvirt's message */
    bool vanished; /* the domain doesn't run (any more) */
    bool job_known;
    const char *job;
    bool paused, shutting_down;
    bool remembered; /* the state metadata was written */
    bool forgetful;  /* libvirt failed to write it */
    DomainInfo *info;
    VirtStats stats;
    Channel *channel;
} Call;

/* Why a domain's memory can't be changed at present. */
typedef struct DomainBusy {
    bool paused, shutting_down, stuck;
    unsigned changes;     /* how often events set paused and shutting_down */
    const char *job;      /* "migrating", "saving" or NULL */
    const char *reported; /* the text of the last VIRT_DOMAIN_BUSY */
} DomainBusy;

/* The arguments of calls asked for. */
typedef struct DomainAsked {
    DomainState state;
    uint64_t overhead_bytes;
    EntitlementChange entitling;
    unsigned period_sec;
} DomainAsked;

/* domain.c writes it, the embedded structs aside: workers.c writes caller, queue.c box, channel.c channel and
 * calls.c call. */
struct Domain {
    Caller caller; /* first: callers are domains */
    Mailbox box;
    Virt *virt;
    char uuid[37];
    int id;
    bool gone;                 /* removed from the table; kept until its call under way returns */
    unsigned generation;       /* Session.generation when libvirt last listed it or reported its start */
    unsigned reported_session; /* Session.number when VIRT_DOMAIN_ADDED was last sent; 0: never */
    usec_t definition_usec;    /* when the definition was last read */
    usec_t due_usec;           /* when to read it again; 0: not due */
    bool unreadable;           /* logged: its definition can't be read */
    bool vanished;             /* the last read of its definition found that it doesn't run */
    bool has_period;           /* it has a stats period, or setting one was tried */
    DomainBusy busy;
    DomainAsked asked;
    DomainState remembered; /* the state in its metadata */
    DomainChannel channel;
    bool channel_unwanted; /* virt_channel_close() was called while it was being opened */
    Call call;
    Domain *hash_next, *prev, *next;
};

/* All domains; domain.c writes it. */
typedef struct Domains {
    Domain *hash[DOMAINS_HASH], *first;
    size_t n;
    bool any_due;
    unsigned listed_session;  /* Session.number when VIRT_LISTED was last sent */
    bool too_many, forgetful; /* logged: there are too many; libvirt can't store metadata */
    uint64_t failures;        /* calls that failed */
} Domains;

/* Requests about domains that are shut off. calls.c writes call, workers.c caller, and shut-off.c the rest. While the
 * call is under way, only its worker uses the first of those that wait (but for next). */
typedef struct ShutOffs {
    Caller caller;
    ShutOff *waiting, *answered; /* the longest first */
    unsigned asked;
    Call call;
} ShutOffs;

typedef enum SessionState {
    SESSION_CLOSED,
    SESSION_OPENING,
    SESSION_OPEN,
} SessionState;

/* The state of the connection to libvirt, and the connections in use; session.c writes it. */
typedef struct Session {
    SessionState state;
    unsigned generation;             /* number of attempts to connect */
    unsigned number;                 /* number of successful ones */
    usec_t retry_usec, backoff_usec; /* when to connect again; the wait before the attempt after that */
    bool lost_reported;
    unsigned opening; /* connections being opened, which must end before Virt does */
    Conn *events;
    Slot slots[SLOTS_MAX];
    uint64_t reconnects;
} Session;

/* connection.c writes it. */
typedef struct Connections {
    unsigned n; /* not closed yet, retired ones included */
} Connections;

/* channel.c writes it. */
typedef struct Channels {
    Channel *work; /* list of the channels that the loop's thread must look after */
} Channels;

/* virt.c writes it, the embedded structs aside: each is written by the file named at its type. */
struct Virt {
    pthread_mutex_t lock;
    pthread_cond_t closed; /* a connection was closed, or an attempt to open one ended */
    atomic_uint refs;      /* one each for the user, the workers, the loop and each connection */
    char *uri;
    void (*ended)(Virt *v); /* called when the last reference is dropped */
    VirtHandler handler;
    void *userdata;
    sd_event_source *queue_source, *timer;
    Queue *queue;
    Workers *workers;
    Loop *loop;
    bool stopped, ticking;
    Outage crowded; /* domains don't answer */
    Session session;
    Connections connections;
    Domains domains;
    ShutOffs shut_offs;
    Channels channels;
};

/* core.c */
Virt *virt_ref(Virt *v);
Virt *virt_unref(Virt *v); /* without the lock */
DEFINE_CLEANUP_FUNC(Virt, virt_unref);
/* Makes the daemon's loop start the timer if it isn't running. */
void virt_need_tick(Virt *v);
/* Queues an event, about d unless d is NULL. */
void virt_push(Virt *v, Domain *d, const VirtEvent *event);
/* Returns -errno for this thread's last libvirt error. *ret_text (ret_text may be NULL) is freed and set to
 * the error's message; the caller frees it. Doesn't need the lock. */
int virt_last_error(char **ret_text);

/* session.c */
void session_init(Virt *v);
void session_open(Virt *v);
/* Gives up all connections, reports the loss and connects again later. */
void session_lost(Virt *v, const char *why);
void session_tick(Virt *v, usec_t now_usec);
/* Takes a free connection of the lane for a call that begins. Give it back when the call returns. */
Conn *session_take(Virt *v, LaneId lane);
void session_give_back(Virt *v, Conn *conn);
/* The call on conn was left behind: opens a new connection in its place. */
void session_replace(Virt *v, Conn *conn);

/* connection.c */
/* Opens a connection. Without the lock. on_lost is called if libvirt closes the connection, in the thread
 * that notices it. */
int conn_open(Virt *v, unsigned generation, void (*on_lost)(Virt *v, const char *why), Conn **ret,
              char **ret_text);
/* Makes libvirt call callback for that event, with c as userdata, until c is closed. Returns false on
 * failure: see virt_last_error(). Without the lock. */
bool conn_subscribe(Conn *c, int event, virConnectDomainEventGenericCallback callback);
/* Keeps the connection open until conn_unuse(). */
void conn_use(Conn *c);
void conn_unuse(Conn *c);
/* Closes it as soon as nothing uses it, and drops the owner's reference then. NULL is fine. */
void conn_retire(Conn *c);
/* Returns true if events on this connection count: it belongs to the current attempt to connect. */
bool conn_is_current(const Conn *c);

/* events.c */
int events_register(Conn *c, char **ret_text); /* without the lock */

/* domain.c */
Domain *domain_find(Virt *v, const char *uuid);
Domain *domain_add(Virt *v, const char *uuid, int id); /* NULL: out of memory, or too many domains */
/* The domain stopped: reports that, drops its calls and frees it (once its call under way has returned). */
void domain_gone(Domain *d, const char *why);
void domain_destroy(Domain *d);
/* Notes that libvirt listed or reported the domain since the present attempt to connect. */
void domain_seen(Domain *d);
/* Notes what an event reported. */
void domain_set_running(Domain *d, bool paused, bool shutting_down);
void domain_set_stuck(Domain *d, bool stuck);
/* Each asks for a call; see virt.h. */
int domain_ask_stats(Domain *d, unsigned period_sec);
int domain_ask_set(Domain *d, const DomainState *state);
int domain_ask_remember(Domain *d, uint64_t overhead_bytes);
int domain_ask_entitle(Domain *d, const EntitlementChange *change);
void domain_close_channel(Domain *d);
/* Asks to read the definition as it is now or later. It is read about once a second at most. */
void domain_read(Domain *d);
/* Notes that a call begins to read the definition. */
void domain_reading(Domain *d);
/* Takes the outcome of the call from d->call. Returns false if the domain doesn't run, and no event said so. */
bool domain_call_done(Domain *d, CallKind kind);
/* Sends VIRT_DOMAIN_BUSY if the reason changed. */
void domain_report_busy(Domain *d);
/* The connection is lost: answers all waiting calls and closes the channel. */
void domain_lost(Domain *d);
void domains_tick(Virt *v, usec_t now_usec);
/* Sends VIRT_LISTED, once for each connection, if each domain was reported since, or can't be read. */
void domains_report_listed(Virt *v);
void domains_free(Virt *v);

/* shut-off.c */
void shut_offs_init(Virt *v);
void shut_offs_free(Virt *v);
/* Queues a request, which is freed with v. 0, or -EBUSY: too many wait. */
int shut_off_ask(Virt *v, ShutOff *s);
/* Fills in what the request asks for: found, n_found, n_matches, exact and nearest. Without the lock. */
int shut_off_find(ShutOff *s, virConnectPtr conn, char **ret_text);
/* The call for the first request returned: its outcome is in call. */
void shut_off_done(Virt *v);
/* The connection is lost: answers all that wait for their call. */
void shut_offs_lost(Virt *v);
/* The next answer, which the caller frees; NULL: none. */
ShutOff *shut_off_take(Virt *v);

/* calls.c */
extern const WorkersOps call_ops;

/* channel.c */
/* Opens the domain's channel on conn; channel_adopt() must follow. Without the lock. */
int channel_open(Virt *v, Conn *conn, virDomainPtr domain, const char *uuid, Channel **ret, char **ret_text);
/* Makes the opened channel the domain's; if it isn't wanted any more, closes it. */
void channel_adopt(Channel *ch, Domain *d, bool wanted);
/* The domain is about to be freed. */
void channel_forget(Domain *d);
/* See virt_channel_send() and virt_channel_was_read(). */
int channel_send(Channel *ch, const uint8_t *data, size_t length);
void channel_was_read(Channel *ch);
/* Closes it without an event. */
void channel_end(Channel *ch);
/* Closes it and sends VIRT_CHANNEL_CLOSED. */
void channel_fail(Channel *ch, int error, const char *text);
void channels_woken(void *virt); /* in the loop's thread, without the lock */
