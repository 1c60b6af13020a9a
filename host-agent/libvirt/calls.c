/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes the libvirt calls for a domain, and those about domains that are shut off. A call begins and ends with the lock held. In between a worker makes
 * it without the lock; meanwhile only that worker uses Domain.call, and nobody changes the domain's UUID and
 * remembered state. */

#include <string.h>

#include "base/log.h"
#include "base/units.h"
#include "host-agent/libvirt/virt-internal.h"

static void domain_freep(virDomainPtr *domain)
{
    if (*domain)
        virDomainFree(*domain);
}

static unsigned lane_of(unsigned kind)
{
    static const LaneId lanes[CALL_KIND_MAX] = {
        [CALL_SET] = LANE_SET,          [CALL_ENTITLE] = LANE_SET, [CALL_REMEMBER] = LANE_SET,
        [CALL_DEFINITION] = LANE_QUERY, [CALL_STATS] = LANE_QUERY, [CALL_CHANNEL] = LANE_CHANNEL,
        [CALL_FIND] = LANE_QUERY,
    };

    return lanes[kind];
}

/* Returns true if libvirt's last error says that the domain doesn't exist or doesn't run. That is no
 * failure. */
static bool has_vanished(void)
{
    int code = virGetLastErrorCode();

    return code == VIR_ERR_NO_DOMAIN || code == VIR_ERR_OPERATION_INVALID;
}

/* Returns true if the connection is lost: then a failed call says nothing about the domain. Doesn't ask
 * libvirtd. Resets libvirt's last error. */
static bool is_lost(const Call *call)
{
    return virConnectIsAlive(call->conn->ptr) != 1;
}

static void call_failed(Call *call)
{
    call->vanished = has_vanished();
    call->error = virt_last_error(&call->text);
    if (!call->vanished && is_lost(call))
        call->error = -ENOTCONN;
}

static void call_refuse(Call *call, int error, const char *text)
{
    call->error = error;
    call->text = strdup(text);
}

static const char *job_name(int operation)
{
    switch (operation) {
    case VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN:
    case VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT:
        return "migrating";
    case VIR_DOMAIN_JOB_OPERATION_SAVE:
    case VIR_DOMAIN_JOB_OPERATION_RESTORE:
    case VIR_DOMAIN_JOB_OPERATION_SNAPSHOT:
    case VIR_DOMAIN_JOB_OPERATION_SNAPSHOT_REVERT:
    case VIR_DOMAIN_JOB_OPERATION_DUMP:
        return "saving";
    default: /* others, such as a backup, don't mind changes of the memory */
        return NULL;
    }
}

/* Finds out if the domain is being migrated or saved. libvirt sends no event when either begins, so every
 * call asks, except the one that opens a channel. QEMU has to answer only if there is a job.
 * (virDomainGetControlInfo() is cheaper, but doesn't see a job that is waiting for QEMU.) */
static void find_job(Call *call, virDomainPtr domain)
{
    int type, n = 0, operation = VIR_DOMAIN_JOB_OPERATION_UNKNOWN;
    virTypedParameterPtr params = NULL;

    if (virDomainGetJobStats(domain, &type, &params, &n, 0) < 0)
        return;
    if (type != VIR_DOMAIN_JOB_NONE)
        (void) virTypedParamsGetInt(params, n, VIR_DOMAIN_JOB_OPERATION, &operation);
    virTypedParamsFree(params, n);
    call->job = job_name(operation);
    call->job_known = true;
}

/* Returns true if another client's call occupies the domain. find_job() would then wait for that call;
 * reading the definition doesn't. */
static bool is_occupied(virDomainPtr domain)
{
    virDomainControlInfo control;

    return virDomainGetControlInfo(domain, &control, 0) < 0 || control.state == VIR_DOMAIN_CONTROL_OCCUPIED ||
           control.state == VIR_DOMAIN_CONTROL_ERROR;
}

