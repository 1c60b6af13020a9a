/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Finding the guests' processes, and reading them, in a /proc of the test's own. */

#include <check.h>
#include <string.h>

#include "host-agent/sense/qemu.h"
#include "tests/unit/qemu-process.h"

#define UUID_A "11111111-2222-3333-4444-5555555555aa"
#define UUID_B "11111111-2222-3333-4444-5555555555bb"
#define UUID_C "11111111-2222-3333-4444-5555555555cc"
#define USER   64055U

static FakeProcess process(int pid, const char *arguments, unsigned user)
{
    return (FakeProcess){.pid = pid,
                         .arguments = arguments,
                         .users = {user, user, user},
                         .rss_kib = 1024 * 1024,
                         .swap_kib = 10240,
                         .start = 1000 + (unsigned long) pid};
}

START_TEST(test_arguments)
{
    static const struct {
        const char *arguments, *uuid; /* NULL: none is found */
    } cases[] = {
        {"/usr/bin/qemu-system-x86_64|-name|guest=a|-uuid|" UUID_A "|-no-user-config|", UUID_A},
        {"qemu|--uuid|" UUID_A "|", UUID_A},
        {"qemu|-uuid|11111111-2222-3333-4444-5555555555AA|", UUID_A},
        {"qemu|-smbios|type=1,manufacturer=us,uuid=" UUID_B ",family=vm|", UUID_B},
        {"qemu|-smbios|type=1,uuid=" UUID_B "|", UUID_B},
        {"qemu|-smbios|type=0,uuid=" UUID_B "|", NULL},
        {"qemu|-smbios|type=1,product=x,,uuid=" UUID_B "|", NULL}, /* a product of that name */
        {"qemu|-uuid|" UUID_A, UUID_A},                            /* its end is the end of what was read */
        {"qemu|-uuid|", NULL},
        {"qemu|-uuid|11111111-2222-3333-4444-5555555555a|", NULL},
        {"qemu|-uuid|11111111-2222-3333-4444-5555555555aaa|", NULL},
        {"qemu|-uuid|11111111x2222-3333-4444-5555555555aa|", NULL},
        {"qemu|uuid|" UUID_A "|", NULL},
        {UUID_A "|", NULL},
        {"|||", NULL},
        {"", NULL},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        char arguments[256] = "", uuid[QEMU_UUID_MAX];
        size_t length = strlen(cases[i].arguments);
        int r;

        for (size_t c = 0; c < length; c++)
            arguments[c] = cases[i].arguments[c] == '|' ? '\0' : cases[i].arguments[c];
        r = qemu_uuid(arguments, length + 1, uuid);
        ck_assert_msg(r == (cases[i].uuid ? 0 : -ENOENT), "%s: %d", cases[i].arguments, r);
        if (cases[i].uuid)
            ck_assert_str_eq(uuid, cases[i].uuid);
    }
}
END_TEST

/* A /proc, and a reader of it. */
typedef struct Stage {
    char folder[TEMP_FOLDER_MAX];
    QemuReader reader;
    QemuProcess a, b, c;
} Stage;

static void begin(Stage *s)
{
    *s = (Stage){};
    temp_folder_init(s->folder);
    temp_file(s->folder, "self/status", "nothing");
    temp_file(s->folder, "meminfo", "nothing");
    qemu_reader_init(&s->reader, s->folder);
}

static void end(Stage *s)
{
    qemu_process_done(&s->a);
    qemu_process_done(&s->b);
    qemu_process_done(&s->c);
    qemu_reader_done(&s->reader);
    temp_folder_done(s->folder);
}

static void add(Stage *s, FakeProcess p)
{
    fake_process(s->folder, &p);
}

/* The process's arguments. */
static void replace_by_pipe(const Stage *s, int pid)
{
    char path[128];

    (void) snprintf(path, sizeof(path), "%s/%d/cmdline", s->folder, pid);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
}

static int find(Stage *s, uid_t user)
{
    QemuWanted wanted[] = {{UUID_A, user, s->a.pid}, {UUID_B, user, s->b.pid}, {UUID_C, user, s->c.pid}};
    QemuProcess *const processes[] = {&s->a, &s->b, &s->c};
    _Atomic pid_t at;
    int r = qemu_find(s->reader.proc_root, wanted, ELEMENTSOF(wanted), &at);

    for (size_t i = 0; i < ELEMENTSOF(wanted); i++)
        if (processes[i]->pid == 0)
            *processes[i] = (QemuProcess){.pid = wanted[i].pid, .start_ticks = wanted[i].start_ticks};
    return r;
}

