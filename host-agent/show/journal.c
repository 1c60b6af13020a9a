/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes the log lines that have a MESSAGE_ID and fields, from notices. */

#include "host-agent/show/journal.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/units.h"

/* journalctl MESSAGE_ID=… finds each kind of line by these. They are documented in ballastd(8) and must never
 * change. */
#define MESSAGE_MOVE       "de7e4eac48da426fb5888f69b6670f31"
#define MESSAGE_WOULD_MOVE "e636b1d5a2f64c6ea2d9b80bef87b18f"
#define MESSAGE_STALLED    "9160e9bdeea046a18f68a7a93d34387b"
#define MESSAGE_DISTRESS   "e09aacc6347840979e00464c3e5ffc81"
#define MESSAGE_DROPPED    "2e4bb66da28c473ab89f26dcf2dbb72b"
#define MESSAGE_HURTING    "02f130e5f1374e328a09bec4ece977ea"
#define MESSAGE_GRANT      "8eeea7c9aa04450196d6593eb2f0e001"
#define MESSAGE_UNUSED     "b46078ead6ce47439cf4b95784511779"
#define MESSAGE_KSM        "84af8a8e431747efa3afccf232099617"
#define MESSAGE_LEVER      "6b38920c915c48e39336132606b3a53a"
#define MESSAGE_LIE        "70410f16a0394baab2bba16d1c1d8ca1"
#define MESSAGE_CRITICAL   "1225e00b0077422e9331e82f6e35bbae"
#define MESSAGE_STUCK      "035622b1b0e04099ab1facf713d06311"
#define MESSAGE_CHANGED    "98d014975c33403da4033b0f0971ecec"
#define MESSAGE_OVER       "8d5b7b500c004427b0104b662721e035"
#define MESSAGE_OOM        "13af961b679e44c187888d85398e6f60"

#define NUMBER_MAX 24 /* a 64-bit number in decimal, with the NUL */
#define ACTOR_MAX  128

/* The fields of a line about a guest, and those of a change of its size. */
typedef struct Fields {
    LogField fields[7];
    size_t n;
    char from[NUMBER_MAX], to[NUMBER_MAX], available[NUMBER_MAX];
} Fields;

static void add(Fields *f, const char *key, const char *value)
{
    f->fields[f->n++] = (LogField){key, value};
}

static void fields_init(Fields *f, const Notice *n)
{
    f->n = 0;
    add(f, "BALLAST_VM", n->name);
    add(f, "BALLAST_UUID", n->uuid);
}

static void add_change(Fields *f, const Notice *n)
{
    snprintf(f->from, sizeof(f->from), "%" PRIu64, n->from_bytes);
    snprintf(f->to, sizeof(f->to), "%" PRIu64, n->to_bytes);
    add(f, "BALLAST_FROM_BYTES", f->from);
    add(f, "BALLAST_TO_BYTES", f->to);
    if (n->host_total_bytes > 0) {
        snprintf(f->available, sizeof(f->available), "%.0f", n->host_available_bytes);
        add(f, "BALLAST_HOST_AVAILABLE_BYTES", f->available);
    }
}

/* "18.2%" of the host; "unknown". */
static const char *available(char buf[static UNITS_FORMAT_MAX], const Notice *n)
{
    if (n->host_total_bytes > 0)
        return format_ratio(buf, n->host_available_bytes / n->host_total_bytes);
    return "unknown";
}

/* "web1: 1.5 GiB → 1.2 GiB: gives free memory (balloon.policy:41); host available 18.2%". A move that
 * continues the last one is logged at debug. */
static void log_move(const Notice *n)
{
    char from[UNITS_FORMAT_MAX], to[UNITS_FORMAT_MAX], ratio[UNITS_FORMAT_MAX];
    bool observed = n->kind == NOTICE_WOULD_MOVE;
    Fields f;

    fields_init(&f, n);
    add_change(&f, n);
    add(&f, "BALLAST_REASON", n->text);
    add(&f, "BALLAST_RULE", guard_rule_to_string(n->rule));
    log_fields(n->further ? LOG_DEBUG : LOG_INFO, observed ? MESSAGE_WOULD_MOVE : MESSAGE_MOVE, f.fields, f.n,
               "%s: %s%s → %s: %s; host available %s", n->name, observed ? "would be " : "",
               format_size(from, n->from_bytes), format_size(to, n->to_bytes), n->text, available(ratio, n));
}

