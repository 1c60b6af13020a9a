#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The manual pages format without a warning. Usage: test-manuals.py PAGE-OR-FOLDER…"""

import glob
import os
import shutil
import subprocess
import sys

if not shutil.which("man"):
    print("skipped: there is no man")
    sys.exit(77)
pages = [p for a in sys.argv[1:] for p in (sorted(glob.glob(f"{a}/*.[0-9]")) if os.path.isdir(a) else [a])]
if not pages:
    sys.exit("no page was given")
failed = 0
for page in pages:
    # At a width of its own, as a terminal's would decide whether a line can be adjusted.
    r = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True, env={**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8"})
    if r.returncode != 0 or r.stderr or len(r.stdout) < 1000:
        failed += 1
        print(f"{page}: exit {r.returncode}, {len(r.stdout)} bytes\n{r.stderr}")
print(f"{len(pages)} pages, {failed} with faults")
sys.exit(1 if failed else 0)