START_TEST(test_find)
{
    Stage s;

    begin(&s);
    add(&s, process(17, "qemu|-uuid|" UUID_B "|", USER));
    add(&s, process(4711, "qemu|-uuid|" UUID_A "|", USER));
    add(&s, process(99, "qemu|-uuid|11111111-2222-3333-4444-000000000000|", USER));
    add(&s, process(2, "", 0)); /* a thread of the kernel */
    ck_assert_int_eq(find(&s, USER), 2);
    ck_assert_int_eq(s.a.pid, 4711);
    ck_assert_uint_eq(s.a.start_ticks, 5711);
    ck_assert_int_eq(s.b.pid, 17);
    ck_assert_int_eq(s.c.pid, 0);
    /* What is known stays, and what has begun since is found. */
    add(&s, process(3, "qemu|-uuid|" UUID_A "|", USER));
    add(&s, process(18, "qemu|-uuid|" UUID_C "|", USER));
    ck_assert_int_eq(find(&s, USER), 1);
    ck_assert_int_eq(s.a.pid, 4711);
    ck_assert_int_eq(s.c.pid, 18);
    end(&s);
}
END_TEST

/* Anyone can start a process with a guest's UUID. */
START_TEST(test_users)
{
    const struct {
        uid_t wanted;
        unsigned users[3];
        bool taken;
    } cases[] = {
        {USER, {USER, USER, USER}, true},
        {USER, {1000, 1000, 1000}, false},
        {USER, {0, 0, 0}, false},
        {0, {0, 0, 0}, true},
        {0, {1000, 0, 0}, false}, /* a set-user-ID program */
        {0, {0, 0, 1000}, false},
        {1000, {1000, 1000, 1000}, true},
        {DOMAIN_USER_UNKNOWN, {0, 0, 0}, true},
        {DOMAIN_USER_UNKNOWN, {107, 107, 107}, true},
        {DOMAIN_USER_UNKNOWN, {geteuid(), geteuid(), geteuid()}, true},
        {DOMAIN_USER_UNKNOWN, {1234567, 1234567, 1234567}, false},
        {DOMAIN_USER_UNKNOWN, {1234567, 0, 0}, false},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        FakeProcess p = process(17, "qemu|-uuid|" UUID_A "|", 0);
        Stage s;

        begin(&s);
        memcpy(p.users, cases[i].users, sizeof(p.users));
        add(&s, p);
        ck_assert_msg(find(&s, cases[i].wanted) == cases[i].taken, "row %zu", i);
        end(&s);
    }
}
END_TEST

/* Whoever reads the arguments of these waits for ever: only those of a guest's user are read, and of no process that is
 * known. */
START_TEST(test_a2_arguments_of_strangers_are_not_read)
{
    Stage s;

    begin(&s);
    add(&s, process(17, "qemu|-uuid|" UUID_A "|", USER));
    ck_assert_int_eq(find(&s, USER), 1);
    replace_by_pipe(&s, 17);
    for (int pid = 1; pid <= 16; pid++) {
        add(&s, process(pid, "", pid % 2 ? 1000 : 0));
        replace_by_pipe(&s, pid);
    }
    add(&s, process(18, "qemu|-uuid|" UUID_B "|", USER));
    ck_assert_int_eq(find(&s, USER), 1);
    ck_assert_int_eq(s.a.pid, 17);
    ck_assert_int_eq(s.b.pid, 18);
    end(&s);
}
END_TEST

START_TEST(test_look)
{
    FakeProcess p = process(17, "qemu|-uuid|" UUID_A "|", USER);
    ProcessLook l;
    Stage s;

    begin(&s);
    p.shmem_kib = 2048;
    add(&s, p);
    ck_assert_int_eq(find(&s, USER), 1);
    ck_assert_int_eq(qemu_look(&s.reader, &s.a, true, &l), 0);
    ck_assert_uint_eq(l.rss_bytes, GIB);
    ck_assert_uint_eq(l.swap_bytes, 10 * MIB);
    ck_assert_uint_eq(l.shmem_bytes, 2 * MIB);
    ck_assert_uint_eq(l.merged_bytes, 0); /* the file is missing, as on a kernel without KSM */
    ck_assert_uint_eq(l.major_faults, 55);
    ck_assert_uint_eq(l.cpu_usec, 500 * USEC_PER_SEC / (usec_t) sysconf(_SC_CLK_TCK));
    temp_file(s.folder, "17/ksm_merging_pages", "256\n");
    ck_assert_int_eq(qemu_look(&s.reader, &s.a, true, &l), 0);
    ck_assert_uint_eq(l.merged_bytes, 256 * (uint64_t) sysconf(_SC_PAGESIZE));
    ck_assert_int_eq(qemu_look(&s.reader, &s.a, false, &l), 0);
    ck_assert_uint_eq(l.merged_bytes, 0);
    end(&s);
}
END_TEST

