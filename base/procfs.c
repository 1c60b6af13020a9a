/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/procfs.h"

#include <fcntl.h>
#include <string.h>

/* zoneinfo is the longest of these: some 100 bytes for each CPU and zone, so 2 MiB take 4,000 CPUs of 5
 * zones. */
#define PROC_FILE_MIN ((size_t) 4096)
#define PROC_FILE_MAX ((size_t) 2 * 1024 * 1024)

int proc_file_open(ProcFile *f, const char *root, const char *name)
{
    _cleanup_free_ char *path = NULL;
    int fd;

    *f = PROC_FILE_INIT;

    if (asprintf(&path, "%s/%s", root, name) < 0) {
        path = NULL;
        return -ENOMEM;
    }

    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;

    f->fd = fd;
    return 0;
}

static int proc_file_grow(ProcFile *f)
{
    size_t size = f->size == 0 ? PROC_FILE_MIN : 2 * f->size;
    char *buf;

    if (size > PROC_FILE_MAX)
        return -EFBIG;

    buf = realloc(f->buf, size);
    if (!buf)
        return -ENOMEM;

    f->buf = buf;
    f->size = size;
    return 0;
}

ssize_t proc_file_read(ProcFile *f)
{
    size_t fill = 0;
    int r;

    /* A read gives at most what the kernel's own buffer holds, so only a read of nothing is the end. Offset 0
     * makes the kernel produce the text anew. */
    for (;;) {
        ssize_t n;

        if (fill + 1 >= f->size) {
            r = proc_file_grow(f);
            if (r < 0)
                return r;
        }

        n = pread(f->fd, f->buf + fill, f->size - fill - 1, (off_t) fill);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        fill += (size_t) n;
    }

    f->buf[fill] = '\0';
    return (ssize_t) fill;
}

void proc_file_done(ProcFile *f)
{
    closep(&f->fd);
    free(f->buf);
    *f = PROC_FILE_INIT;
}

/* A key that a table of the kernel may have, and where its value goes. */
typedef struct Key {
    const char *name;
    uint8_t length;
    bool required;
    bool zones; /* kernels have, or had, one for each zone, "<name>_<zone>": their sum is meant */
    uint16_t offset;
} Key;

#define KEY(_name, type, member, ...)                                                               \
    {                                                                                               \
        .name = _name, .length = sizeof(_name) - 1, .offset = offsetof(type, member), ##__VA_ARGS__ \
    }

static const char *skip_blanks(const char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;

    return p;
}

/* Digits only: what is negative, too large, or nothing, is no number. Returns what follows, or NULL. */
static const char *parse_number(const char *p, uint64_t *ret)
{
    uint64_t value = 0;

    if (*p < '0' || *p > '9')
        return NULL;

    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t) (*p - '0'), &value))
            return NULL;

    *ret = value;
    return p;
}

/* The line's value. A line without its end was cut off, and so may be its number. */
static int parse_value(const char *p, const char *unit, uint64_t factor, uint64_t *ret)
{
    size_t length = strlen(unit);
    uint64_t value;

    p = parse_number(skip_blanks(p), &value);
    if (!p)
        return -EBADMSG;

    p = skip_blanks(p);
    if (strncmp(p, unit, length) != 0 || p[length] != '\n')
        return -EBADMSG;
    if (__builtin_mul_overflow(value, factor, ret))
        return -EBADMSG;

    return 0;
}

static bool is_zone(const char *p, size_t length)
{
    static const char *const zones[] = {"dma", "dma32", "normal", "high", "movable", "device"};

    for (size_t i = 0; i < ELEMENTSOF(zones); i++)
        if (strlen(zones[i]) == length && memcmp(zones[i], p, length) == 0)
            return true;

    return false;
}

static bool key_matches(const Key *k, const char *p, size_t length)
{
    /* The last letter tells most keys apart that begin alike. */
    if (length < k->length || k->name[k->length - 1] != p[k->length - 1] ||
        memcmp(k->name, p, k->length) != 0)
        return false;
    if (length == k->length)
        return true;

    return k->zones && p[k->length] == '_' && is_zone(p + k->length + 1, length - k->length - 1);
}

/* Sets or adds up the value of a key. */
static int take_value(const Key *k, bool again, const char *p, const char *unit, uint64_t factor, void *base)
{
    uint64_t value, *target = (uint64_t *) ((char *) base + k->offset);
    int r;

    r = parse_value(p, unit, factor, &value);
    if (r < 0)
        return r;
    if (k->zones && again && __builtin_add_overflow(*target, value, &value))
        return -EBADMSG;

    *target = value;
    return 0;
}

