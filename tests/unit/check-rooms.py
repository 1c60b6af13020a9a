#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks that every include and every call points down the ladder of rooms (rooms/ladder.py), and that no files lead
to each other in a circle.

usage: check-rooms.py ROOT BUILD             a line for each violation, and 1 where there is one
       check-rooms.py --self-test            plants violations: each must be found, and nothing else
       check-rooms.py --figures ROOT BUILD   rooms, files, functions, structs and circles, in figures
       check-rooms.py --writers ROOT BUILD   structs with more than ten members, and the files that write to them
"""

import pathlib
import sys

sys.dont_write_bytecode = True

from rooms import check, figures, selftest, writers  # noqa: E402

COMMANDS = {'--figures': figures.run, '--writers': writers.run}


def main():
    args = sys.argv[1:]
    if args == ['--self-test']:
        return selftest.run()
    command = COMMANDS[args.pop(0)] if args and args[0] in COMMANDS else check.run
    if len(args) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    return command(pathlib.Path(args[0]), pathlib.Path(args[1]))


if __name__ == '__main__':
    sys.exit(main())