static void set_remembered(Call *call, virDomainPtr domain, const DomainState *state)
{
    _cleanup_free_ char *xml = NULL;

    if (state->sent_bytes > 0 || state->overhead_bytes > 0) {
        xml = domain_state_xml(state);
        if (!xml)
            return;
    }
    call->remembered = virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, xml, STATE_KEY, STATE_URI,
                                            VIR_DOMAIN_AFFECT_LIVE) >= 0;
    call->forgetful = !call->remembered && !has_vanished() && !is_lost(call);
}

/* Refuses the call if there is a job. libvirt would let the call wait up to half a minute for the job to end,
 * and then refuse it. */
static bool refused_for_job(Call *call, virDomainPtr domain)
{
    find_job(call, domain);
    if (!call->job_known || !call->job)
        return false;
    call_refuse(call, -EBUSY, "it is being migrated or saved");
    return true;
}

static void run_set(Domain *d, virDomainPtr domain)
{
    Call *call = &d->call;

    if (refused_for_job(call, domain))
        return;
    /* First, so that a target is never in force without a record that ballastd sent it. */
    if (!domain_state_equal(&d->remembered, &call->state))
        set_remembered(call, domain, &call->state);
    if (virDomainSetMemoryFlags(domain, (unsigned long) (call->state.sent_bytes / KIB),
                                VIR_DOMAIN_AFFECT_LIVE) >= 0)
        return;
    call_failed(call);
    if (call->remembered) {
        bool forgetful = call->forgetful;

        set_remembered(call, domain, &d->remembered);
        call->remembered = false;
        call->forgetful = forgetful;
    }
}

static void run_remember(Domain *d, virDomainPtr domain)
{
    if (!refused_for_job(&d->call, domain))
        set_remembered(&d->call, domain, &d->call.state);
}

/* Reads the domain's present entitlement, of the running one or of the definition. Someone may just have changed it with virsh; a change based
 * on the last reported entitlement would undo that. */
static int read_granted(Call *call, virDomainPtr domain, unsigned where, uint64_t maximum_bytes,
                        Entitlement *ret)
{
    _cleanup_free_ char *xml =
        virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, ENTITLEMENT_URI, where);

    *ret = ENTITLEMENT_NONE;
    if (xml)
        return domain_granted_parse(xml, maximum_bytes, ret);
    if (virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_METADATA)
        return 0;
    call_failed(call);
    return call->error;
}

/* running: write it into the running domain, too. */
static void write_entitlement(Call *call, virDomainPtr domain, bool running)
{
    _cleanup_free_ char *xml = NULL;
    unsigned live = running ? VIR_DOMAIN_AFFECT_LIVE : 0;
    char why[ENTITLEMENT_WHY_MAX];
    uint64_t maximum_bytes;
    Entitlement e;
    int persistent;

    if (refused_for_job(call, domain))
        return;
    maximum_bytes = virDomainGetMaxMemory(domain) * KIB;
    if (read_granted(call, domain, running ? live : VIR_DOMAIN_AFFECT_CONFIG, maximum_bytes, &e) < 0) {
        if (call->error == 0)
            call_refuse(call, -EBADMSG, "its present entitlement can't be parsed");
        return;
    }
    entitlement_change(&e, &call->entitling);
    if (entitlement_check(&e, maximum_bytes, why) < 0) {
        call_refuse(call, -EINVAL, why);
        return;
    }
    if (!entitlement_is_none(&e)) {
        xml = entitlement_xml(&e);
        if (!xml) {
            call_refuse(call, -ENOMEM, "out of memory");
            return;
        }
    }
    persistent = virDomainIsPersistent(domain);
    if (persistent < 0 ||
        virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, xml, ENTITLEMENT_KEY, ENTITLEMENT_URI,
                             live | (persistent ? (unsigned) VIR_DOMAIN_AFFECT_CONFIG : 0)) < 0)
        call_failed(call);
}

static void run_entitle(Domain *d, virDomainPtr domain)
{
    write_entitlement(&d->call, domain, true);
}

