/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests about domains that are shut off: they wait in a queue, and are made one at a time. */
#include "host-agent/libvirt/shut-off.h"

#include <string.h>

#include "base/nearest.h"
#include "host-agent/libvirt/virt-internal.h"

ShutOff *shut_off_free(ShutOff *s)
{
    if (!s)
        return NULL;
    free(s->pattern);
    free(s->found);
    free(s->text);
    free(s);
    return NULL;
}

/* ---- What libvirt has; without the lock ---- */

typedef enum Match { MATCH_NONE, MATCH_BEGINNING, MATCH_WHOLE } Match;

static Match match(virDomainPtr domain, const char *pattern)
{
    char uuid[VIR_UUID_STRING_BUFLEN] = "";
    const char *name = virDomainGetName(domain) ?: "";
    size_t length;

    if (!pattern)
        return MATCH_BEGINNING;
    length = strlen(pattern);
    (void) virDomainGetUUIDString(domain, uuid);
    if (strcmp(name, pattern) == 0 || strcasecmp(uuid, pattern) == 0)
        return MATCH_WHOLE;
    return strncmp(name, pattern, length) == 0 || strncasecmp(uuid, pattern, length) == 0 ? MATCH_BEGINNING
                                                                                          : MATCH_NONE;
}

/* A domain that was started or undefined meanwhile, or whose definition can't be parsed, is left out. */
static int add_found(ShutOff *s, virDomainPtr domain)
{
    _cleanup_free_ char *xml = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
    DomainInfo *grown, info;

    if (!xml || domain_info_parse(xml, xml, &info) < 0)
        return 0;
    info.remembered = (DomainState){}; /* only a running domain has one */
    grown = reallocarray(s->found, s->n_found + 1, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    s->found = grown;
    s->found[s->n_found++] = info;
    return 0;
}

static bool is_running(virDomainPtr domain)
{
    return virDomainGetID(domain) != (unsigned) -1;
}

/* A running domain is not found, but one with the whole name leaves no room for others that begin with it. */
static int find(ShutOff *s, virDomainPtr *domains, size_t n)
{
    size_t limit = s->pattern ? SHUT_OFF_CANDIDATES_MAX : SHUT_OFF_FOUND_MAX;
    Match least = MATCH_BEGINNING;
    Nearest near;
    int r = 0;

    nearest_init(&near, s->pattern ?: "", s->pattern ? strlen(s->pattern) : 0);
    for (size_t i = 0; i < n; i++) {
        if (match(domains[i], s->pattern) == MATCH_WHOLE)
            least = MATCH_WHOLE;
        nearest_offer(&near, virDomainGetName(domains[i]) ?: "");
    }
    s->exact = least == MATCH_WHOLE;
    for (size_t i = 0; i < n && r >= 0; i++)
        if (!is_running(domains[i]) && match(domains[i], s->pattern) >= least && s->n_matches++ < limit)
            r = add_found(s, domains[i]);
    if (s->n_matches == 0 && near.best)
        snprintf(s->nearest, sizeof(s->nearest), "%s", near.best);
    return r;
}

int shut_off_find(ShutOff *s, virConnectPtr conn, char **ret_text)
{
    virDomainPtr *domains = NULL;
    int n, r;

    n = virConnectListAllDomains(conn, &domains, s->pattern ? 0 : VIR_CONNECT_LIST_DOMAINS_INACTIVE);
    if (n < 0)
        return virt_last_error(ret_text);
    r = find(s, domains, (size_t) n);
    for (int i = 0; i < n; i++)
        virDomainFree(domains[i]);
    free(domains);
    return r;
}

/* ---- The queue ---- */

void shut_offs_init(Virt *v)
{
    caller_init(&v->shut_offs.caller);
}

void shut_offs_free(Virt *v)
{
    ShutOff **const lists[] = {&v->shut_offs.waiting, &v->shut_offs.answered};

    for (size_t i = 0; i < ELEMENTSOF(lists); i++)
        while (*lists[i]) {
            ShutOff *s = *lists[i];

            *lists[i] = s->next;
            shut_off_free(s);
        }
}

static void append(ShutOff **list, ShutOff *s)
{
    while (*list)
        list = &(*list)->next;
    s->next = NULL;
    *list = s;
}

/* Asks for the call of the first request. */
static void ask_next(Virt *v)
{
    ShutOffs *all = &v->shut_offs;

    if (all->waiting)
        (void) workers_ask(v->workers, &all->caller, all->waiting->uuid[0] ? CALL_ENTITLE : CALL_FIND);
}

/* The first request is done. */
static void answer(Virt *v, int error)
{
    ShutOffs *all = &v->shut_offs;
    ShutOff *s = all->waiting;

    all->waiting = s->next;
    s->error = error;
    append(&all->answered, s);
    virt_push(v, NULL, &(VirtEvent){.type = VIRT_SHUT_OFF});
}

int shut_off_ask(Virt *v, ShutOff *s)
{
    ShutOffs *all = &v->shut_offs;
    size_t n = 0;

    for (const ShutOff *w = all->waiting; w; w = w->next)
        n++;
    if (n >= SHUT_OFF_WAITING_MAX)
        return -EBUSY;
    s->number = ++all->asked;
    append(&all->waiting, s);
    if (n == 0)
        ask_next(v);
    return 0;
}

void shut_off_done(Virt *v)
{
    ShutOffs *all = &v->shut_offs;

    all->waiting->text = TAKE_PTR(all->call.text);
    answer(v, all->call.error);
    ask_next(v);
}

void shut_offs_lost(Virt *v)
{
    ShutOffs *all = &v->shut_offs;
    ShutOff *running = all->caller.running ? all->waiting : NULL;

    (void) workers_cancel(v->workers, &all->caller, CALLS_ALL);
    if (running)
        all->waiting = running->next;
    while (all->waiting)
        answer(v, -ENOTCONN);
    /* Its call returns with an error. */
    if (running) {
        running->next = NULL;
        all->waiting = running;
    }
}

ShutOff *shut_off_take(Virt *v)
{
    ShutOffs *all = &v->shut_offs;
    ShutOff *s = all->answered;

    if (s)
        all->answered = s->next;
    return s;
}