/* "web1: asked to reclaim 16 MiB: hands back cold page cache (balloon.policy:41); host available 3.2%". */
static void log_lever(const Notice *n)
{
    char wanted[UNITS_FORMAT_MAX], ratio[UNITS_FORMAT_MAX];
    Fields f;

    fields_init(&f, n);
    add(&f, "BALLAST_LEVER", n->lever.name);
    add(&f, "BALLAST_REASON", n->text);
    log_fields(n->further ? LOG_DEBUG : LOG_INFO, MESSAGE_LEVER, f.fields, f.n,
               "%s: asked to %s %s: %s; host available %s", n->name, n->lever.name,
               format_size(wanted, n->lever.wanted_bytes), n->text, available(ratio, n));
}

static void log_lever_ended(const Notice *n)
{
    const NoticeLever *l = &n->lever;
    char got[UNITS_FORMAT_MAX], back[UNITS_FORMAT_MAX], took[UNITS_FORMAT_MAX], wait[UNITS_FORMAT_MAX];

    if (l->why == LEVER_END_FAILED)
        log_full(
            n->further ? LOG_DEBUG : LOG_WARNING,
            "%s: its agent failed to %s: %s; asked again in %s. Its log (journalctl -u ballast-guestd) says more",
            n->name, l->name, l->error ? strerror(l->error) : "no reason given",
            format_duration(wait, n->wait_usec));
    else
        log_debug("%s: %s got %s (%s): %s read back, %s of CPU", n->name, l->name,
                  format_size(got, l->got_bytes), lever_end_to_string(l->why),
                  format_size(back, l->refaulted_bytes), format_duration(took, l->cpu_usec));
}

static void log_levers_lie(const Notice *n)
{
    char wait[UNITS_FORMAT_MAX];
    Fields f;

    fields_init(&f, n);
    log_fields(
        LOG_WARNING, MESSAGE_LIE, f.fields, f.n,
        "%s: says that it handed back memory, but its QEMU holds as much as before; it isn't asked again for %s. Is free page reporting on, and is its agent the one that was installed?",
        n->name, format_duration(wait, n->wait_usec));
}

static void log_stalled(const Notice *n)
{
    char at[UNITS_FORMAT_MAX], from[UNITS_FORMAT_MAX], to[UNITS_FORMAT_MAX], wait[UNITS_FORMAT_MAX];
    Fields f;

    fields_init(&f, n);
    add_change(&f, n);
    log_fields(
        n->further ? LOG_DEBUG : LOG_WARNING, MESSAGE_STALLED, f.fields, f.n,
        "%s: its balloon is stuck at %s on the way from %s to %s; not tried again for %s. Is virtio_balloon loaded in the guest, and can the guest spare that much?",
        n->name, format_size(at, n->current_bytes), format_size(from, n->from_bytes),
        format_size(to, n->to_bytes), format_duration(wait, n->wait_usec));
}

static void log_distress(const Notice *n)
{
    const char *cause = distress_cause_to_string(n->cause);
    char size[UNITS_FORMAT_MAX], full[UNITS_FORMAT_MAX];
    Fields f;

    fields_init(&f, n);
    add(&f, "BALLAST_REASON", cause);
    log_fields(
        LOG_NOTICE, MESSAGE_DISTRESS, f.fields, f.n,
        "%s: in distress (%s) with %s of its %s: it isn't shrunk, and gets memory back as far as the host has room",
        n->name, cause, format_size(size, n->current_bytes), format_size(full, n->full_bytes));
}

static void log_dropped(const Notice *n)
{
    char wait[UNITS_FORMAT_MAX];
    Fields f;

    fields_init(&f, n);
    add(&f, "BALLAST_REASON", n->text);
    log_fields(n->further ? LOG_DEBUG : LOG_WARNING, MESSAGE_DROPPED, f.fields, f.n,
               "%s: ignoring its agent for %s: %s; using libvirt's balloon stats meanwhile", n->name,
               format_duration(wait, n->wait_usec), n->text);
}