/* Goes once over lines of "key<separator> value<unit>". Lines that begin like no key are passed over. The
 * search for a line's key begins behind the one found last, which is mostly the next that the kernel prints.
 * *ret_found: one bit for each key of the table.
 */
static int parse_table(const char *text, char separator, const char *unit, uint64_t factor, const Key *keys,
                       size_t n, void *base, uint32_t *ret_found)
{
    bool begins_key[UINT8_MAX + 1] = {};
    uint32_t found = 0;
    size_t next = 0;
    int r;

    for (size_t k = 0; k < n; k++)
        begins_key[(uint8_t) keys[k].name[0]] = true;

    for (const char *p = text, *end; *p; p = *end ? end + 1 : end) {
        if (!begins_key[(uint8_t) *p]) {
            end = strchrnul(p, '\n');
            continue;
        }

        for (end = p; *end != separator && *end != '\n' && *end; end++)
            ;

        for (size_t i = 0; i < n && *end == separator; i++) {
            size_t k = next + i < n ? next + i : next + i - n;

            if (!key_matches(&keys[k], p, (size_t) (end - p)))
                continue;

            r = take_value(&keys[k], found & UINT32_C(1) << k, end + 1, unit, factor, base);
            if (r < 0)
                return r;

            found |= UINT32_C(1) << k;
            next = k;
            break;
        }

        end = strchrnul(end, '\n');
    }

    for (size_t k = 0; k < n; k++)
        if (keys[k].required && !(found & UINT32_C(1) << k))
            return -EBADMSG;

    *ret_found = found;
    return 0;
}

int meminfo_parse(const char *text, Meminfo *ret)
{
    static const Key keys[] = {
        KEY("MemTotal", Meminfo, total, .required = true),
        KEY("MemFree", Meminfo, free, .required = true),
        KEY("MemAvailable", Meminfo, available), /* since 3.14 */
        KEY("Buffers", Meminfo, buffers, .required = true),
        KEY("Cached", Meminfo, cached, .required = true),
        KEY("SwapCached", Meminfo, swap_cached),
        KEY("Mlocked", Meminfo, mlocked),
        KEY("SwapTotal", Meminfo, swap_total, .required = true),
        KEY("SwapFree", Meminfo, swap_free, .required = true),
        KEY("Dirty", Meminfo, dirty),
        KEY("AnonPages", Meminfo, anon_pages),
        KEY("Shmem", Meminfo, shmem),
        KEY("SReclaimable", Meminfo, sreclaimable),
        KEY("Hugetlb", Meminfo, hugetlb), /* since 4.16 */
    };
    enum { AVAILABLE = 2 };
    Meminfo m = {};
    uint32_t found;
    int r;

    r = parse_table(text, ':', "kB", 1024, keys, ELEMENTSOF(keys), &m, &found);
    if (r < 0)
        return r;

    m.has_available = found & 1U << AVAILABLE;
    *ret = m;
    return 0;
}

int vmstat_parse(const char *text, Vmstat *ret)
{
    static const Key keys[] = {
        KEY("workingset_refault_anon", Vmstat, refault_anon), /* the two since 5.9 */
        KEY("workingset_refault_file", Vmstat, refault_file),
        KEY("workingset_refault", Vmstat, refault_file),
        KEY("pswpin", Vmstat, pswpin),
        KEY("pswpout", Vmstat, pswpout),
        KEY("allocstall", Vmstat, allocstall, .zones = true), /* by zone since 4.8 */
        KEY("pgfault", Vmstat, pgfault, .required = true),
        KEY("pgmajfault", Vmstat, pgmajfault, .required = true),
        KEY("pgsteal_kswapd", Vmstat, steal_kswapd, .zones = true), /* these four by zone until 4.8 */
        KEY("pgsteal_direct", Vmstat, steal_direct, .zones = true),
        KEY("pgscan_kswapd", Vmstat, scan_kswapd, .zones = true),
        KEY("pgscan_direct", Vmstat, scan_direct, .zones = true),
        KEY("oom_kill", Vmstat, oom_kill), /* since 4.13 */
    };
    uint32_t found;
    Vmstat v;
    int r;

    memset(&v, 0xff, sizeof(v)); /* VMSTAT_MISSING */
    r = parse_table(text, ' ', "", 1, keys, ELEMENTSOF(keys), &v, &found);
    if (r < 0)
        return r;

    *ret = v;
    return 0;
}

