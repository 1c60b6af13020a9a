/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets KSM's controls, and restores their original values. */

#include "host-agent/act/ksm.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fileio.h"
#include "base/procfs.h"
#include "base/time-util.h"

#define NUMBER_MAX     24U /* of a control, with its NUL */
/* A line of the file of original values, and all of the file. */
#define SAVED_LINE_MAX 128U
#define SAVED_MAX      4096U

/* The order in which they are set: ksmd must start with its settings in place, and merge_across_nodes can be
 * changed only before anything is merged. */
enum { MERGE_ACROSS_NODES, PAGES_TO_SCAN, SLEEP, RUN, CONTROLS };

static const struct {
    const char *name; /* of the file */
    HostField field;
} controls[CONTROLS] = {
    [MERGE_ACROSS_NODES] = {"merge_across_nodes", HOST_FIELD_KSM_MERGE_ACROSS_NODES},
    [PAGES_TO_SCAN] = {"pages_to_scan", HOST_FIELD_KSM_PAGES_TO_SCAN},
    [SLEEP] = {"sleep_millisecs", HOST_FIELD_KSM_SLEEP},
    [RUN] = {"run", HOST_FIELD_KSM_RUN},
};

_Static_assert(KSM_CHANGES_MAX == 2 * CONTROLS, "the changes of one call fit");

/* What the kernel's answer to a write depends on, besides the value. */
typedef struct Circumstances {
    mode_t mode; /* of the control's file */
    uid_t uid;
    gid_t gid;
    bool advised; /* the kernel's own advisor sets pages_to_scan */
    bool shared;  /* some pages are merged */
} Circumstances;

typedef struct Control {
    bool changed;
    int64_t before; /* the original value */
    /* The value that was written last, and the one that is being written: if the daemon is killed between
     * writing the file and the control, either may be in force. */
    int64_t last, next;
    int refused; /* positive errno; 0: not */
    Circumstances then;
} Control;

struct Ksm {
    char *folder;
    char *path;
    Control controls[CONTROLS];
    bool unremembered; /* the file can't be written, and that was reported */
};

static int read_control(const Ksm *k, int c, int64_t *ret)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    int r = proc_file_slurp(&f, k->folder, controls[c].name);

    if (r < 0)
        return r;
    return sscanf(f.buf, "%" SCNd64, ret) == 1 ? 0 : -EBADMSG;
}

static int write_control(const Ksm *k, int c, int64_t value)
{
    char path[PATH_MAX], text[NUMBER_MAX];

    snprintf(path, sizeof(path), "%s/%s", k->folder, controls[c].name);
    snprintf(text, sizeof(text), "%" PRId64 "\n", value);
    return fileio_write(path, text);
}

/* ---- The file of original values ---- */

/* "pages_to_scan BEFORE LAST NEXT" */
static int parse_line(Ksm *k, const char *line)
{
    Control r = {.changed = true};
    char name[32];
    int end = -1;

    if (sscanf(line, "%31s %" SCNd64 " %" SCNd64 " %" SCNd64 "%n", name, &r.before, &r.last, &r.next, &end) !=
            4 ||
        line[end] != '\0')
        return -EBADMSG;
    for (int c = 0; c < CONTROLS; c++)
        if (strcmp(name, controls[c].name) == 0) {
            k->controls[c] = r;
            return 0;
        }
    return -EBADMSG;
}

static int recall(Ksm *k)
{
    _cleanup_free_ char *text = NULL;
    char *line, *rest;
    size_t length;
    int r;

    r = fileio_read_saved(k->path, SAVED_MAX, &text, &length);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    rest = text;
    while (r >= 0 && (line = strsep(&rest, "\n")))
        if (line[0])
            r = parse_line(k, line);
    if (r < 0)
        memset(k->controls, 0, sizeof(k->controls));
    return r;
}

static bool is_any_changed(const Ksm *k)
{
    for (int c = 0; c < CONTROLS; c++)
        if (k->controls[c].changed)
            return true;
    return false;
}