static void log_hurting(const Notice *n)
{
    char size[UNITS_FORMAT_MAX], restore[UNITS_FORMAT_MAX], hold[UNITS_FORMAT_MAX];
    const char *cause = distress_cause_to_string(n->cause);
    Fields f;

    fields_init(&f, n);
    add_change(&f, n);
    add(&f, "BALLAST_REASON", cause);
    log_fields(
        LOG_NOTICE, MESSAGE_HURTING, f.fields, f.n,
        "%s: hurt (%s) by being shrunk to %s: it returns to %s as far as the host has room, and isn't shrunk for %s",
        n->name, cause, format_size(size, n->current_bytes), format_size(restore, n->to_bytes),
        format_duration(hold, n->wait_usec));
}

static void log_grant(const Notice *n)
{
    char from[UNITS_FORMAT_MAX], to[UNITS_FORMAT_MAX];
    const char *cause = distress_cause_to_string(n->cause);
    Fields f;

    fields_init(&f, n);
    add_change(&f, n);
    add(&f, "BALLAST_REASON", cause);
    log_fields(
        LOG_NOTICE, MESSAGE_GRANT, f.fields, f.n,
        "%s: in distress (%s) while the host is short of memory: it gets memory taken from other guests, first %s → %s. Later ballastd checks whether it uses that",
        n->name, cause, format_size(from, n->from_bytes), format_size(to, n->to_bytes));
}

static void log_unused_grant(const Notice *n)
{
    char size[UNITS_FORMAT_MAX], wait[UNITS_FORMAT_MAX], times[NUMBER_MAX];
    Fields f;

    snprintf(times, sizeof(times), "%u", n->count);
    fields_init(&f, n);
    add(&f, "BALLAST_UNUSED_GRANTS", times);
    log_fields(
        LOG_NOTICE, MESSAGE_UNUSED, f.fields, f.n,
        "%s: used little of the memory taken from other guests for it (now %s); nothing more will be taken for it for %s (%s unused grants so far)",
        n->name, format_size(size, n->current_bytes), format_duration(wait, n->wait_usec), times);
}

static void log_ksm_failure(const Notice *n)
{
    const NoticeKsm *k = &n->ksm;
    const char *semicolon = k->hint[0] ? "; " : "";

    if (k->outcome == KSM_UNREMEMBERED)
        log_warning_errno(
            k->error,
            "Cannot save KSM's original settings: %m; if ballastd is killed, KSM stays as ballastd set it");
    else if (k->outcome == KSM_REFUSED)
        log_warning_errno(k->error, "KSM: cannot set %s: %m%s%s (wanted: %s)", k->name, semicolon, k->hint,
                          n->text);
    else
        log_warning_errno(k->error, "KSM: cannot restore %s to %" PRId64 ": %m%s%s", k->name, k->to,
                          semicolon, k->hint);
}

/* "KSM: pages_to_scan 100 → 400: more is … (ksm.policy:31); host available 18.2%" */
static void log_ksm(const Notice *n)
{
    const NoticeKsm *k = &n->ksm;
    char from[NUMBER_MAX], to[NUMBER_MAX], ratio[UNITS_FORMAT_MAX];
    const char *reason = k->outcome == KSM_CHANGED    ? n->text
                         : k->outcome == KSM_RESTORED ? "restored"
                                                      : "changed by somebody else, and kept";
    const LogField fields[] = {
        {"BALLAST_KSM", k->name}, {"BALLAST_FROM", from}, {"BALLAST_TO", to}, {"BALLAST_REASON", reason}};

    snprintf(from, sizeof(from), "%" PRId64, k->from);
    snprintf(to, sizeof(to), "%" PRId64, k->outcome == KSM_FOREIGN ? k->from : k->to);
    switch (k->outcome) {
    case KSM_CHANGED:
        log_fields(LOG_INFO, MESSAGE_KSM, fields, ELEMENTSOF(fields), "KSM: %s; host available %s", reason,
                   available(ratio, n));
        return;
    case KSM_RESTORED:
        log_fields(LOG_INFO, MESSAGE_KSM, fields, ELEMENTSOF(fields),
                   "KSM: %s %s → %s: restored to its value before Ballast", k->name, from, to);
        return;
    case KSM_FOREIGN:
        log_fields(LOG_NOTICE, MESSAGE_KSM, fields, ELEMENTSOF(fields),
                   "KSM: %s is %s, which somebody else set; it is kept (before Ballast it was %" PRId64 ")",
                   k->name, from, k->to);
        return;
    case KSM_REFUSED:
    case KSM_STUCK:
    case KSM_UNREMEMBERED:
        log_ksm_failure(n);
        return;
    }
}

