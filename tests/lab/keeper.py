# SPDX-License-Identifier: LGPL-2.1-or-later
"""Removes a lab when the process that started it has ended, for whatever reason.

    keeper.py FOLDER

Standard input is a pipe. Only the lab's owner holds its other end, and the kernel closes that when the owner ends, also
by SIGKILL. QEMUs are libvirtd's daemons, so the death of a parent wouldn't reach them."""

import sys
import time

from lab import clear_away

sys.stdin.buffer.read()
clear_away(sys.argv[1], patience=0)
# A process that had forked but not executed yet wasn't found by its folder.
time.sleep(0.5)
clear_away(sys.argv[1], patience=0)
