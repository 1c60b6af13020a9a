/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The file with KSM's saved settings may hold anything: it is taken whole or not at all, can be written again,
 * and after a restore nothing is left of it. */

#include "base/macro.h"
#include "host-agent/act/ksm.h"
#include "tests/fuzz/folder.h"
#include "tests/fuzz/fuzz.h"

#define SAVED "run/ksm"
#define SYSFS "kernel/mm/ksm/"

static const struct {
    HostField control;
    const char *file;
    const char *now; /* its value in the kernel */
} controls[] = {
    {HOST_FIELD_KSM_RUN, SYSFS "run", "0\n"},
    {HOST_FIELD_KSM_PAGES_TO_SCAN, SYSFS "pages_to_scan", "100\n"},
    {HOST_FIELD_KSM_SLEEP, SYSFS "sleep_millisecs", "20\n"},
    {HOST_FIELD_KSM_MERGE_ACROSS_NODES, SYSFS "merge_across_nodes", "1\n"},
};

static Ksm *recall(int *ret_error)
{
    char path[FUZZ_PATH_MAX];
    Ksm *k;
    int r;

    r = ksm_new(fuzz_folder, fuzz_path(path, SAVED), ret_error, &k);
    assert(r == 0);
    return k;
}

/* What the next daemon reads is what this one has written. */
static void check_again(const Ksm *k)
{
    _cleanup_(ksm_freep) Ksm *again = NULL;
    int64_t before, before_again;
    int error;

    again = recall(&error);
    assert(error == 0);
    for (size_t i = 0; i < ELEMENTSOF(controls); i++) {
        bool changed = ksm_changed(k, controls[i].control, &before);

        assert(ksm_changed(again, controls[i].control, &before_again) == changed);
        assert(!changed || before == before_again);
    }
}

/* A control gets its value back, or keeps the one that somebody else has set. */
static void check_restored(Ksm *k)
{
    int64_t before[ELEMENTSOF(controls)], was[ELEMENTSOF(controls)], ignored;
    KsmChange changes[KSM_CHANGES_MAX];
    bool changed[ELEMENTSOF(controls)];
    char path[FUZZ_PATH_MAX];

    for (size_t i = 0; i < ELEMENTSOF(controls); i++) {
        was[i] = fuzz_read_number(controls[i].file);
        changed[i] = ksm_changed(k, controls[i].control, &before[i]);
    }
    assert(ksm_restore(k, &(FieldSet){}, changes) <= KSM_CHANGES_MAX);
    for (size_t i = 0; i < ELEMENTSOF(controls); i++) {
        int64_t now = fuzz_read_number(controls[i].file);

        assert(!ksm_changed(k, controls[i].control, &ignored));
        assert(now == was[i] || (changed[i] && now == before[i]) || (before[i] == 2 && now == 0));
        assert(controls[i].control != HOST_FIELD_KSM_RUN || now == was[i] || now != 2);
    }
    assert(access(fuzz_path(path, SAVED), F_OK) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const HostDecision d = {.control = HOST_FIELD_KSM_PAGES_TO_SCAN, .value = 200, .send = true};
    KsmChange changes[KSM_CHANGES_MAX];
    _cleanup_(ksm_freep) Ksm *k = NULL;
    int64_t before;
    int error;

    (void) fuzz_folder_init();
    for (size_t i = 0; i < ELEMENTSOF(controls); i++)
        fuzz_write_text(controls[i].file, controls[i].now);
    fuzz_write_text(SYSFS "pages_shared", "0\n");
    fuzz_write(SAVED, data, size);

    k = recall(&error);
    assert(error <= 0);
    for (size_t i = 0; i < ELEMENTSOF(controls); i++)
        assert(error == 0 || !ksm_changed(k, controls[i].control, &before));
    assert(ksm_apply(k, &d, 1, changes) <= KSM_CHANGES_MAX);
    assert(ksm_changed(k, d.control, &before));
    check_again(k);
    check_restored(k);
    return 0;
}
