# SPDX-License-Identifier: LGPL-2.1-or-later
"""The machine's KSM: opened to the lab's user, and restored in any case, even after a lab that was killed. Needs
root."""

import json
import os
import re

KSM = '/sys/kernel/mm/ksm'
CONTROLS = {'run': 0, 'pages_to_scan': 100, 'sleep_millisecs': 20}  # as they are for the tests


def read(name):
    with open(os.path.join(KSM, name)) as f:
        return f.read().strip()


def write(name, value):
    with open(os.path.join(KSM, name), 'w') as f:
        f.write(f'{value}\n')


def values():
    return {name: int(read(name)) for name in CONTROLS}


class Machine:
    """The machine's KSM settings, kept in a file of the lab's folder."""

    def __init__(self, lab):
        names = [n for n in (*CONTROLS, 'merge_across_nodes', 'advisor_mode') if os.path.exists(f'{KSM}/{n}')]
        stats = {n: os.stat(f'{KSM}/{n}') for n in names}
        self.folder = lab.folder
        self.values = {n: read(n) for n in names}
        with open(lab.path('ksm'), 'w') as f:
            json.dump({'values': self.values, 'merged': int(read('pages_shared')) > 0,
                       'stats': {n: [st.st_uid, st.st_gid, st.st_mode & 0o7777] for n, st in stats.items()}}, f)
        self.uid = lab.user.pw_uid
        lab.at_end(self.close)
        self.prepare()

    def allow(self, name, may=True):
        os.chown(f'{KSM}/{name}', self.uid if may else 0, 0)
        os.chmod(f'{KSM}/{name}', 0o644)

    def prepare(self):
        if 'advisor_mode' in self.values:
            write('advisor_mode', 'none')
        for name, value in CONTROLS.items():
            write(name, value)
            self.allow(name)

    def close(self):
        restore(self.folder)


def restore(folder):
    """Restores the settings that the lab in that folder found, if it changed any."""
    path = os.path.join(folder, 'ksm')
    try:
        with open(path) as f:
            kept = json.load(f)
    except (FileNotFoundError, PermissionError, ValueError):
        return
    # What the tests merged is taken apart; merge_across_nodes could be changed then, if a test had done so.
    if not kept['merged']:
        write('run', 2)
    for name, value in kept['values'].items():
        if name == 'advisor_mode':
            value = re.search(r'\[(\S+)\]', value).group(1)
        if name != 'merge_across_nodes' or read(name) != value:
            write(name, value)
    for name, (uid, gid, mode) in kept['stats'].items():
        os.chown(f'{KSM}/{name}', uid, gid)
        os.chmod(f'{KSM}/{name}', mode)
    os.unlink(path)
