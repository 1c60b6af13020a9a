/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of this folder share. One lock, Virt.lock, guards everything here, queue and workers
 * included; libvirt is never called with it held, since libvirt calls back. Functions here are called with it
 * held, except where they say otherwise.
 *
 * From the top, each calling only those below it (and through hooks those above):
 *
 *   virt.c        the interface: requests in, events out, the clock
 *   calls.c       the calls that workers make for a domain
 *   events.c      libvirt's events
 *   session.c     connecting, losing the connection, and connecting again
 *   domain.c      the domains that are known, and what is reported of them
 *   channel.c     a domain's channel as a stream
 *   connection.c  one connection: opened, watched, closed
 *   core.c        how long Virt lives, its way to the daemon's loop, libvirt's errors
 *   workers.c, queue.c, loop.c, thread.c   free of domains and connections */

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdatomic.h>
#include <systemd/sd-event.h>

#include "host-agent/libvirt/loop.h"
#include "host-agent/libvirt/queue.h"
#include "host-agent/libvirt/virt-event.h"
#include "host-agent/libvirt/workers.h"

typedef struct Virt Virt;

/* libvirt lists no more domains at once. */
#define DOMAINS_MAX  16384U
#define DOMAINS_HASH 4096U

/* The kinds of calls, the most urgent first. */
typedef enum CallKind {
    CALL_SET,
    CALL_ENTITLE,
    CALL_DEFINITION,
    CALL_STATS,
    CALL_CHANNEL,
    CALL_KIND_MAX,
} CallKind;

_Static_assert((unsigned) CALL_KIND_MAX <= 32, "kinds are bits");
#define CALLS_ALL ((1U << CALL_KIND_MAX) - 1)

/* Connections by purpose; besides there is one for events, which has no calls and so is never held up. */
typedef enum LaneId {
    LANE_SET,
    LANE_QUERY,
    LANE_CHANNEL,
    LANE_MAX,
} LaneId;

_Static_assert((unsigned) LANE_MAX <= LANES_MAX, "lanes for all");

/* A connection carries one call at a time. libvirt's client would take more, but a thread that comes second
 * leaves it to the first to send its request, and with libvirt 9.0 it can happen that the first doesn't
 * notice until something arrives: seen as calls to domains in best health that hung for five seconds, until
 * the next keep-alive, next to a call to one that was stopped. */
#define SLOTS_MAX 6U

typedef struct Slot {
    LaneId lane;
    struct Conn *conn; /* NULL: being replaced */
    bool taken;        /* by a call */
    usec_t retry_usec; /* when to try again to open it; 0: not */
} Slot;

/* connection.c writes it. */
typedef struct Conn {
    Virt *virt;
    virConnectPtr ptr;
    atomic_uint refs;    /* of this struct: its owner, and each callback that is registered */
    unsigned uses;       /* calls under way and streams: while there are any it stays open */
    unsigned generation; /* the attempt to connect that it belongs to */
    void (*on_lost)(Virt *v, const char *why); /* with the lock, while it is current */
    bool retired;                              /* to be closed when it isn't used any more */
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
    Channel *ending; /* being closed: none is opened until it is */
} DomainChannel;

/* channel.c writes it. */
struct Channel {
    Virt *virt;
    Domain *domain; /* NULL: gone */
    Conn *conn;
    virStreamPtr stream; /* once attached, used by the loop's thread alone */
    char uuid[37];
    bool attached, dead, queued;
    uint8_t *out; /* to be sent, up to CHANNEL_OUT_MAX */
    size_t out_length;
    size_t unread; /* see channel.c */
    struct Channel *next;
    Job job; /* to end the stream */
};

/* A call under way: its arguments and its outcome. calls.c writes it; without the lock, but only the worker that
 * makes the call uses it until the call returns. */
typedef struct Call {
    Conn *conn;
    DomainState state;
    EntitlementChange entitling;
    unsigned period_sec;
    unsigned changes; /* Domain.changes when it began */
    int error;
    char *text; /* libvirt's message */
    bool vanished;
    bool job_known;
    const char *job;
    bool paused, shutting_down;
    bool remembered; /* the state metadata was written */
    bool forgetful;  /* it couldn't be */
    DomainInfo *info;
    VirtStats stats;
    Channel *channel;
} Call;

/* What keeps a domain from being moved. */
typedef struct DomainBusy {
    bool paused, shutting_down, stuck;
    unsigned changes;     /* of paused and shutting_down by events */
    const char *job;      /* "migrating", "saving" or NULL */
    const char *reported; /* what was last reported of all this */
} DomainBusy;

/* What calls are to do. */
typedef struct DomainAsked {
    DomainState state;
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
    bool gone;                 /* not in the table any more, but a call is under way */
    unsigned generation;       /* the last attempt to connect in which it was seen */
    unsigned reported_session; /* the session in which it was last reported as added; 0: never */
    usec_t definition_usec;    /* last read */
    usec_t due_usec;           /* to be read again then; 0: no */
    bool unreadable;           /* reported that it can't be read */
    bool has_period;           /* of stats; or setting one failed */
    DomainBusy busy;
    DomainAsked asked;
    DomainState remembered; /* as the metadata says */
    DomainChannel channel;
    bool channel_unwanted; /* closed while it was being opened */
    Call call;
    Domain *hash_next, *prev, *next;
};