/* The call for the first request about domains that are shut off. */
static void run_shut_off(ShutOffs *all)
{
    _cleanup_(domain_freep) virDomainPtr domain = NULL;
    ShutOff *s = all->waiting;
    Call *call = &all->call;

    if (!s->uuid[0]) {
        call->error = shut_off_find(s, call->conn->ptr, &call->text);
        return;
    }
    domain = virDomainLookupByUUIDString(call->conn->ptr, s->uuid);
    call->entitling = s->change;
    if (domain)
        write_entitlement(call, domain, virDomainIsActive(domain) == 1);
    else
        call_failed(call);
}

static void run_definition(Domain *d, virDomainPtr domain)
{
    _cleanup_free_ char *live = NULL, *inactive = NULL;
    Call *call = &d->call;
    int state, reason, persistent, r;

    if (virDomainGetState(domain, &state, &reason, 0) < 0) {
        call_failed(call);
        return;
    }
    call->paused =
        state == VIR_DOMAIN_PAUSED || state == VIR_DOMAIN_PMSUSPENDED || state == VIR_DOMAIN_CRASHED;
    call->shutting_down = state == VIR_DOMAIN_SHUTDOWN;
    live = virDomainGetXMLDesc(domain, 0);
    persistent = live ? virDomainIsPersistent(domain) : -1;
    if (persistent == 1)
        inactive = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
    if (persistent < 0 || (persistent == 1 && !inactive)) {
        call_failed(call);
        return;
    }
    call->info = malloc(sizeof(*call->info));
    r = call->info ? domain_info_parse(live, inactive, call->info) : -ENOMEM;
    if (r < 0) {
        free(TAKE_PTR(call->info));
        call_refuse(call, r, "its definition can't be parsed");
        return;
    }
    call->vanished = call->info->id < 0;
    if (!call->vanished && !is_occupied(domain))
        find_job(call, domain);
}

static void take_stat(VirtStats *s, int tag, uint64_t value)
{
    switch (tag) {
#define BYTES(TAG, name)               \
    case VIR_DOMAIN_MEMORY_STAT_##TAG: \
        s->has_##name = true;          \
        s->name##_bytes = value * KIB; \
        break
#define NUMBER(TAG, name, field)       \
    case VIR_DOMAIN_MEMORY_STAT_##TAG: \
        s->has_##name = true;          \
        s->field = value;              \
        break
        BYTES(SWAP_IN, swap_in);
        BYTES(SWAP_OUT, swap_out);
        BYTES(UNUSED, unused);
        BYTES(AVAILABLE, available);
        BYTES(ACTUAL_BALLOON, actual);
        BYTES(RSS, rss);
        BYTES(USABLE, usable);
        BYTES(DISK_CACHES, disk_caches);
        NUMBER(MAJOR_FAULT, major_faults, major_faults);
        NUMBER(MINOR_FAULT, minor_faults, minor_faults);
        NUMBER(HUGETLB_PGALLOC, hugetlb_allocs, hugetlb_allocs);
        NUMBER(HUGETLB_PGFAIL, hugetlb_failures, hugetlb_failures);
        NUMBER(LAST_UPDATE, last_update, last_update_sec);
#undef BYTES
#undef NUMBER
    default: /* added by newer versions */
        break;
    }
}

static void run_stats(Domain *d, virDomainPtr domain)
{
    virDomainMemoryStatStruct stats[VIR_DOMAIN_MEMORY_STAT_NR];
    Call *call = &d->call;
    int n;

    find_job(call, domain);
    /* Without a period QEMU never asks the guest. If it can't be set, libvirt's existing stats are used. */
    if (call->period_sec > 0)
        (void) virDomainSetMemoryStatsPeriod(domain, (int) call->period_sec, VIR_DOMAIN_AFFECT_LIVE);
    n = virDomainMemoryStats(domain, stats, ELEMENTSOF(stats), 0);
    if (n < 0) {
        call_failed(call);
        return;
    }
    for (int i = 0; i < n; i++)
        take_stat(&call->stats, stats[i].tag, stats[i].val);
}

