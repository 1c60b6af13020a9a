/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* ballastctl's commands, and what they share. */

#include "host-agent/ctl/client.h"
#include "host-agent/ctl/text.h"

/* The values of `set`: keys of the entitlement, each an option of that name. */
enum { CTL_VALUES_MAX = 5 };
extern const char *const ctl_set_keys[CTL_VALUES_MAX]; /* min full max shares mode */

/* Options that only some commands take. */
typedef enum CtlOption {
    CTL_OPTION_ALL = 1 << 0,
    CTL_OPTION_SET = 1 << 1, /* any of values, or clear */
    CTL_OPTION_TOGETHER = 1 << 2,
    CTL_OPTION_TEXT = 1 << 3,
    CTL_OPTION_SNAPSHOT = 1 << 4,
    CTL_OPTION_LIST = 1 << 5, /* any of CtlList */
} CtlOption;

/* The options of `list`, as they were given; texts are NULL if they weren't. */
typedef struct CtlList {
    bool wide, no_legend, watch;
    const char *columns, *sort, *interval;
} CtlList;

typedef struct Ctl {
    const struct Verb *verbs; /* all commands */
    size_t n_verbs;
    Client client;
    Screen screen;  /* standard output; standard error is the client's */
    unsigned given; /* CtlOptions */
    bool clear;
    const char *values[CTL_VALUES_MAX]; /* NULL: not given */
    const char *snapshot;
    CtlList list;
} Ctl;

/* A command. One with subcommands only chooses between them. */
typedef struct Verb {
    const char *name, *arguments, *summary;
    int min, max; /* arguments */
    CtlExit (*run)(Ctl *c, int n, char **arguments);
    const char *help;
    unsigned options; /* CtlOptions that it takes */
    const struct Verb *verbs;
    size_t n_verbs;
} Verb;

/* All commands, in the order of the help. verbs.c, and those of `policy` in policy.c. */
extern const Verb ctl_verbs[];
extern const size_t ctl_n_verbs;
enum { CTL_N_POLICY_VERBS = 5 };
extern const Verb ctl_policy_verbs[CTL_N_POLICY_VERBS];

/* command.c: the command that the first of n words name, with help its help; and the command `help`. */
CtlExit ctl_run(Ctl *c, bool help, int n, char **arguments);
CtlExit ctl_help(Ctl *c, int n, char **arguments);
/* option is as it was given; nearest: the name of a known one, or NULL. */
CtlExit ctl_unknown_option(const Ctl *c, const char *option, const char *nearest, int n, char **words);
/* list.c: the command `list`. */
CtlExit ctl_list(Ctl *c, int n, char **arguments);

CtlExit ctl_out_of_memory(const Ctl *c);
CtlExit ctl_print_json(const Ctl *c, json_object *o);
/* Prints JSON with --json, else calls view. */
CtlExit ctl_show(Ctl *c, json_object *o, int (*view)(const Screen *, json_object *));
/* Prints what an action did, by the daemon's answer: its "message", or with --json all of it. */
CtlExit ctl_show_done(Ctl *c, json_object *answer);
/* Prints a text for the user. With --json: {"key": value, …}; the list ends with NULL. */
CtlExit ctl_say(Ctl *c, const char *text, const char *key, const char *value, ...) _sentinel_;