/* All domains; domain.c writes it. */
typedef struct Domains {
    Domain *hash[DOMAINS_HASH], *first;
    size_t n;
    bool any_due;
    bool too_many, forgetful; /* logged: there are too many; libvirt can't store metadata */
    uint64_t failures;        /* calls that failed */
} Domains;

typedef enum SessionState {
    SESSION_CLOSED,
    SESSION_OPENING,
    SESSION_OPEN,
} SessionState;

/* The connections in use; session.c writes it. */
typedef struct Session {
    SessionState state;
    unsigned generation;             /* attempts to connect */
    unsigned number;                 /* successful ones */
    usec_t retry_usec, backoff_usec; /* to connect again */
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
    Channel *work; /* for the loop's thread */
} Channels;

/* virt.c writes it, the embedded structs aside: each is written by the file named at its type. */
struct Virt {
    pthread_mutex_t lock;
    pthread_cond_t closed; /* a connection was closed, or an attempt to open one ended */
    atomic_uint refs;      /* its user, the workers, the loop, and each connection */
    char *uri;
    void (*ended)(Virt *v); /* the last reference is gone */
    VirtHandler handler;
    void *userdata;
    sd_event_source *queue_source, *timer;
    Queue *queue;
    Workers *workers;
    Loop *loop;
    bool stopped, ticking;
    bool crowded; /* logged: domains don't answer */
    Session session;
    Connections connections;
    Domains domains;
    Channels channels;
};

/* core.c */
Virt *virt_ref(Virt *v);
Virt *virt_unref(Virt *v); /* without the lock */
DEFINE_CLEANUP_FUNC(Virt, virt_unref);
/* Makes the daemon's loop look at the clock, where it doesn't anyway. */
void virt_need_tick(Virt *v);
void virt_push(Virt *v, Domain *d, const VirtEvent *event);
/* -errno for libvirt's last error in this thread; *ret_text (may be NULL): its message, to be freed. No
 * lock. */
int virt_last_error(char **ret_text);

/* session.c */
void session_init(Virt *v);
void session_open(Virt *v);
/* Everything on it is over. Tells so, and tries again later. */
void session_lost(Virt *v, const char *why);
void session_tick(Virt *v, usec_t now_usec);
/* The lane's connection for a call that begins, and what is to be done when the call returns. */
Conn *session_take(Virt *v, LaneId lane);
void session_give_back(Virt *v, Conn *conn);
/* The call on it was left behind: others get a fresh one in its place. */
void session_replace(Virt *v, Conn *conn);

/* connection.c */
/* No lock. on_lost is called when libvirt closes it, on whatever thread finds out. */
int conn_open(Virt *v, unsigned generation, void (*on_lost)(Virt *v, const char *why), Conn **ret,
              char **ret_text);
/* Makes libvirt call callback for that event, with c as userdata, until c is closed. Returns false on failure:
 * see virt_last_error(). No lock. */
bool conn_subscribe(Conn *c, int event, virConnectDomainEventGenericCallback callback);
void conn_use(Conn *c);
void conn_unuse(Conn *c);
/* Closes it as soon as nothing uses it; the owner's reference goes with it. NULL is fine. */
void conn_retire(Conn *c);
/* Whether what it says is to be heard. */
bool conn_is_current(const Conn *c);

/* events.c */
int events_register(Conn *c, char **ret_text); /* no lock */

/* domain.c */
Domain *domain_find(Virt *v, const char *uuid);
Domain *domain_add(Virt *v, const char *uuid, int id); /* NULL: no memory or too many */
void domain_gone(Domain *d, const char *why);
void domain_destroy(Domain *d);
/* The present attempt to connect sees it. */
void domain_seen(Domain *d);
/* An event says so. */
void domain_set_running(Domain *d, bool paused, bool shutting_down);
void domain_set_stuck(Domain *d, bool stuck);
/* Each asks for a call, as virt.h says. */
int domain_ask_stats(Domain *d, unsigned period_sec);
int domain_ask_set(Domain *d, const DomainState *state);
int domain_ask_entitle(Domain *d, const EntitlementChange *change);
void domain_close_channel(Domain *d);
/* Asks for its definition, as it is from now on; about once a second at most. */
void domain_read(Domain *d);
/* A call begins to read it. */
void domain_reading(Domain *d);
/* Takes what came of the call in d->call. Returns false where the domain turned out not to run. */
bool domain_call_done(Domain *d, CallKind kind);
void domain_report_busy(Domain *d);
/* The connection is lost: what was asked gets its answer. */
void domain_lost(Domain *d);
void domains_tick(Virt *v, usec_t now_usec);
void domains_free(Virt *v);

/* calls.c */
extern const WorkersOps call_ops;

/* channel.c */
/* Without the lock. */
int channel_open(Virt *v, Conn *conn, virDomainPtr domain, const char *uuid, Channel **ret, char **ret_text);
/* What was opened is the domain's from now on; where it isn't wanted any more it is closed. */
void channel_adopt(Channel *ch, Domain *d, bool wanted);
/* The domain is no more. */
void channel_forget(Domain *d);
int channel_send(Channel *ch, const uint8_t *data, size_t length);
void channel_was_read(Channel *ch);
/* Closes it; nothing more is reported of it. */
void channel_end(Channel *ch);
/* Closes it and reports that. */
void channel_fail(Channel *ch, int error, const char *text);
void channels_woken(void *virt); /* in the loop's thread, without the lock */
