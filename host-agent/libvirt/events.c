/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Handles libvirt's events. The callbacks run in whatever thread libvirt chooses, so they only take the lock,
 * note what happened and queue events and calls. */

#include <string.h>

#include "host-agent/libvirt/virt-internal.h"

/* Takes the lock and finds the domain. Returns NULL, without the lock, if the domain is unknown or the
 * connection isn't current. */
static Domain *event_begin(Conn *c, virDomainPtr domain)
{
    char uuid[VIR_UUID_STRING_BUFLEN];
    Domain *d = NULL;

    if (virDomainGetUUIDString(domain, uuid) < 0)
        return NULL;
    pthread_mutex_lock(&c->virt->lock);
    if (conn_is_current(c))
        d = domain_find(c->virt, uuid);
    if (!d)
        pthread_mutex_unlock(&c->virt->lock);
    return d;
}

static void event_end(Conn *c)
{
    pthread_mutex_unlock(&c->virt->lock);
}

static const char *stopped_why(int detail)
{
    switch (detail) {
    case VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN:
        return "shut down";
    case VIR_DOMAIN_EVENT_STOPPED_DESTROYED:
        return "destroyed";
    case VIR_DOMAIN_EVENT_STOPPED_CRASHED:
        return "crashed";
    case VIR_DOMAIN_EVENT_STOPPED_MIGRATED:
        return "migrated away";
    case VIR_DOMAIN_EVENT_STOPPED_SAVED:
        return "saved";
    case VIR_DOMAIN_EVENT_STOPPED_FAILED:
        return "failed";
    case VIR_DOMAIN_EVENT_STOPPED_FROM_SNAPSHOT:
        return "reverted to a snapshot";
    default:
        return "stopped";
    }
}

static void on_started(Conn *c, virDomainPtr domain, int detail)
{
    char uuid[VIR_UUID_STRING_BUFLEN];
    int id = (int) virDomainGetID(domain);
    Virt *v = c->virt;
    Domain *d;

    if (virDomainGetUUIDString(domain, uuid) < 0 || id < 0)
        return;
    pthread_mutex_lock(&v->lock);
    if (conn_is_current(c)) {
        d = domain_find(v, uuid);
        if (d && d->id != id) {
            domain_gone(d, "stopped and started again");
            d = NULL;
        }
        if (!d)
            d = domain_add(v, uuid, id);
        else if (detail == VIR_DOMAIN_EVENT_STARTED_WAKEUP) {
            domain_set_running(d, false, d->busy.shutting_down);
            domain_report_busy(d);
        }
        if (d) {
            domain_seen(d);
            domain_read(d);
        }
    }
    pthread_mutex_unlock(&v->lock);
}

static int on_lifecycle(virConnectPtr ptr, virDomainPtr domain, int event, int detail, void *userdata)
{
    Conn *c = userdata;
    Domain *d;

    if (event == VIR_DOMAIN_EVENT_STARTED) {
        on_started(c, domain, detail);
        return 0;
    }
    d = event_begin(c, domain);
    if (!d)
        return 0;
    switch (event) {
    case VIR_DOMAIN_EVENT_SUSPENDED:
    case VIR_DOMAIN_EVENT_PMSUSPENDED:
        domain_set_running(d, true, d->busy.shutting_down);
        break;
    case VIR_DOMAIN_EVENT_RESUMED:
        domain_set_running(d, false, false);
        break;
    case VIR_DOMAIN_EVENT_SHUTDOWN:
        domain_set_running(d, d->busy.paused, true);
        break;
    case VIR_DOMAIN_EVENT_STOPPED:
        domain_gone(d, stopped_why(detail));
        d = NULL;
        break;
    default: /* defined, undefined, crashed: read its new definition and state */
        domain_read(d);
        break;
    }
    if (d)
        domain_report_busy(d);
    event_end(c);
    return 0;
}

static void on_reboot(virConnectPtr ptr, virDomainPtr domain, void *userdata)
{
    Conn *c = userdata;
    Domain *d = event_begin(c, domain);

    if (!d)
        return;
    if (d->reported_session > 0)
        virt_push(c->virt, d, &(VirtEvent){.type = VIRT_DOMAIN_REBOOTED});
    event_end(c);
}

static void on_balloon(virConnectPtr ptr, virDomainPtr domain, unsigned long long actual_kib, void *userdata)
{
    Conn *c = userdata;
    Domain *d = event_begin(c, domain);

    if (!d)
        return;
    if (d->reported_session > 0)
        virt_push(c->virt, d, &(VirtEvent){.type = VIRT_BALLOON, .bytes = (uint64_t) actual_kib * 1024});
    event_end(c);
}

static void read_again(Conn *c, virDomainPtr domain)
{
    Domain *d = event_begin(c, domain);

    if (!d)
        return;
    domain_read(d);
    event_end(c);
}

static void on_metadata(virConnectPtr ptr, virDomainPtr domain, int type, const char *uri, void *userdata)
{
    /* Other programs store metadata too, perhaps often, and ballastd itself writes the state. Neither matters
     * here. */
    if (uri && !strcmp(uri, ENTITLEMENT_URI))
        read_again(userdata, domain);
}

static void on_device(virConnectPtr ptr, virDomainPtr domain, const char *alias, void *userdata)
{
    read_again(userdata, domain);
}

/* A migration, save, dump or snapshot ended. libvirt sends no event when one begins. */
static void on_job(virConnectPtr ptr, virDomainPtr domain, virTypedParameterPtr params, int n, void *userdata)
{
    read_again(userdata, domain);
}

int events_register(Conn *c, char **ret_text)
{
    const struct {
        int id;
        virConnectDomainEventGenericCallback callback;
    } events[] = {
        {VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle)},
        {VIR_DOMAIN_EVENT_ID_REBOOT, VIR_DOMAIN_EVENT_CALLBACK(on_reboot)},
        {VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_balloon)},
        {VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_metadata)},
        {VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_CALLBACK(on_device)},
        {VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(on_device)},
        {VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, VIR_DOMAIN_EVENT_CALLBACK(on_job)},
    };

    for (size_t i = 0; i < ELEMENTSOF(events); i++)
        /* Ballast can do without the other events. */
        if (!conn_subscribe(c, events[i].id, events[i].callback) &&
            events[i].id == VIR_DOMAIN_EVENT_ID_LIFECYCLE)
            return virt_last_error(ret_text);
    return 0;
}