static void run_channel(Domain *d, virDomainPtr domain)
{
    Call *call = &d->call;

    call->error = channel_open(d->virt, call->conn, domain, d->uuid, &call->channel, &call->text);
}

/* NULL: the caller of requests about domains that are shut off. */
static Domain *domain_of(Virt *v, Caller *caller)
{
    return caller == &v->shut_offs.caller ? NULL : (Domain *) caller;
}

static void call_begin(void *userdata, Caller *caller, unsigned kind)
{
    Virt *v = userdata;
    Domain *d = domain_of(v, caller);

    virt_need_tick(v);
    if (!d) {
        v->shut_offs.call = (Call){.conn = session_take(v, (LaneId) lane_of(kind))};
        return;
    }
    d->call = (Call){
        .conn = session_take(v, (LaneId) lane_of(kind)),
        .changes = d->busy.changes,
        .state = d->asked.state,
        .entitling = d->asked.entitling,
    };
    if (kind == CALL_REMEMBER) {
        d->call.state = d->remembered;
        d->call.state.overhead_bytes = d->asked.overhead_bytes;
    }
    if (kind == CALL_STATS && !d->has_period)
        d->call.period_sec = d->asked.period_sec;
    if (kind == CALL_DEFINITION)
        domain_reading(d);
}

static void call_run(void *userdata, Caller *caller, unsigned kind)
{
    static void (*const run[CALL_KIND_MAX])(Domain *, virDomainPtr) = {
        [CALL_SET] = run_set,           [CALL_ENTITLE] = run_entitle, [CALL_DEFINITION] = run_definition,
        [CALL_REMEMBER] = run_remember, [CALL_STATS] = run_stats,     [CALL_CHANNEL] = run_channel,
    };
    _cleanup_(domain_freep) virDomainPtr domain = NULL;
    Virt *v = userdata;
    Domain *d = domain_of(v, caller);

    if (!d) {
        run_shut_off(&v->shut_offs);
        return;
    }
    domain = virDomainLookupByUUIDString(d->call.conn->ptr, d->uuid);
    if (domain)
        run[kind](d, domain);
    else
        call_failed(&d->call);
}

static void call_done(void *userdata, Caller *caller, unsigned kind)
{
    Virt *v = userdata;
    Domain *d = domain_of(v, caller);
    Call *call = d ? &d->call : &v->shut_offs.call;
    Conn *conn = call->conn;
    bool runs;

    if (!d) {
        shut_off_done(v);
        session_give_back(v, conn);
        return;
    }
    runs = domain_call_done(d, (CallKind) kind);
    free(call->text);
    free(call->info);
    *call = (Call){0};
    session_give_back(v, conn);
    if (d->gone)
        domain_destroy(d);
    else if (!runs)
        domain_gone(d, "stopped");
    else {
        domain_report_busy(d);
        /* libvirt may send no event when the job ends. */
        if (d->busy.job && d->due_usec == 0)
            domain_read(d);
    }
}

static void call_stuck(void *userdata, Caller *caller, bool stuck)
{
    Domain *d = domain_of(userdata, caller);

    if (!d)
        return;
    domain_set_stuck(d, stuck);
    domain_report_busy(d);
}

static void call_left_behind(void *userdata, Caller *caller, unsigned lane)
{
    Virt *v = userdata;
    const Domain *d = domain_of(v, caller);

    session_replace(v, d ? d->call.conn : v->shut_offs.call.conn);
}

static void calls_ended(void *userdata)
{
    virt_unref(userdata);
}

const WorkersOps call_ops = {
    .lane_of = lane_of,
    .begin = call_begin,
    .run = call_run,
    .done = call_done,
    .stuck = call_stuck,
    .left_behind = call_left_behind,
    .ended = calls_ended,
};