#define PLACE_MAX (NODE_SET_TEXT_MAX + 16)

/* "The host is", "Node 0 is", "Nodes 0-1 are" */
static const char *place(char buf[static PLACE_MAX], const NoticeCritical *c)
{
    char nodes[NODE_SET_TEXT_MAX];
    bool several = (c->nodes & (c->nodes - 1)) != 0;

    if (c->nodes == 0)
        return "The host is";
    snprintf(buf, PLACE_MAX, "Node%s %s %s", several ? "s" : "", node_set_format(nodes, c->nodes),
             several ? "are" : "is");
    return buf;
}

/* "The host is critical: 1.20 GiB available (3.1%), below the critical threshold of 2.00 GiB; guests can give 800 MiB" */
static void log_critical(const Notice *n)
{
    char bytes[UNITS_FORMAT_MAX], ratio[UNITS_FORMAT_MAX], threshold[UNITS_FORMAT_MAX],
        give[UNITS_FORMAT_MAX], where[PLACE_MAX], nodes[NODE_SET_TEXT_MAX];
    const NoticeCritical *c = &n->critical;
    bool observed = n->mode != GUEST_MODE_AUTO, stuck = n->kind == NOTICE_CRITICAL_STUCK;
    char fields_available[NUMBER_MAX], fields_threshold[NUMBER_MAX], fields_give[NUMBER_MAX];
    const LogField fields[] = {{"BALLAST_HOST_AVAILABLE_BYTES", fields_available},
                               {"BALLAST_THRESHOLD_BYTES", fields_threshold},
                               {"BALLAST_MODE", guest_mode_to_string(n->mode)},
                               {"BALLAST_CAN_GIVE_BYTES", stuck ? NULL : fields_give},
                               {"BALLAST_REASON", stuck ? n->text : NULL},
                               {"BALLAST_NODES", c->nodes ? node_set_format(nodes, c->nodes) : NULL}};

    snprintf(fields_available, sizeof(fields_available), "%.0f", n->host_available_bytes);
    snprintf(fields_threshold, sizeof(fields_threshold), "%" PRIu64, c->threshold_bytes);
    snprintf(fields_give, sizeof(fields_give), "%" PRIu64, c->can_give_bytes);
    if (stuck)
        log_fields(
            LOG_WARNING, MESSAGE_STUCK, fields, ELEMENTSOF(fields),
            "%s still critical, and guests give nothing more%s: %s. Stop or migrate a guest, or lower the guests' minimums",
            place(where, c), observed ? " (in mode observe, nothing was moved)" : "", n->text);
    else
        log_fields(LOG_WARNING, MESSAGE_CRITICAL, fields, ELEMENTSOF(fields),
                   "%s critical: %s available (%s), below the critical threshold of %s; guests %s %s%s",
                   place(where, c), format_size(bytes, (uint64_t) n->host_available_bytes),
                   available(ratio, n), format_size(threshold, c->threshold_bytes),
                   observed ? "could give" : "can give", format_size(give, c->can_give_bytes),
                   observed ? ", but in mode observe nothing is moved (ballastctl mode auto changes that)"
                            : "");
}

