# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest to try things in, by hand. See README.md."""

import argparse
import shlex

from daemon import Daemon, Host
from guest import MIB
from lab import Failed, lab_or_skip

HELP = '''Lines: a shell command for the guest; !ARGS for ballastctl; @ARGS for virsh; log; available MIB; exit (or Ctrl-D).'''


class Shell:
    def __init__(self, lab, guest, host, daemon):
        self.lab, self.guest, self.host, self.daemon = lab, guest, host, daemon
        self.seen = 0

    def log(self):
        lines = self.daemon.lines[self.seen:]
        self.seen += len(lines)
        return '\n'.join(line.text for line in lines)

    def do(self, line):
        word, *rest = line.split()
        if line[0] == '@':
            return self.lab.virsh(*shlex.split(line[1:]))
        if line[0] != '!' and word not in ('log', 'available'):
            return self.guest.run(line, check=False)
        if not self.daemon:
            return 'no ballastd here: start with --daemon'
        if line[0] == '!':
            r = self.daemon.ctl(*shlex.split(line[1:]), check=False)
            return (r.stdout + r.stderr).rstrip()
        if word == 'log':
            return self.log()
        self.host.set_available(int(rest[0]) * MIB)
        return ''


def main():
    parser = argparse.ArgumentParser(description='Boots a guest and runs in it what you type.')
    parser.add_argument('--build', required=True, help='the build folder')
    parser.add_argument('--memory', type=int, default=512, metavar='MIB')
    parser.add_argument('--swap', type=int, default=0, metavar='MIB')
    parser.add_argument('--load', default='', help='as free:200,cache:100,hold:50')
    parser.add_argument('--agent', default='yes', help='yes, no, or hostile:rubbish|flood|lie')
    parser.add_argument('--daemon', action='store_true', help='start ballastd, mode auto, too')
    args = parser.parse_args()
    with lab_or_skip(args.build, print) as lab:
        guest = lab.guest('guest', memory=args.memory, swap=args.swap, load=args.load, agent=args.agent)
        lab.boot(guest)
        host = daemon = None
        if args.daemon:
            host = Host(lab)
            daemon = Daemon(lab, host, log_level='info').start()
        print(f'{guest.name} is up; everything of it lies in {lab.folder}\n{HELP}')
        shell = Shell(lab, guest, host, daemon)
        while True:
            try:
                line = input('> ').strip()
            except EOFError:
                break
            if line == 'exit':
                break
            if not line:
                continue
            try:
                print(shell.do(line))
            except (AssertionError, Failed, ValueError, IndexError) as e:
                print(f'{e}\n{HELP}')
        if daemon:
            daemon.stop()


if __name__ == '__main__':
    main()