/* What costs more is read only if resident memory changed, or after ten looks. */
START_TEST(test_status_is_read_if_needed)
{
    FakeProcess p = process(17, "qemu|-uuid|" UUID_A "|", USER);
    ProcessLook l;
    Stage s;

    begin(&s);
    add(&s, p);
    ck_assert_int_eq(find(&s, USER), 1);
    ck_assert_int_eq(qemu_look(&s.reader, &s.a, false, &l), 0);
    p.swap_kib = 51200;
    p.rss_kib += 512;
    add(&s, p);
    ck_assert_int_eq(qemu_look(&s.reader, &s.a, false, &l), 0);
    ck_assert_uint_eq(l.rss_bytes, GIB + 512 * KIB);
    ck_assert_uint_eq(l.swap_bytes, 10 * MIB);
    p.rss_kib -= 2048;
    add(&s, p);
    ck_assert_int_eq(qemu_look(&s.reader, &s.a, false, &l), 0);
    ck_assert_uint_eq(l.rss_bytes, GIB - 1536 * KIB);
    ck_assert_uint_eq(l.swap_bytes, 50 * MIB);
    p.swap_kib = 0;
    add(&s, p);
    for (unsigned i = 0; i < 9; i++) {
        ck_assert_int_eq(qemu_look(&s.reader, &s.a, false, &l), 0);
        ck_assert_uint_eq(l.swap_bytes, 50 * MIB);
    }
    ck_assert_int_eq(qemu_look(&s.reader, &s.a, false, &l), 0);
    ck_assert_uint_eq(l.swap_bytes, 0);
    end(&s);
}
END_TEST

START_TEST(test_look_at_what_has_ended)
{
    FakeProcess p = process(17, "qemu|-uuid|" UUID_A "|", USER);
    ProcessLook l;
    Stage s;

    begin(&s);
    add(&s, p);
    ck_assert_int_eq(find(&s, USER), 1);
    /* Another process has its number now. */
    p.start++;
    add(&s, p);
    ck_assert_int_eq(qemu_look(&s.reader, &s.a, false, &l), -ESRCH);
    p.start--;
    add(&s, p);
    ck_assert_int_eq(qemu_look(&s.reader, &s.a, false, &l), 0);
    /* It ends. */
    s.a.since = 100;
    temp_file(s.folder, "17/status", "Name:\tqemu\nState:\tZ (zombie)\nUid:\t1\t1\t1\t1\n");
    ck_assert_int_eq(qemu_look(&s.reader, &s.a, false, &l), -ESRCH);
    temp_file(s.folder, "17/stat", NULL);
    ck_assert_int_eq(qemu_look(&s.reader, &s.a, false, &l), -ESRCH);
    end(&s);
}
END_TEST

START_TEST(test_no_proc)
{
    ProcessLook l;
    Stage s;

    begin(&s);
    s.reader.proc_root = "/nothing/there";
    ck_assert_int_eq(find(&s, USER), -ENOENT);
    s.a.pid = 17;
    ck_assert_int_eq(qemu_look(&s.reader, &s.a, false, &l), -ENOENT);
    end(&s);
}
END_TEST

START_TEST(test_cgroup_of_a_domain)
{
    static const struct {
        const char *path, *folder; /* NULL: it may be shared */
    } cases[] = {
        {"/machine.slice/machine-qemu\\x2d1\\x2dweb.scope/libvirt/emulator",
         "/machine.slice/machine-qemu\\x2d1\\x2dweb.scope"},
        {"/machine.slice/machine-qemu\\x2d1\\x2dweb.scope",
         "/machine.slice/machine-qemu\\x2d1\\x2dweb.scope"},
        {"/machine/qemu-1-web.libvirt-qemu/emulator", "/machine/qemu-1-web.libvirt-qemu"},
        {"/system.slice/libvirtd.service", NULL},
        {"/user.slice/user-1000.slice/session-1.scope", NULL},
        {"/machine.slice/machine-lxc\\x2d1.scope", NULL},
        {"/", NULL},
        {"", NULL},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        size_t n = qemu_cgroup_length(cases[i].path, strlen(cases[i].path));

        ck_assert_msg(n == (cases[i].folder ? strlen(cases[i].folder) : 0), "%s: %zu", cases[i].path, n);
        ck_assert(n == 0 || strncmp(cases[i].path, cases[i].folder, n) == 0);
    }
}
END_TEST