/* A zone's watermarks stand in lines of their own:
 *         low      3932
 * Its page sets have lines like "high: 378", with a colon. */
int zoneinfo_parse_low(const char *text, uint64_t *ret_pages)
{
    uint64_t pages = 0, low;
    bool found = false;
    int r;

    for (const char *p = text; *p; p = *p ? p + 1 : p) {
        p = skip_blanks(p);
        if (strncmp(p, "low ", 4) == 0) {
            r = parse_value(p + 4, "", 1, &low);
            if (r < 0)
                return r;
            if (__builtin_add_overflow(pages, low, &pages))
                return -EBADMSG;
            found = true;
        }
        p = strchrnul(p, '\n');
    }

    if (!found)
        return -EBADMSG;

    *ret_pages = pages;
    return 0;
}

/* "12.34", a percentage, → 0.1234. Returns what follows, or NULL. */
static const char *parse_percent(const char *p, double *ret_ratio)
{
    uint64_t whole, fraction = 0, scale = 1;

    p = parse_number(p, &whole);
    if (!p || whole > 100)
        return NULL;

    if (*p == '.')
        for (p++; *p >= '0' && *p <= '9'; p++)
            if (scale < 10000) {
                fraction = fraction * 10 + (uint64_t) (*p - '0');
                scale *= 10;
            }
    if (whole == 100 && fraction > 0)
        return NULL;

    *ret_ratio = (double) (whole * scale + fraction) / (double) (100 * scale);
    return p;
}

/* " avg10=0.00 avg60=0.00 avg300=0.00 total=0\n" */
static int parse_psi_line(const char *p, PsiLine *ret)
{
    enum { AVG10 = 1, AVG60 = 2, TOTAL = 4 };
    unsigned found = 0;
    double other;

    for (p = skip_blanks(p); p && *p && *p != '\n'; p = p ? skip_blanks(p) : NULL)
        if (strncmp(p, "avg10=", 6) == 0) {
            p = parse_percent(p + 6, &ret->avg10);
            found |= AVG10;
        } else if (strncmp(p, "avg60=", 6) == 0) {
            p = parse_percent(p + 6, &ret->avg60);
            found |= AVG60;
        } else if (strncmp(p, "total=", 6) == 0) {
            p = parse_number(p + 6, &ret->total_usec);
            found |= TOTAL;
        } else if (strncmp(p, "avg300=", 7) == 0)
            p = parse_percent(p + 7, &other);
        else
            return -EBADMSG;

    if (!p || *p != '\n' || found != (AVG10 | AVG60 | TOTAL))
        return -EBADMSG;

    return 0;
}

int psi_parse(const char *text, Psi *ret)
{
    bool has_some = false;
    Psi psi = {};
    int r;

    for (const char *p = text; *p; p = *p ? p + 1 : p) {
        r = 0;
        if (strncmp(p, "some ", 5) == 0) {
            r = parse_psi_line(p + 5, &psi.some);
            has_some = true;
        } else if (strncmp(p, "full ", 5) == 0) {
            r = parse_psi_line(p + 5, &psi.full);
            psi.has_full = true;
        }
        if (r < 0)
            return r;
        p = strchrnul(p, '\n');
    }

    if (!has_some)
        return -EBADMSG;

    *ret = psi;
    return 0;
}

static int read_once(const char *root, const char *name, ProcFile *ret)
{
    ssize_t n;
    int r;

    r = proc_file_open(ret, root, name);
    if (r < 0)
        return r;

    n = proc_file_read(ret);
    return n < 0 ? (int) n : 0;
}

int meminfo_read(const char *root, Meminfo *ret)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    int r;

    r = read_once(root, "meminfo", &f);
    return r < 0 ? r : meminfo_parse(f.buf, ret);
}

int vmstat_read(const char *root, Vmstat *ret)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    int r;

    r = read_once(root, "vmstat", &f);
    return r < 0 ? r : vmstat_parse(f.buf, ret);
}

int zoneinfo_read_low(const char *root, uint64_t *ret_pages)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    int r;

    r = read_once(root, "zoneinfo", &f);
    return r < 0 ? r : zoneinfo_parse_low(f.buf, ret_pages);
}

int psi_read(const char *root, const char *resource, Psi *ret)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    _cleanup_free_ char *name = NULL;
    int r;

    if (asprintf(&name, "pressure/%s", resource) < 0) {
        name = NULL;
        return -ENOMEM;
    }

    r = read_once(root, name, &f);
    return r < 0 ? r : psi_parse(f.buf, ret);
}