static void log_critical_over(const Notice *n)
{
    const NoticeCritical *c = &n->critical;
    char lasted[UNITS_FORMAT_MAX], lowest[UNITS_FORMAT_MAX], taken[UNITS_FORMAT_MAX], back[UNITS_FORMAT_MAX],
        ratio[UNITS_FORMAT_MAX], numbers[6][NUMBER_MAX], did[256], where[PLACE_MAX], nodes[NODE_SET_TEXT_MAX];
    const uint64_t values[] = {c->lowest_bytes, c->lasted_usec,       c->moves,
                               c->taken_bytes,  c->handed_back_bytes, c->guests};
    const LogField fields[] = {{"BALLAST_LOWEST_BYTES", numbers[0]},
                               {"BALLAST_LASTED_USEC", numbers[1]},
                               {"BALLAST_MOVES", numbers[2]},
                               {"BALLAST_TAKEN_BYTES", numbers[3]},
                               {"BALLAST_HANDED_BACK_BYTES", numbers[4]},
                               {"BALLAST_GUESTS", numbers[5]},
                               {"BALLAST_MODE", guest_mode_to_string(n->mode)},
                               {"BALLAST_NODES", c->nodes ? node_set_format(nodes, c->nodes) : NULL}};

    for (size_t i = 0; i < ELEMENTSOF(values); i++)
        snprintf(numbers[i], sizeof(numbers[i]), "%" PRIu64, values[i]);
    if (n->mode == GUEST_MODE_AUTO)
        snprintf(
            did, sizeof(did),
            "%zu guest%s gave memory in %zu move%s: balloons took %s, and guests' kernels handed back %s",
            c->guests, c->guests == 1 ? "" : "s", c->moves, c->moves == 1 ? "" : "s",
            format_size(taken, c->taken_bytes), format_size(back, c->handed_back_bytes));
    else
        snprintf(did, sizeof(did), "in mode observe nothing was moved");
    log_fields(LOG_NOTICE, MESSAGE_OVER, fields, ELEMENTSOF(fields),
               "%s no longer critical (available %s): %s %s, with %s available at the lowest; %s",
               place(where, c), available(ratio, n), c->nodes ? "that lasted" : "it was for",
               format_duration(lasted, c->lasted_usec), format_size(lowest, c->lowest_bytes), did);
}

static void log_oom_kills(const Notice *n)
{
    char bytes[UNITS_FORMAT_MAX], ratio[UNITS_FORMAT_MAX], kills[NUMBER_MAX], available_bytes[NUMBER_MAX];
    const LogField fields[] = {{"BALLAST_OOM_KILLS", kills},
                               {"BALLAST_HOST_AVAILABLE_BYTES", available_bytes}};
    bool one = n->oom.kills == 1;

    snprintf(kills, sizeof(kills), "%" PRIu64, n->oom.kills);
    snprintf(available_bytes, sizeof(available_bytes), "%.0f", n->host_available_bytes);
    log_fields(
        LOG_WARNING, MESSAGE_OOM, fields, ELEMENTSOF(fields),
        "The host's kernel killed %s process%s because memory ran out (journalctl -k says which); %s available (%s). %s",
        kills, one ? "" : "es", format_size(bytes, (uint64_t) n->host_available_bytes), available(ratio, n),
        n->oom.short_of_memory
            ? "The host is short of memory: a guest whose QEMU was killed is gone; stop or migrate a guest, or lower the guests' minimums"
            : "The host has enough, so a service or container met its own limit (MemoryMax=), or the NUMA node that it is bound to was full: raise that limit, or move guests to another node");
}

/* "root (process 77, logged in as user 1000)" */
static const char *actor(char buf[static ACTOR_MAX], const Actor *a)
{
    char user[32], pid[32] = "", login[48] = "";

    if (a->uid == 0)
        snprintf(user, sizeof(user), "root");
    else if (a->uid == (uid_t) -1)
        snprintf(user, sizeof(user), "an unknown user");
    else
        snprintf(user, sizeof(user), "user %u", (unsigned) a->uid);
    if (a->pid > 0)
        snprintf(pid, sizeof(pid), " (process %d", (int) a->pid);
    if (a->login_uid != (uid_t) -1 && a->login_uid != a->uid)
        snprintf(login, sizeof(login), "%slogged in as user %u", a->pid > 0 ? ", " : " (",
                 (unsigned) a->login_uid);
    snprintf(buf, ACTOR_MAX, "%s%s%s%s", user, pid, login, pid[0] || login[0] ? ")" : "");
    return buf;
}

