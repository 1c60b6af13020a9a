/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reads memory figures from procfs: meminfo, vmstat, zoneinfo, buddyinfo, swaps, pressure, arcstats. */

#include "base/procfs.h"

#include <fcntl.h>
#include <string.h>

#include "base/fileio.h"
#include "base/proc-table.h"

/* zoneinfo is the longest file, with some 100 bytes for each CPU and zone: 2 MiB hold 4,000 CPUs with 5
 * zones. */
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

ssize_t proc_file_read(ProcFile *f)
{
    return fileio_read(f->fd, true, PROC_FILE_MAX, &f->buf, &f->size);
}

int proc_file_slurp(ProcFile *f, const char *root, const char *name)
{
    ssize_t n;
    int r;

    r = proc_file_open(f, root, name);
    if (r < 0)
        return r;

    n = proc_file_read(f);
    return n < 0 ? (int) n : 0;
}

void proc_file_done(ProcFile *f)
{
    closep(&f->fd);
    free(f->buf);
    *f = PROC_FILE_INIT;
}

int meminfo_parse(const char *text, Meminfo *ret)
{
    static const ProcKey keys[] = {
        PROC_KEY("MemTotal", Meminfo, total, .required = true),
        PROC_KEY("MemFree", Meminfo, free, .required = true),
        PROC_KEY("MemAvailable", Meminfo, available), /* since 3.14 */
        PROC_KEY("Buffers", Meminfo, buffers, .required = true),
        PROC_KEY("Cached", Meminfo, cached, .required = true),
        PROC_KEY("SwapCached", Meminfo, swap_cached),
        PROC_KEY("Active(anon)", Meminfo, active_anon), /* these four since 2.6.28 */
        PROC_KEY("Inactive(anon)", Meminfo, inactive_anon),
        PROC_KEY("Active(file)", Meminfo, active_file),
        PROC_KEY("Inactive(file)", Meminfo, inactive_file),
        PROC_KEY("Mlocked", Meminfo, mlocked),
        PROC_KEY("SwapTotal", Meminfo, swap_total, .required = true),
        PROC_KEY("SwapFree", Meminfo, swap_free, .required = true),
        PROC_KEY("Dirty", Meminfo, dirty),
        PROC_KEY("AnonPages", Meminfo, anon_pages),
        PROC_KEY("Shmem", Meminfo, shmem),
        PROC_KEY("SReclaimable", Meminfo, sreclaimable),
        PROC_KEY("Hugetlb", Meminfo, hugetlb), /* since 4.16 */
    };
    enum { AVAILABLE = 1U << 2, LISTS = 15U << 6 };
    Meminfo m = {};
    uint32_t found;
    int r;

    r = proc_parse_table(text, ':', "kB", 1024, keys, ELEMENTSOF(keys), &m, &found);
    if (r < 0)
        return r;

    m.has_available = found & AVAILABLE;
    m.has_lists = (found & LISTS) == LISTS;
    *ret = m;
    return 0;
}

int meminfo_parse_commit(const char *text, uint64_t *ret_limit, uint64_t *ret_committed)
{
    typedef struct Commit {
        uint64_t limit, committed;
    } Commit;
    static const ProcKey keys[] = {
        PROC_KEY("CommitLimit", Commit, limit, .required = true),
        PROC_KEY("Committed_AS", Commit, committed, .required = true),
    };
    uint32_t found;
    Commit c;
    int r;

    r = proc_parse_table(text, ':', "kB", 1024, keys, ELEMENTSOF(keys), &c, &found);
    if (r < 0)
        return r;

    *ret_limit = c.limit;
    *ret_committed = c.committed;
    return 0;
}

int vmstat_parse(const char *text, Vmstat *ret)
{
    static const ProcKey keys[] = {
        PROC_KEY("workingset_refault_anon", Vmstat, refault_anon), /* the two since 5.9 */
        PROC_KEY("workingset_refault_file", Vmstat, refault_file),
        PROC_KEY("workingset_refault", Vmstat, refault_file),
        PROC_KEY("pswpin", Vmstat, pswpin),
        PROC_KEY("pswpout", Vmstat, pswpout),
        PROC_KEY("allocstall", Vmstat, allocstall, .zones = true), /* by zone since 4.8 */
        PROC_KEY("pgfault", Vmstat, pgfault, .required = true),
        PROC_KEY("pgmajfault", Vmstat, pgmajfault, .required = true),
        PROC_KEY("pgsteal_kswapd", Vmstat, steal_kswapd, .zones = true), /* these four by zone until 4.8 */
        PROC_KEY("pgsteal_direct", Vmstat, steal_direct, .zones = true),
        PROC_KEY("pgsteal_anon", Vmstat, steal_anon),
        PROC_KEY("pgsteal_file", Vmstat, steal_file),
        PROC_KEY("pgscan_kswapd", Vmstat, scan_kswapd, .zones = true),
        PROC_KEY("pgscan_direct", Vmstat, scan_direct, .zones = true),
        PROC_KEY("oom_kill", Vmstat, oom_kill), /* since 4.13 */
    };
    uint32_t found;
    Vmstat v;
    int r;

    memset(&v, 0xff, sizeof(v)); /* VMSTAT_MISSING */
    r = proc_parse_table(text, ' ', "", 1, keys, ELEMENTSOF(keys), &v, &found);
    if (r < 0)
        return r;

    *ret = v;
    return 0;
}

