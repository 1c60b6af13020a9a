# SPDX-License-Identifier: LGPL-2.1-or-later
"""The figures of the overcommit bench: of a run, over runs, as a table and as a plot."""

import collections
import json
import os
import statistics
import subprocess
import sys

import rivals
import scenarios

FIRST_SECONDS = 5
# In overcommit.md: what stands above it is written by hand.
MARK = '<!-- from here on written by make bench-overcommit ARGS="--report FOLDER" -->'


def _percentile(late, share):
    """Milliseconds. late: {microseconds: requests that took up to that}."""
    total, seen = sum(late.values()), 0
    for limit in sorted(late):
        seen += late[limit]
        if seen >= share * total:
            return limit / 1000
    return 0


def of_run(run, found):
    """found: {guest number: what its work.c printed}."""
    s = run.scenario
    worked = {n: sum(run.works[n].works(t) for t in range(run.length)) for n in found}
    pages = {n: sum(r['pages']) for n, r in found.items()}
    late = collections.Counter()
    for n, r in found.items():
        if s.first is None or n == s.first:
            late.update({float(limit): count for limit, count in r['late'].items()})
    figures = {
        'pages_per_s': sum(pages.values()) / run.length,
        'worst': min(pages[n] / worked[n] for n in found),
        'p95_ms': _percentile(late, 0.95),
        'asked': sum(run.works[n].pace * worked[n] for n in found) / run.length,
        'seconds': [sum(r['pages'][t] for r in found.values()) for t in range(run.length)],
    }
    if s.favoured:
        figures['favoured'] = sum(pages[n] for n in s.favoured) / run.length
    if s.first is not None:
        start = run.works[s.first].start
        figures['first'] = sum(found[s.first]['pages'][start:start + FIRST_SECONDS]) / FIRST_SECONDS
    return figures


def line(row):
    text = f'{row["pages_per_s"] / 1000:.1f} k pages/s, worst guest {row["worst"] / 1000:.1f} k, p95 {row["p95_ms"]:.0f} ms'
    if 'first' in row:
        text += f', its first {FIRST_SECONDS} s {row["first"] / 1000:.1f} k'
    if 'favoured' in row:
        text += f', the favoured {row["favoured"] / 1000:.1f} k'
    text += f'; CPU of guests {row["guests_cpu"]:.0f} s'
    if row['daemon_cpu'] or row['agents_cpu']:
        text += f', daemon {row["daemon_cpu"]:.2f} s, agents {row["agents_cpu"]:.2f} s'
    text += f'; {row["swap_in_mib"]:.0f} MiB swapped in'
    if 'moves' in row:
        text += f'; {row["moves"]} moves, {row["moved_mib"]:.0f} MiB'
    return text


def append(path, row):
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    with open(path, 'a') as f:
        f.write(json.dumps(row) + '\n')


def value(row):
    """What a scenario is about."""
    return row.get('first', row['pages_per_s'])


def _load(path):
    """{scenario: {rival: [row]}}, in the order of the tables."""
    rows = collections.defaultdict(lambda: collections.defaultdict(list))
    with open(path) as f:
        for text in f:
            row = json.loads(text)
            rows[row['scenario']][row['rival']].append(row)
    return {s.name: {r.name: rows[s.name][r.name] for r in rivals.ALL if rows[s.name][r.name]}
            for s in scenarios.ALL if s.name in rows}


def _spread(rows, key):
    values = sorted(key(row) for row in rows)
    return statistics.median(values), values[0], values[-1]


def _k(number):
    return f'{number / 1000:.1f}'


