/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reads the guest's memory figures from procfs into a Report. */

#include "guest-agent/collect.h"

#include <fcntl.h>
#include <string.h>

/* The watermarks change seldom: when memory is hotplugged or an administrator sets min_free_kbytes. On a
 * large guest zoneinfo, with a paragraph for each CPU and zone, costs more to read than all other files
 * together. */
#define LOW_WATERMARK_INTERVAL_USEC (30 * USEC_PER_SEC)

int collector_open(Collector *c, const char *root)
{
    int r;

    *c = COLLECTOR_INIT;
    c->root = root;
    c->page_bytes = (uint64_t) sysconf(_SC_PAGESIZE);

    r = proc_file_open(&c->meminfo, root, "meminfo");
    if (r < 0)
        return r;

    /* A missing file stays closed, and its fields are left out. */
    (void) proc_file_open(&c->vmstat, root, "vmstat");
    (void) proc_file_open(&c->psi_memory, root, "pressure/memory");
    (void) proc_file_open(&c->psi_io, root, "pressure/io");
    return 0;
}

void collector_done(Collector *c)
{
    proc_file_done(&c->meminfo);
    proc_file_done(&c->vmstat);
    proc_file_done(&c->psi_memory);
    proc_file_done(&c->psi_io);
}

/* The kernel does not take all figures at the same moment, so a part can come out a little above its total.
 * The host would refuse the whole report. */
static void set_part(Report *r, ReportField f, uint64_t bytes, uint64_t total_bytes)
{
    report_set(r, f, MIN(bytes, total_bytes));
}

static int collect_meminfo(Collector *c, Report *r)
{
    Meminfo m;
    ssize_t n;
    int k;

    n = proc_file_read(&c->meminfo);
    if (n < 0)
        return (int) n;
    k = meminfo_parse(c->meminfo.buf, &m);
    if (k < 0)
        return k;

    report_set(r, REPORT_MEM_TOTAL, m.total);
    set_part(r, REPORT_MEM_FREE, m.free, m.total);
    if (m.has_available)
        set_part(r, REPORT_MEM_AVAILABLE, m.available, m.total);
    set_part(r, REPORT_BUFFERS, m.buffers, m.total);
    set_part(r, REPORT_CACHED, m.cached, m.total);
    set_part(r, REPORT_SRECLAIMABLE, m.sreclaimable, m.total);
    set_part(r, REPORT_SHMEM, m.shmem, m.total);
    set_part(r, REPORT_ANON_PAGES, m.anon_pages, m.total);
    set_part(r, REPORT_DIRTY, m.dirty, m.total);
    set_part(r, REPORT_MLOCKED, m.mlocked, m.total);
    report_set(r, REPORT_SWAP_TOTAL, m.swap_total);
    set_part(r, REPORT_SWAP_FREE, m.swap_free, m.swap_total);
    return 0;
}

static void set_counter(Report *r, ReportField f, uint64_t count, uint64_t unit)
{
    if (count != VMSTAT_MISSING)
        report_set(r, f, count * unit);
}

static void collect_vmstat(Collector *c, Report *r)
{
    Vmstat v;

    if (c->vmstat.fd < 0 || proc_file_read(&c->vmstat) < 0 || vmstat_parse(c->vmstat.buf, &v) < 0)
        return;

    set_counter(r, REPORT_SWAP_IN, v.pswpin, c->page_bytes);
    set_counter(r, REPORT_SWAP_OUT, v.pswpout, c->page_bytes);
    set_counter(r, REPORT_MAJOR_FAULTS, v.pgmajfault, 1);
    set_counter(r, REPORT_FAULTS, v.pgfault, 1);
    set_counter(r, REPORT_REFAULT_ANON, v.refault_anon, c->page_bytes);
    set_counter(r, REPORT_REFAULT_FILE, v.refault_file, c->page_bytes);
    set_counter(r, REPORT_SCAN_DIRECT, v.scan_direct, c->page_bytes);
    set_counter(r, REPORT_SCAN_KSWAPD, v.scan_kswapd, c->page_bytes);
    set_counter(r, REPORT_STEAL_DIRECT, v.steal_direct, c->page_bytes);
    set_counter(r, REPORT_STEAL_KSWAPD, v.steal_kswapd, c->page_bytes);
    set_counter(r, REPORT_ALLOC_STALLS, v.allocstall, 1);
    set_counter(r, REPORT_OOM_KILLS, v.oom_kill, 1);
}

static uint64_t centipercent(double ratio)
{
    return ratio >= 1 ? 10000 : ratio > 0 ? (uint64_t) (ratio * 10000 + 0.5) : 0;
}

/* first: the resource's first field. Its other fields follow in report.def's order. */
static void collect_psi(ProcFile *f, Report *r, ReportField first)
{
    Psi p;

    if (f->fd < 0 || proc_file_read(f) < 0 || psi_parse(f->buf, &p) < 0)
        return;

    report_set(r, first, centipercent(p.some.avg10));
    report_set(r, first + 1, p.some.total_usec);
    if (!p.has_full)
        return;
    report_set(r, first + 2, centipercent(p.full.avg10));
    report_set(r, first + 3, p.full.total_usec);
}

static void collect_low_watermark(Collector *c, Report *r)
{
    uint64_t pages;

    if (usec_since(c->low_usec, r->at_usec) >= LOW_WATERMARK_INTERVAL_USEC) {
        c->low_bytes = zoneinfo_read_low(c->root, &pages) < 0 ? 0 : pages * c->page_bytes;
        c->low_usec = r->at_usec;
    }
    if (c->low_bytes > 0)
        set_part(r, REPORT_LOW_WATERMARK, c->low_bytes, report_get(r, REPORT_MEM_TOTAL));
}

int collector_read(Collector *c, Report *ret)
{
    Report r = {.at_usec = now_usec(CLOCK_BOOTTIME)};
    int k;

    k = collect_meminfo(c, &r);
    if (k < 0)
        return k;
    collect_vmstat(c, &r);
    collect_psi(&c->psi_memory, &r, REPORT_PSI_MEMORY_SOME_AVG10);
    collect_psi(&c->psi_io, &r, REPORT_PSI_IO_SOME_AVG10);
    collect_low_watermark(c, &r);

    *ret = r;
    return 0;
}

int read_boot_id(const char *root, char ret[static 37])
{
    _cleanup_(proc_file_done) ProcFile f = PROC_FILE_INIT;
    ssize_t n;
    int r;

    r = proc_file_open(&f, root, "sys/kernel/random/boot_id");
    if (r < 0)
        return r;
    n = proc_file_read(&f);
    if (n < 0)
        return (int) n;
    f.buf[strcspn(f.buf, "\n")] = '\0';
    if (strlen(f.buf) != 36)
        return -EBADMSG;
    memcpy(ret, f.buf, 37);
    return 0;
}
