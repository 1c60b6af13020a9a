#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks that every include and every call points down the ladder of rooms (rooms/ladder.py), and that no files lead
to each other in a circle.

usage: check-rooms.py ROOT BUILD             a line for each violation, and 1 where there is one
       check-rooms.py --self-test            plants violations: each must be found, and nothing else
"""

import pathlib
import sys

sys.dont_write_bytecode = True

from rooms import check, selftest  # noqa: E402


def main():
    args = sys.argv[1:]
    if args == ['--self-test']:
        return selftest.run()
    if len(args) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    return check.run(pathlib.Path(args[0]), pathlib.Path(args[1]))


if __name__ == '__main__':
    sys.exit(main())
