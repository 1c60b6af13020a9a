/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The names of messages and their values, and which values are possible, in messages received and sent. */

#include "proto/message.h"

#include <string.h>

#include "base/macro.h"
#include "proto/refuse.h"

const char *message_type_to_string(MessageType t)
{
    switch (t) {
    case MESSAGE_HELLO:
        return "hello";
    case MESSAGE_WELCOME:
        return "welcome";
    case MESSAGE_CONFIGURE:
        return "configure";
    case MESSAGE_REPORT:
        return "report";
    case MESSAGE_DISTRESS:
        return "distress";
    case MESSAGE_GOODBYE:
        return "goodbye";
    case MESSAGE_RECLAIM:
        return "reclaim";
    case MESSAGE_COMPACT:
        return "compact";
    case MESSAGE_RECLAIMED:
        return "reclaimed";
    case MESSAGE_TYPE_MAX:
    case MESSAGE_TYPE_INVALID:
        break;
    }

    return NULL;
}

const char *distress_cause_to_string(DistressCause c)
{
    switch (c) {
    case DISTRESS_PSI:
        return "psi";
    case DISTRESS_SWAP_IN:
        return "swap-in";
    case DISTRESS_STALL:
        return "stall";
    case DISTRESS_OOM:
        return "oom";
    case DISTRESS_REFAULT:
        return "refault";
    case DISTRESS_AUTODEFLATE:
        return "auto-deflate";
    }

    return NULL;
}

const char *lever_end_to_string(LeverEnd e)
{
    switch (e) {
    case LEVER_END_DONE:
        return "done";
    case LEVER_END_REFAULTS:
        return "refaults";
    case LEVER_END_STALLS:
        return "stalls";
    case LEVER_END_NO_MORE:
        return "no-more";
    case LEVER_END_BUSY:
        return "busy";
    case LEVER_END_FAILED:
        return "failed";
    case LEVER_END_STOPPED:
        return "stopped";
    case LEVER_END_MAX:
        break;
    }

    return NULL;
}

static int check_text(const char *text, size_t size, const char *name, const char **ret_what)
{
    size_t length = strnlen(text, size);

    if (length == size)
        return refuse(ret_what, name, -ENAMETOOLONG);

    for (size_t i = 0; i < length; i++)
        if (text[i] < ' ' || text[i] > '~')
            return refuse(ret_what, name, -EILSEQ);

    return 0;
}

static bool is_hex_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_uuid(const char *s)
{
    for (size_t i = 0; i < 36; i++)
        if (i == 8 || i == 13 || i == 18 || i == 23 ? s[i] != '-' : !is_hex_digit(s[i]))
            return false;

    return s[36] == '\0';
}

static int check_hello(const Message *m, const char **ret_what)
{
    int r;

    if (m->protocol != PROTOCOL_VERSION)
        return refuse(ret_what, "protocol", -EPROTONOSUPPORT);
    if (!is_uuid(m->boot_id))
        return refuse(ret_what, "boot_id", -EILSEQ);
    if (m->boot_usec > GUEST_UPTIME_MAX_USEC)
        return refuse(ret_what, "boot_usec", -ERANGE);

    r = check_text(m->version, sizeof(m->version), "agent_version", ret_what);
    if (r < 0)
        return r;

    r = check_text(m->text, sizeof(m->text), "kernel", ret_what);
    if (r < 0)
        return r;

    return check_text(m->levers_missing, sizeof(m->levers_missing), "levers_missing", ret_what);
}

static int check_welcome(const Message *m, const char **ret_what)
{
    if (m->protocol != PROTOCOL_VERSION)
        return refuse(ret_what, "protocol", -EPROTONOSUPPORT);
    if (!m->has_nonce)
        return refuse(ret_what, "nonce", -ENODATA);

    return check_text(m->version, sizeof(m->version), "host_version", ret_what);
}

static int check_distress(const Message *m, const char **ret_what)
{
    if (m->cause < DISTRESS_PSI || m->cause > DISTRESS_OOM)
        return refuse(ret_what, "cause", -ERANGE);

    return m->report.present == 0 ? 0 : report_check(&m->report, ret_what);
}

static int check_reclaim(const Message *m, const char **ret_what)
{
    if (m->id == 0)
        return refuse(ret_what, "id", -ERANGE);
    if (m->bytes == 0 || m->bytes > GUEST_MEMORY_MAX_BYTES)
        return refuse(ret_what, "bytes", -ERANGE);

    return 0;
}

static int check_reclaimed(const Message *m, const char **ret_what)
{
    if (m->id == 0)
        return refuse(ret_what, "id", -ERANGE);
    if (m->bytes > GUEST_MEMORY_MAX_BYTES)
        return refuse(ret_what, "got", -ERANGE);
    if (m->refaulted_bytes > GUEST_MEMORY_MAX_BYTES)
        return refuse(ret_what, "refaulted", -ERANGE);
    if (m->stalled_usec > GUEST_UPTIME_MAX_USEC)
        return refuse(ret_what, "stalled_usec", -ERANGE);
    if (m->cpu_usec > GUEST_UPTIME_MAX_USEC)
        return refuse(ret_what, "cpu_usec", -ERANGE);
    if (m->why < LEVER_END_DONE || m->why >= LEVER_END_MAX)
        return refuse(ret_what, "why", -ERANGE);
    if (m->error < 0 || m->error > ERRNO_MAX)
        return refuse(ret_what, "error", -ERANGE);

    return 0;
}

int message_check(const Message *m, const char **ret_what)
{
    switch (m->type) {
    case MESSAGE_HELLO:
        return check_hello(m, ret_what);
    case MESSAGE_WELCOME:
        return check_welcome(m, ret_what);
    case MESSAGE_CONFIGURE:
        if (m->interval_usec < REPORT_INTERVAL_MIN_USEC || m->interval_usec > REPORT_INTERVAL_MAX_USEC)
            return refuse(ret_what, "interval_usec", -ERANGE);
        return 0;
    case MESSAGE_REPORT:
        return report_check(&m->report, ret_what);
    case MESSAGE_DISTRESS:
        return check_distress(m, ret_what);
    case MESSAGE_GOODBYE:
        return check_text(m->text, sizeof(m->text), "reason", ret_what);
    case MESSAGE_RECLAIM:
        return check_reclaim(m, ret_what);
    case MESSAGE_COMPACT:
        return m->id == 0 ? refuse(ret_what, "id", -ERANGE) : 0;
    case MESSAGE_RECLAIMED:
        return check_reclaimed(m, ret_what);
    case MESSAGE_TYPE_MAX:
    case MESSAGE_TYPE_INVALID:
        break;
    }

    return refuse(ret_what, "message", -EBADMSG);
}
