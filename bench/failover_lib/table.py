"""Rounds as the table of bench/RESULTS.md, each row with its verdict."""

import statistics

BACK = 5  # seconds until the old primary is a replica again, from when it could run
AFTER_RESTART = 0.3  # seconds beyond the restart of what was killed, where nobody else takes over
GOALS = {  # event: (median, worst) of the longest write gap in seconds
    "PlannedReparentShard": (0.1, 0.3),
    "kill -9 of mysqld": (0.5, 1),
    "kill -9 of mysqld, mysqlctld and vttablet": (1.5, 2.5),
    "SIGSTOP of mysqld and vttablet": (2.5, 4),
    "network cut off from everyone": (2.5, 4),
    "all of etcd down": (0.1, 0.3),  # it is nobody's business: what a planned change may take is the most a disk may stall
    "all of etcd down, kill -9 of mysqld meanwhile": (0.5, 1),
}


def seconds(values):
    if not values:
        return "-"
    return f"{statistics.median(values):.2f} s, worst {max(values):.2f} s"


def goal(event):
    if event.restarts:
        return f"its restart + {AFTER_RESTART} s"
    median, worst = GOALS[event.name]
    return f"{'0 s: ' if event.name == 'all of etcd down' else ''}{median} s, worst {worst} s"


def misses(rounds):
    """What keeps a row from its goals, in words; empty when it reached them."""
    event, found = rounds[0].event, []
    unhealed = sum(bool(each.trouble) for each in rounds)
    healed = [each for each in rounds if not each.trouble]
    if unhealed:
        found.append(f"{unhealed} not healed")
    if not healed:
        return found
    for what in ("errors", "lost", "doubled", "two_primaries"):
        count = sum(getattr(each, what) for each in rounds)
        if count:
            found.append(f"{count} {'looks at two primaries' if what == 'two_primaries' else what}")
    if any(each.moved != event.moves for each in healed):
        found.append("nobody else leads" if event.moves else "another leads")
    if not all(each.looks for each in healed):
        found.append("nobody looked for two primaries")
    gaps = [each.gap for each in healed]
    if event.restarts:
        over = max(each.gap - each.restart for each in healed)
        if over > AFTER_RESTART:
            found.append(f"{over:.2f} s beyond the restart")
    else:
        median, worst = GOALS[event.name]
        if statistics.median(gaps) > median:
            found.append("median gap")
        if max(gaps) > worst:
            found.append("worst gap")
    backs = [each.back for each in healed if each.back is not None]
    if backs and max(backs) > BACK:
        found.append("way back too slow")
    if any(each.way in ("clone", "needs a seed") for each in healed):
        found.append("way back not by rewinding")
    return found


def rows(rounds):
    """[(flavor, event, its rounds)] in the order of their first rounds."""
    keys = dict.fromkeys((each.flavor, each.event.name) for each in rounds)
    return [(flavor, name, [each for each in rounds if (each.flavor, each.event.name) == (flavor, name)])
            for flavor, name in keys]


def table(rounds):
    lines = ["| flavor | event | rounds | longest write gap | goal | client errors | lost | doubled | two primaries | "
             f"old primary a replica again (goal {BACK} s) | way back | verdict |", "|" + "---|" * 12]
    for flavor, name, these in rows(rounds):
        ways = [each.way for each in these if each.way]
        counted = ", ".join(f"{ways.count(way)} x {way}" for way in dict.fromkeys(ways)) or "-"
        restarts = [each.restart for each in these if each.restart is not None]
        gaps = seconds([each.gap for each in these if each.gap is not None])
        lines.append(
            f"| {flavor} | {name} | {len(these)} | {gaps}{f' (restart {seconds(restarts)})' if restarts else ''} | "
            f"{goal(these[0].event)} | {sum(each.errors for each in these)} | {sum(each.lost for each in these)} | "
            f"{sum(each.doubled for each in these)} | {sum(each.two_primaries for each in these)} | "
            f"{seconds([each.back for each in these if each.back is not None])} | {counted} | "
            f"{'; '.join(misses(these)) or 'reached'} |")
    return "\n".join(lines)