/* "web1: min default → 1.00 GiB, asked by root (process 77)" */
static void log_changed(const Notice *n)
{
    const NoticeChange *c = &n->change;
    char by[ACTOR_MAX], uid[NUMBER_MAX], login[NUMBER_MAX], pid[NUMBER_MAX],
        what[NOTICE_NAME_MAX + 2 * NOTICE_VALUE_MAX + 64];
    const char *result = n->error == 0 ? "done" : n->error == -EACCES ? "refused" : "failed";
    const LogField fields[] = {{"BALLAST_VM", n->name[0] ? n->name : NULL},
                               {"BALLAST_UUID", n->uuid[0] ? n->uuid : NULL},
                               {"BALLAST_CHANGE", c->what},
                               {"BALLAST_FROM", c->from},
                               {"BALLAST_TO", c->to},
                               {"BALLAST_RESULT", result},
                               {"BALLAST_UID", c->by.uid == (uid_t) -1 ? NULL : uid},
                               {"BALLAST_LOGIN_UID", c->by.login_uid == (uid_t) -1 ? NULL : login},
                               {"BALLAST_PID", c->by.pid > 0 ? pid : NULL}};

    snprintf(uid, sizeof(uid), "%u", (unsigned) c->by.uid);
    snprintf(login, sizeof(login), "%u", (unsigned) c->by.login_uid);
    snprintf(pid, sizeof(pid), "%d", (int) c->by.pid);
    snprintf(what, sizeof(what), "%s%s%s%s%s%s%s", n->name, n->name[0] ? ": " : "", c->what,
             c->from[0] ? " " : "", c->from, c->to[0] ? " → " : "", c->to);
    if (n->error == 0)
        log_fields(LOG_NOTICE, MESSAGE_CHANGED, fields, ELEMENTSOF(fields), "%s, asked by %s", what,
                   actor(by, &c->by));
    else if (n->error == -EACCES)
        log_fields(
            LOG_NOTICE, MESSAGE_CHANGED, fields, ELEMENTSOF(fields),
            "%s refused: asked by %s; only root and the user that ballastd runs as may change anything", what,
            actor(by, &c->by));
    else
        log_fields(LOG_WARNING, MESSAGE_CHANGED, fields, ELEMENTSOF(fields), "%s failed: %s; asked by %s",
                   what, n->text[0] ? n->text : strerror(-n->error), actor(by, &c->by));
}

void journal_hear(void *userdata, const Notice *n)
{
    switch (n->kind) {
    case NOTICE_MOVE:
    case NOTICE_WOULD_MOVE:
        log_move(n);
        return;
    case NOTICE_STALLED:
        log_stalled(n);
        return;
    case NOTICE_DISTRESS:
        log_distress(n);
        return;
    case NOTICE_HURTING:
        log_hurting(n);
        return;
    case NOTICE_GRANT:
        log_grant(n);
        return;
    case NOTICE_UNUSED_GRANT:
        log_unused_grant(n);
        return;
    case NOTICE_LEVER:
        log_lever(n);
        return;
    case NOTICE_LEVER_ENDED:
        log_lever_ended(n);
        return;
    case NOTICE_LEVERS_LIE:
        log_levers_lie(n);
        return;
    case NOTICE_AGENT_DROPPED:
        log_dropped(n);
        return;
    case NOTICE_KSM:
        log_ksm(n);
        return;
    case NOTICE_CHANGED:
        log_changed(n);
        return;
    case NOTICE_CRITICAL:
    case NOTICE_CRITICAL_STUCK:
        log_critical(n);
        return;
    case NOTICE_CRITICAL_OVER:
        log_critical_over(n);
        return;
    case NOTICE_OOM:
        log_oom_kills(n);
        return;
    /* These have no MESSAGE_ID, and are logged where they happen. */
    case NOTICE_MODE:
    case NOTICE_GUEST_ADDED:
    case NOTICE_GUEST_REMOVED:
    case NOTICE_ENTITLED:
    case NOTICE_SHUT_OFF:
    case NOTICE_LIBVIRT_LOST:
    case NOTICE_KIND_MAX:
    case NOTICE_KIND_INVALID:
        return;
    }
}
