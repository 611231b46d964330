"""Rounds as the table of bench/RESULTS.md."""

import statistics

GOALS = {  # event: (median, worst) of the longest write gap in seconds
    "PlannedReparentShard": (0.1, 0.3),
    "kill -9 of mysqld": (0.5, 1),
    "kill -9 of mysqld, mysqlctld and vttablet": (1.5, 2.5),
    "SIGSTOP of mysqld, mysqlctld and vttablet": (2.5, 4),
    "network cut off from everyone": (2.5, 4),
    "all of etcd down, kill -9 of mysqld": (0.5, 1),
}


def seconds(values):
    if not values:
        return "-"
    return f"{statistics.median(values):.2f} s, worst {max(values):.2f} s"


def table(rounds):
    lines = ["| flavor | event | rounds | longest write gap | goal | client errors | lost | doubled | two primaries | "
             "old primary a replica again | way back |", "|---|---|---|---|---|---|---|---|---|---|---|"]
    for flavor in dict.fromkeys(each.flavor for each in rounds):
        for name in dict.fromkeys(each.event.name for each in rounds):
            these = [each for each in rounds if each.event.name == name and each.flavor == flavor]
            if not these:
                continue
            goal = GOALS.get(name)
            told = f"{goal[0]} s, worst {goal[1]} s" if goal else "0 s" if "etcd" in name else "its restart + 0.3 s"
            ways = [each.way for each in these if each.way]
            counted = ", ".join(f"{ways.count(way)} x {way}" for way in dict.fromkeys(ways)) or "-"
            unhealed = sum(bool(each.trouble) for each in these)
            lines.append(
                f"| {flavor} | {name} | {len(these)}{f' ({unhealed} NOT HEALED)' if unhealed else ''} | "
                f"{seconds([each.gap for each in these if each.gap is not None])} | {told} | "
                f"{sum(each.errors for each in these)} | {sum(each.lost for each in these)} | "
                f"{sum(each.doubled for each in these)} | {sum(each.two_primaries for each in these)} | "
                f"{seconds([each.back for each in these if each.back is not None])} | {counted} |")
    return "\n".join(lines)