/* A guest of 4 GiB on memfd, of which 1 GiB is in VmRSS, and 2 GiB more were touched by others or swapped out. */
static FakeProcess shared_process(void)
{
    FakeProcess p = process(17, "qemu|-uuid|" UUID_A "|", USER);

    p.rss_kib = 1100 * 1024;
    p.shmem_kib = 1024 * 1024;
    p.swap_kib = 1024;
    return p;
}

/* v2 is mounted in that folder of the stage, and v1's memory controller in memory, if at all. */
static void add_mounts(const Stage *s, const char *v2, bool v1)
{
    char text[512];
    int n = snprintf(text, sizeof(text), "cgroup2 %s/%s cgroup2 rw 0 0\n", s->folder, v2);

    if (v1)
        (void) snprintf(text + n, sizeof(text) - (size_t) n, "cgroup %s/memory cgroup rw,memory 0 0\n",
                        s->folder);
    temp_file(s->folder, "mounts", text);
}

START_TEST(test_shared_memory_v2)
{
    ProcessLook l;
    Stage s;

    begin(&s);
    add(&s, shared_process());
    add_mounts(&s, "cgroup", false);
    temp_file(s.folder, "17/cgroup", "0::/machine.slice/machine-qemu-1.scope/libvirt/emulator\n");
    temp_file(s.folder, "cgroup/machine.slice/machine-qemu-1.scope/memory.stat",
              "active_file 1\ninactive_file 1\nshmem 2147483648\n");
    temp_file(s.folder, "cgroup/machine.slice/machine-qemu-1.scope/memory.swap.current", "536870912\n");
    ck_assert_int_eq(find(&s, USER), 1);
    ck_assert_int_eq(qemu_look(&s.reader, &s.a, false, &l), 0);
    ck_assert_uint_eq(l.shmem_bytes, 2 * GIB);
    ck_assert_uint_eq(l.rss_bytes, 2 * GIB + 76 * MIB);
    ck_assert_uint_eq(l.swap_bytes, 512 * MIB);
    end(&s);
}
END_TEST

START_TEST(test_shared_memory_v1)
{
    ProcessLook l;
    Stage s;

    begin(&s);
    add(&s, shared_process());
    add_mounts(&s, "unified", true);
    temp_file(
        s.folder, "17/cgroup",
        "4:cpu:/machine/qemu-1-a.libvirt-qemu/emulator\n3:memory:/machine/qemu-1-a.libvirt-qemu/emulator\n0::/\n");
    temp_file(s.folder, "memory/machine/qemu-1-a.libvirt-qemu/memory.stat",
              "total_active_file 1\ntotal_inactive_file 1\ntotal_shmem 2147483648\ntotal_swap 536870912\n");
    ck_assert_int_eq(find(&s, USER), 1);
    ck_assert_int_eq(qemu_look(&s.reader, &s.a, false, &l), 0);
    ck_assert_uint_eq(l.shmem_bytes, 2 * GIB);
    ck_assert_uint_eq(l.swap_bytes, 512 * MIB);
    end(&s);
}
END_TEST

/* Without a cgroup of its own, and of a guest whose memory is its own. */
START_TEST(test_no_cgroup)
{
    FakeProcess p = shared_process();
    ProcessLook l;
    Stage s;

    begin(&s);
    add(&s, p);
    add_mounts(&s, "cgroup", false);
    temp_file(s.folder, "17/cgroup", "0::/system.slice/libvirtd.service\n");
    ck_assert_int_eq(find(&s, USER), 1);
    ck_assert_int_eq(qemu_look(&s.reader, &s.a, false, &l), 0);
    ck_assert_uint_eq(l.rss_bytes, 1100 * MIB);
    ck_assert_str_eq(s.a.cgroup, "");
    qemu_process_done(&s.a);
    p.shmem_kib = 1024;
    add(&s, p);
    ck_assert_int_eq(find(&s, USER), 1);
    ck_assert_int_eq(qemu_look(&s.reader, &s.a, false, &l), 0);
    ck_assert_ptr_null(s.a.cgroup); /* not looked for */
    end(&s);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("qemu");

    tcase_add_test(t, test_arguments);
    tcase_add_test(t, test_find);
    tcase_add_test(t, test_users);
    tcase_add_test(t, test_a2_arguments_of_strangers_are_not_read);
    tcase_add_test(t, test_look);
    tcase_add_test(t, test_status_is_read_if_needed);
    tcase_add_test(t, test_look_at_what_has_ended);
    tcase_add_test(t, test_no_proc);
    tcase_add_test(t, test_cgroup_of_a_domain);
    tcase_add_test(t, test_shared_memory_v2);
    tcase_add_test(t, test_shared_memory_v1);
    tcase_add_test(t, test_no_cgroup);
    return run_tests(t);
}
