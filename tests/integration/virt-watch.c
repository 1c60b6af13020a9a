/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* host-agent/libvirt on a line of its own: takes commands on stdin, prints what the manager would hear on
 * stdout, one line each: microseconds (CLOCK_MONOTONIC), event, UUID or "-", error, bytes, text.
 *
 *   virt-watch URI
 *   stats UUID [PERIOD] · set UUID TARGET FULL · entitle UUID MIN SHARES (0: taken back) · open UUID ·
 *   send UUID BYTES · close UUID · counters · quit
 */

#include <string.h>

#include "base/time-util.h"
#include "host-agent/libvirt/virt.h"

static const char *const names[VIRT_EVENT_TYPE_MAX] = {
    [VIRT_CONNECTED] = "connected",
    [VIRT_DISCONNECTED] = "disconnected",
    [VIRT_LISTED] = "listed",
    [VIRT_DOMAIN_ADDED] = "added",
    [VIRT_DOMAIN_CHANGED] = "changed",
    [VIRT_DOMAIN_GONE] = "gone",
    [VIRT_DOMAIN_REBOOTED] = "rebooted",
    [VIRT_DOMAIN_BUSY] = "busy",
    [VIRT_BALLOON] = "balloon",
    [VIRT_STATS] = "stats",
    [VIRT_SET_DONE] = "set",
    [VIRT_ENTITLE_DONE] = "entitled",
    [VIRT_SHUT_OFF] = "shut-off",
    [VIRT_CHANNEL_OPENED] = "opened",
    [VIRT_CHANNEL_DATA] = "data",
    [VIRT_CHANNEL_CLOSED] = "closed",
};

typedef struct Watch {
    sd_event *event;
    Virt *virt;
    char line[4096];
    size_t fill;
} Watch;

static void on_event(void *userdata, const VirtEvent *e)
{
    uint64_t bytes = e->bytes;
    char text[1024];

    snprintf(text, sizeof(text), "%s", e->text ? e->text : "");
    if (e->info) {
        _cleanup_free_ char *granted = entitlement_xml(&e->info->entitlement);

        bytes = e->info->current_bytes;
        snprintf(text, sizeof(text),
                 "%s id=%d persistent=%d maximum=%" PRIu64 " unmovable=%s channel=%d sent=%" PRIu64
                 " granted=%s problem=%s",
                 e->info->name, e->info->id, e->info->persistent, e->info->maximum_bytes,
                 e->info->unmovable ? e->info->unmovable : "", e->info->has_channel,
                 e->info->remembered.sent_bytes, granted, e->info->entitlement_problem);
    }
    if (e->stats)
        bytes = e->stats->actual_bytes;
    if (e->data)
        bytes = e->length;
    printf("%" PRIu64 " %s %s %d %" PRIu64 " %s\n", now_usec(CLOCK_MONOTONIC), names[e->type],
           e->uuid ? e->uuid : "-", e->error, bytes, text);
}

static void print_counters(const Virt *v)
{
    VirtCounters c;

    virt_counters(v, &c);
    printf("%" PRIu64 " counters - 0 0 calls=%" PRIu64 " failures=%" PRIu64 " reconnects=%" PRIu64
           " outstanding=%u stuck=%u connections=%u queue_peak=%u\n",
           now_usec(CLOCK_MONOTONIC), c.calls, c.failures, c.reconnects, c.outstanding, c.stuck,
           c.connections, c.queue_peak);
}

static int send_bytes(Virt *v, const char *uuid, size_t length)
{
    _cleanup_free_ uint8_t *data = calloc(1, length);

    return data ? virt_channel_send(v, uuid, data, length) : -ENOMEM;
}

static int entitle(Virt *v, const char *uuid, uint64_t min_bytes, double shares)
{
    EntitlementChange change = {
        .values = {.min_bytes = min_bytes, .shares = shares, .mode = GUEST_MODE_INVALID},
        .keys = 1U << ENTITLEMENT_KEY_MIN | 1U << ENTITLEMENT_KEY_SHARES,
    };

    return virt_entitle(v, uuid, &change);
}

static void command(Watch *w, const char *line)
{
    char word[16] = "", uuid[64] = "";
    unsigned long long a = 0, b = 0;
    int r = 0;

    (void) sscanf(line, "%15s %63s %llu %llu", word, uuid, &a, &b);
    if (!strcmp(word, "stats"))
        r = virt_request_stats(w->virt, uuid, (unsigned) a);
    else if (!strcmp(word, "set"))
        r = virt_set_memory(
            w->virt, uuid,
            &(DomainState){.full_bytes = b, .defined_bytes = b, .from_bytes = b, .sent_bytes = a});
    else if (!strcmp(word, "entitle"))
        r = entitle(w->virt, uuid, a, (double) b);
    else if (!strcmp(word, "open"))
        r = virt_channel_open(w->virt, uuid);
    else if (!strcmp(word, "send"))
        r = send_bytes(w->virt, uuid, (size_t) a);
    else if (!strcmp(word, "close"))
        virt_channel_close(w->virt, uuid);
    else if (!strcmp(word, "counters"))
        print_counters(w->virt);
    else if (!strcmp(word, "quit"))
        sd_event_exit(w->event, 0);
    else
        r = -EINVAL;
    if (r < 0)
        printf("%" PRIu64 " refused %s %d 0 %s\n", now_usec(CLOCK_MONOTONIC), *uuid ? uuid : "-", r, line);
}

static int on_input(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    Watch *w = userdata;
    ssize_t n = read(fd, w->line + w->fill, sizeof(w->line) - w->fill);
    char *end;

    if (n <= 0)
        return sd_event_exit(w->event, n < 0);
    w->fill += (size_t) n;
    while ((end = memchr(w->line, '\n', w->fill))) {
        *end = '\0';
        command(w, w->line);
        w->fill -= (size_t) (end + 1 - w->line);
        memmove(w->line, end + 1, w->fill);
    }
    if (w->fill == sizeof(w->line))
        w->fill = 0; /* no line of ours */
    return 0;
}

int main(int argc, char **argv)
{
    Watch w = {0};
    int r;

    if (argc != 2) {
        fprintf(stderr, "Usage: %s URI\n", argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    r = sd_event_default(&w.event);
    if (r >= 0)
        r = sd_event_add_io(w.event, NULL, STDIN_FILENO, EPOLLIN, on_input, &w);
    if (r >= 0)
        r = virt_new(w.event, argv[1], on_event, &w, &w.virt);
    if (r >= 0)
        r = sd_event_loop(w.event);
    virt_free(w.virt);
    sd_event_unref(w.event);
    if (r < 0)
        fprintf(stderr, "virt-watch: %s\n", strerror(-r));
    return r < 0;
}