static int remember(const Ksm *k)
{
    char text[CONTROLS * SAVED_LINE_MAX], folder[PATH_MAX], *slash;
    size_t length = 0;

    if (!k->path)
        return 0;
    if (!is_any_changed(k))
        return unlink(k->path) < 0 && errno != ENOENT ? -errno : 0;
    snprintf(folder, sizeof(folder), "%s", k->path);
    slash = strrchr(folder, '/');
    if (slash && slash != folder) {
        *slash = '\0';
        if (mkdir(folder, 0755) < 0 && errno != EEXIST)
            return -errno;
    }
    for (int c = 0; c < CONTROLS; c++)
        if (k->controls[c].changed)
            length += (size_t) snprintf(text + length, sizeof(text) - length,
                                        "%s %" PRId64 " %" PRId64 " %" PRId64 "\n", controls[c].name,
                                        k->controls[c].before, k->controls[c].last, k->controls[c].next);
    return fileio_save(k->path, text);
}

/* ---- What is reported ---- */

typedef struct Changes {
    KsmChange *all;
    size_t n;
} Changes;

static KsmChange *report(Changes *t, KsmOutcome outcome, int c, int64_t from, int64_t to)
{
    t->all[t->n] = (KsmChange){
        .outcome = outcome, .control = controls[c].field, .name = controls[c].name, .from = from, .to = to};
    return &t->all[t->n++];
}

/* Reports once that the file can't be written, until it could be written again. */
static void report_remembered(Ksm *k, Changes *t, int r)
{
    if (r < 0 && !k->unremembered)
        t->all[t->n++] = (KsmChange){.outcome = KSM_UNREMEMBERED, .error = -r};
    k->unremembered = r < 0;
}

static const char *hint(int c, int error)
{
    switch (error) {
    case EACCES:
    case EPERM:
        return "ballastd's user may not write it; as root, `systemd-tmpfiles --create ballast.conf` lets user ballast, which the service runs as, write it";
    case EROFS:
        return "sysfs is read-only here: is this a container?";
    case EBUSY:
        return c == MERGE_ACROSS_NODES
                   ? "pages are merged already; `echo 2 > /sys/kernel/mm/ksm/run` separates them first, which needs the memory that merging saved"
                   : NULL;
    case EINVAL:
        return c == PAGES_TO_SCAN
                   ? "the kernel's own advisor sets it; turn that off with `echo none > /sys/kernel/mm/ksm/advisor_mode`, or run a policy that doesn't set it"
                   : NULL;
    default:
        return NULL;
    }
}

static void look_around(const Ksm *k, int c, Circumstances *ret)
{
    _cleanup_(proc_file_done) ProcFile advisor = PROC_FILE_INIT, shared = PROC_FILE_INIT;
    char path[PATH_MAX];
    struct stat st = {};

    snprintf(path, sizeof(path), "%s/%s", k->folder, controls[c].name);
    (void) stat(path, &st);
    *ret = (Circumstances){.mode = st.st_mode, .uid = st.st_uid, .gid = st.st_gid};
    if (proc_file_slurp(&advisor, k->folder, "advisor_mode") >= 0)
        ret->advised = !strstr(advisor.buf, "[none]");
    if (proc_file_slurp(&shared, k->folder, "pages_shared") >= 0)
        ret->shared = atoll(shared.buf) != 0;
}

/* Whether the kernel would refuse the value again, because nothing has changed. */
static bool is_in_vain(const Ksm *k, int c)
{
    const Circumstances *then = &k->controls[c].then;
    Circumstances now;

    if (k->controls[c].refused == 0)
        return false;
    look_around(k, c, &now);
    return now.mode == then->mode && now.uid == then->uid && now.gid == then->gid &&
           now.advised == then->advised && now.shared == then->shared;
}

/* Reports a refusal, but not the same one twice. */
static void refuse(Ksm *k, Changes *t, KsmOutcome outcome, int c, int64_t from, int64_t to, int error,
                   const HostDecision *d)
{
    Control *x = &k->controls[c];
    KsmChange *change;

    look_around(k, c, &x->then);
    if (x->refused == error)
        return;
    x->refused = error;
    change = report(t, outcome, c, from, to);
    change->error = error;
    change->hint = hint(c, error);
    change->decision = d;
}

/* ---- What is written ---- */