def table(rows):
    lines = []
    for name, of_rival in rows.items():
        s = scenarios.BY_NAME[name]
        lines += ['', f'### {s.title}', '',
                  '| | k pages/s (spread) | × FPR | worst guest | p95 ms | guests\' CPU s | daemon + agents CPU s | swapped in MiB | moves | runs |',
                  '|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|']
        for rival, those in of_rival.items():
            r = rivals.BY_NAME[rival]
            base = of_rival.get('fpr' if r.fpr else 'nothing')
            median, low, high = _spread(those, value)
            ratio = f'{median / _spread(base, value)[0]:.2f}' if base else ''
            more = f'; favoured {_k(_spread(those, lambda x: x["favoured"])[0])}' if s.favoured else ''
            lines.append(
                f'| {r.title} | {_k(median)} ({_k(low)}–{_k(high)}){more} | {ratio} | {_k(_spread(those, lambda x: x["worst"])[0])} | '
                f'{_spread(those, lambda x: x["p95_ms"])[0]:.0f} | {_spread(those, lambda x: x["guests_cpu"])[0]:.0f} | '
                f'{_spread(those, lambda x: x["daemon_cpu"] + x["agents_cpu"])[0]:.2f} | '
                f'{_spread(those, lambda x: x["swap_in_mib"])[0]:.0f} | '
                f'{_spread(those, lambda x: x.get("moves", 0))[0]:.0f} | {len(those)} |')
    return '\n'.join(lines[1:])


# One plot for each scenario: a bar for each rival, with its spread.
PLOT = '''set terminal svg size 1200,{height} dynamic font 'sans,11' background '#ffffff'
set output '{svg}'
set multiplot layout {lines},3 margins 0.06,0.99,{bottom},{top} spacing 0.06,{gap}
set style fill solid 0.8 noborder
set boxwidth 0.7
set xtics rotate by -35 scale 0
set grid ytics lc '#dddddd'
unset key
'''


def plot(rows, svg):
    lines = -(-len(rows) // 3)
    height = 300 * lines
    text = PLOT.format(svg=svg, lines=lines, height=height, bottom=85 / height, top=1 - 25 / height, gap=115 / height)
    for name, of_rival in rows.items():
        data = []
        for n, (rival, those) in enumerate(of_rival.items()):
            median, low, high = (x / 1000 for x in _spread(those, value))
            data.append(f'{n} {median:.3f} {low:.3f} {high:.3f} {0xd95f02 if "allast" in rivals.BY_NAME[rival].title else 0x7570b3} '
                        f'"{rival}"')
        text += f"set title '{scenarios.BY_NAME[name].title}, thousand pages/s'\nset xrange [-0.6:{len(of_rival) - 0.4}]\n" \
                "set yrange [0:*]\n$data << END\n" + '\n'.join(data) + '\nEND\n' \
                "plot $data using 1:2:5:xtic(6) with boxes lc rgb variable, '' using 1:2:3:4 with yerrorbars lc '#333333' pt 0\n"
    text += 'unset multiplot\n'
    try:
        subprocess.run(['gnuplot'], input=text, text=True, check=True)
    except FileNotFoundError:
        raise SystemExit('gnuplot is not installed (package gnuplot-nox)')


def machine(rows):
    """Where they come from, in words."""
    all_rows = [row for of_rival in rows.values() for those in of_rival.values() for row in those]

    def of(key):
        return ', '.join(sorted({str(row[key]) for row in all_rows}))
    return (f'{of("cores")} cores, guests under {"KVM" if all(row["kvm"] for row in all_rows) else "TCG"}, {of("iops")} reads '
            f'per second from the disk, versions {of("version")}, {len(all_rows)} runs')


def report(path, folder):
    if not os.path.exists(path):
        print(f'{path}: no results yet: run "make bench-overcommit" first', file=sys.stderr)
        return 1
    rows = _load(path)
    if folder == '-':
        print(f'{machine(rows)}\n\n{table(rows)}')
        return 0
    os.makedirs(folder, exist_ok=True)
    plot(rows, os.path.join(folder, 'overcommit.svg'))
    document = os.path.join(folder, 'overcommit.md')
    try:
        with open(document) as f:
            head = f.read().split(MARK)[0]
    except FileNotFoundError:
        head = ''
    with open(document, 'w') as f:
        f.write(f'{head}{MARK}\n\nMeasured with {machine(rows)}.\n\n![The same as a plot](overcommit.svg)\n\n{table(rows)}\n')
    print(f'{document} and overcommit.svg are written')
    return 0