/* A zone's watermarks have lines such as
 *         low      3932
 * Its page sets have lines like "high: 378", with a colon. */
int zoneinfo_parse_low(const char *text, uint64_t *ret_pages)
{
    uint64_t pages = 0, low;
    bool found = false;
    int r;

    for (const char *p = text; *p; p = *p ? p + 1 : p) {
        p = proc_skip_blanks(p);
        if (strncmp(p, "low ", 4) == 0) {
            r = proc_parse_value(p + 4, "", 1, &low);
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

/* Parses a line such as "              high:  821", and moves *text past it. */
static int parse_list_line(const char **text, const char *name, uint32_t *ret)
{
    const char *p = proc_skip_blanks(*text);
    size_t n = strlen(name);
    uint64_t v;
    int r;

    r = strncmp(p, name, n) == 0 ? proc_parse_value(p + n, "", 1, &v) : -EBADMSG;
    if (r < 0)
        return r;
    if (v > UINT32_MAX)
        return -EBADMSG;
    *ret = (uint32_t) v;
    p = strchrnul(p, '\n');
    *text = *p ? p + 1 : p;
    return 0;
}

/* A list has four such lines: cpu, count, high and batch. Newer kernels have more. */
int zoneinfo_next_list(const char **text, PageList *ret)
{
    const char *p = *text;
    PageList l;
    int r;

    while (*p && strncmp(proc_skip_blanks(p), "cpu: ", 5) != 0) {
        p = strchrnul(p, '\n');
        p = *p ? p + 1 : p;
    }
    if (!*p)
        return 0;
    r = parse_list_line(&p, "cpu: ", &l.cpu);
    if (r >= 0)
        r = parse_list_line(&p, "count: ", &l.pages);
    if (r >= 0)
        r = parse_list_line(&p, "high: ", &l.high);
    if (r >= 0)
        r = parse_list_line(&p, "batch: ", &l.batch);
    if (r < 0)
        return r;

    l.high_min = 0;
    (void) parse_list_line(&p, "high_min: ", &l.high_min);
    *text = p;
    *ret = l;
    return 1;
}

/* The numbers that end a line of buddyinfo, such as
 * Node 0, zone   Normal   2679  21551  14892      0      2
 * are the free blocks of 1, 2, 4 … pages. */
static int parse_free_blocks(const char *p, unsigned order, uint64_t *pages)
{
    uint64_t count = 0, size = 0;

    for (unsigned i = 0; *p != '\n'; i++) {
        p = proc_parse_number(p, &count);
        if (!p || i >= 32)
            return -EBADMSG;
        p = proc_skip_blanks(p);
        if (i < order && *p != '\n')
            continue;
        size = UINT64_C(1) << i;
        if (__builtin_mul_overflow(count, size, &count) || __builtin_add_overflow(*pages, count, pages))
            return -EBADMSG;
    }

    return size > 0 ? 0 : -EBADMSG;
}

int buddyinfo_parse(const char *text, unsigned order, uint64_t *ret_pages)
{
    uint64_t pages = 0;
    bool found = false;
    int r;

    for (const char *p = text; *p; p = *p ? p + 1 : p) {
        const char *end = strchrnul(p, '\n');
        const char *zone = strncmp(p, "Node ", 5) == 0 ? memmem(p, (size_t) (end - p), ", zone ", 7) : NULL;

        if (zone) {
            p = proc_skip_blanks(zone + 7);
            p = proc_skip_blanks(p + strcspn(p, " \n"));
            r = *end ? parse_free_blocks(p, order, &pages) : -EBADMSG;
            if (r < 0)
                return r;
            found = true;
        }
        p = end;
    }

    if (!found)
        return -EBADMSG;

    *ret_pages = pages;
    return 0;
}

/* Parses a size in KiB that a blank follows. Returns the text after it, or NULL. */
static const char *parse_swap_size(const char *p, uint64_t *ret_bytes)
{
    p = proc_parse_number(proc_skip_blanks(p), ret_bytes);
    return p && (*p == ' ' || *p == '\t') && !__builtin_mul_overflow(*ret_bytes, 1024, ret_bytes) ? p : NULL;
}

/* A line of swaps is "<name> <type> <size> <used> <priority>", both sizes in KiB. Blanks in a name are escaped. */
int swaps_parse_memory(const char *text, SwapMemory *ret)
{
    uint64_t bytes, used;
    SwapMemory m = {};

    if (strncmp(text, "Filename", 8) != 0)
        return -EBADMSG;

    for (const char *p = text; *p; p = *p ? p + 1 : p) {
        if (strncmp(p, "/dev/zram", 9) == 0) {
            p = proc_skip_blanks(p + strcspn(p, " \t\n"));
            p = parse_swap_size(p + strcspn(p, " \t\n"), &bytes);
            p = p ? parse_swap_size(p, &used) : NULL;
            if (!p || __builtin_add_overflow(m.total, bytes, &m.total))
                return -EBADMSG;
            m.free += LESS_BY(bytes, used);
        }
        p = strchrnul(p, '\n');
    }

    *ret = m;
    return 0;
}

/* Parses a percentage: "12.34" is 0.1234. Returns the text after it, or NULL. */
static const char *parse_percent(const char *p, double *ret_ratio)
{
    uint64_t whole, fraction = 0, scale = 1;

    p = proc_parse_number(p, &whole);
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

    for (p = proc_skip_blanks(p); p && *p && *p != '\n'; p = p ? proc_skip_blanks(p) : NULL)
        if (strncmp(p, "avg10=", 6) == 0) {
            p = parse_percent(p + 6, &ret->avg10);
            found |= AVG10;
        } else if (strncmp(p, "avg60=", 6) == 0) {
            p = parse_percent(p + 6, &ret->avg60);
            found |= AVG60;
        } else if (strncmp(p, "total=", 6) == 0) {
            p = proc_parse_number(p + 6, &ret->total_usec);
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

int meminfo_read(const char *root, Meminfo *ret)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    int r;

    r = proc_file_slurp(&f, root, "meminfo");
    return r < 0 ? r : meminfo_parse(f.buf, ret);
}

int vmstat_read(const char *root, Vmstat *ret)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    int r;

    r = proc_file_slurp(&f, root, "vmstat");
    return r < 0 ? r : vmstat_parse(f.buf, ret);
}

int zoneinfo_read_low(const char *root, uint64_t *ret_pages)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    int r;

    r = proc_file_slurp(&f, root, "zoneinfo");
    return r < 0 ? r : zoneinfo_parse_low(f.buf, ret_pages);
}

int swaps_read_memory(const char *root, SwapMemory *ret)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    int r;

    r = proc_file_slurp(&f, root, "swaps");
    return r < 0 ? r : swaps_parse_memory(f.buf, ret);
}

int psi_read(const char *folder, const char *name, Psi *ret)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    int r;

    r = proc_file_slurp(&f, folder, name);
    return r < 0 ? r : psi_parse(f.buf, ret);
}

/* A line of the table is "<name> <type> <value>"; the two above it have more fields, or none that is a
 * number. */
int arcstats_parse(const char *text, Arcstats *ret)
{
    enum { SIZE = 1, MINIMUM = 2 };
    Arcstats a = {};
    uint64_t type;
    unsigned found = 0;
    int r;

    for (const char *p = text; *p; p = *p ? p + 1 : p) {
        bool is_size = strncmp(p, "size ", 5) == 0;

        if (is_size || strncmp(p, "c_min ", 6) == 0) {
            p = proc_parse_number(proc_skip_blanks(p + (is_size ? 5 : 6)), &type);
            r = p ? proc_parse_value(p, "", 1, is_size ? &a.size : &a.minimum) : -EBADMSG;
            if (r < 0)
                return r;
            found |= is_size ? SIZE : MINIMUM;
        }
        p = strchrnul(p, '\n');
    }

    if (found != (SIZE | MINIMUM))
        return -EBADMSG;

    *ret = a;
    return 0;
}

int arcstats_read(const char *root, Arcstats *ret)
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    int r;

    r = proc_file_slurp(&f, root, "spl/kstat/zfs/arcstats");
    return r < 0 ? r : arcstats_parse(f.buf, ret);
}