static void set(Ksm *k, Changes *t, int c, int64_t to, const HostDecision *d)
{
    Control *x = &k->controls[c], old = *x;
    int64_t from;
    int r;

    if (is_in_vain(k, c))
        return;
    r = read_control(k, c, &from);
    if (r < 0) {
        refuse(k, t, KSM_REFUSED, c, 0, to, -r, d);
        return;
    }
    if (from == to)
        return;
    if (!x->changed)
        *x = (Control){.changed = true, .before = from, .last = from, .refused = x->refused, .then = x->then};
    x->next = to;
    report_remembered(k, t, remember(k));
    r = write_control(k, c, to);
    if (r < 0) {
        *x = old;
        (void) remember(k);
        refuse(k, t, KSM_REFUSED, c, from, to, -r, d);
        return;
    }
    x->last = to;
    x->refused = 0;
    report(t, KSM_CHANGED, c, from, to)->decision = d;
}

/* The value in the unit of the control's file. */
static int64_t raw(int c, double value)
{
    return (int64_t) (c == SLEEP ? value / (double) USEC_PER_MSEC : value);
}

size_t ksm_apply(Ksm *k, const HostDecision *decisions, size_t n, KsmChange *ret)
{
    Changes t = {.all = ret};

    for (int c = 0; c < CONTROLS; c++)
        for (size_t i = 0; i < n; i++)
            if (decisions[i].control == controls[c].field && decisions[i].send)
                set(k, &t, c, raw(c, decisions[i].value), decisions + i);
    return t.n;
}

static void put_back(Ksm *k, Changes *t, int c)
{
    Control *x = &k->controls[c];
    int64_t now, to = c == RUN && x->before == 2 ? 0 : x->before;
    int r;

    if (is_in_vain(k, c))
        return;
    r = read_control(k, c, &now);
    if (r >= 0 && now != x->last && now != x->next) {
        /* A control that somebody restored by hand needs no report. */
        if (now != x->before)
            (void) report(t, KSM_FOREIGN, c, now, x->before);
        *x = (Control){};
        return;
    }
    if (r >= 0 && now != to)
        r = write_control(k, c, to);
    if (r < 0) {
        refuse(k, t, KSM_STUCK, c, x->last, to, -r, NULL);
        return;
    }
    if (now != to)
        (void) report(t, KSM_RESTORED, c, now, to);
    *x = (Control){};
}

size_t ksm_restore(Ksm *k, const FieldSet *keep, KsmChange *ret)
{
    Changes t = {.all = ret};
    bool any = false;

    for (int c = CONTROLS - 1; c >= 0; c--)
        if (k->controls[c].changed && !field_set_has(keep, (int) controls[c].field)) {
            put_back(k, &t, c);
            any = any || !k->controls[c].changed;
        }
    if (any)
        report_remembered(k, &t, remember(k));
    return t.n;
}

void ksm_retry(Ksm *k)
{
    for (int c = 0; c < CONTROLS; c++)
        k->controls[c].refused = 0;
}

static const Control *find(const Ksm *k, HostField control)
{
    for (int c = 0; c < CONTROLS; c++)
        if (controls[c].field == control)
            return &k->controls[c];
    return NULL;
}

bool ksm_changed(const Ksm *k, HostField control, int64_t *ret_before)
{
    const Control *c = find(k, control);

    if (!c || !c->changed)
        return false;
    *ret_before = c->before;
    return true;
}

int ksm_refused(const Ksm *k, HostField control)
{
    const Control *c = find(k, control);

    return c ? c->refused : 0;
}

int ksm_new(const char *root, const char *path, int *ret_error, Ksm **ret)
{
    _cleanup_(ksm_freep) Ksm *k = calloc(1, sizeof(Ksm));
    int r = 0;

    if (!k)
        return -ENOMEM;
    if (asprintf(&k->folder, "%s/kernel/mm/ksm", root) < 0) {
        k->folder = NULL;
        return -ENOMEM;
    }
    if (path) {
        k->path = strdup(path);
        if (!k->path)
            return -ENOMEM;
        r = recall(k);
    }
    if (ret_error)
        *ret_error = r;
    *ret = TAKE_PTR(k);
    return 0;
}

Ksm *ksm_free(Ksm *k)
{
    if (!k)
        return NULL;
    free(k->folder);
    free(k->path);
    free(k);
    return NULL;
}
