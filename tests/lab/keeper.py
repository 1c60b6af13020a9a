# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clears a lab away when whoever started it is gone, however that happened.

    keeper.py FOLDER

Standard input is a pipe. Only the lab's owner holds its other end, and the kernel closes that when the owner ends, also
by SIGKILL. QEMUs are libvirtd's daemons, so the death of a parent wouldn't reach them."""

import sys
import time

from lab import clear_away

sys.stdin.buffer.read()
clear_away(sys.argv[1], patience=0)
# What had been forked and not executed yet wasn't known by its folder.
time.sleep(0.5)
clear_away(sys.argv[1], patience=0)
