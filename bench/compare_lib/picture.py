"""The ratios of one run as an SVG: a group of bars for each case, one bar for each contender, direct mysqld as the line at 1."""

import html

COLOURS = {"ours": "#1f6feb", "ours-one": "#0a3069", "router": "#bc4c00", "haproxy": "#8250df", "floor": "#8c959f",
           "floor-one": "#afb8c1", "vitess": "#1a7f37"}
BAR, GAP, LEFT, TOP, HEIGHT = 18, 26, 46, 56, 220


def svg(result):
    cases = [(case["title"], [row for row in case["summary"] if row["name"] != "direct" and row["ratio"]]) for case in result["cases"]]
    widths = [max(len(rows) * BAR, 110) for _, rows in cases]
    most = max([1.2] + [row["ratio"]["max"] for _, rows in cases for row in rows])
    width = LEFT + sum(widths) + GAP * len(cases) + 20

    def y(ratio):
        return TOP + HEIGHT * (1 - ratio / most)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{TOP + HEIGHT + 60}" font-family="sans-serif" font-size="11">',
             f'<rect width="{width}" height="{TOP + HEIGHT + 60}" fill="white"/>',
             f'<text x="{LEFT}" y="18" font-size="14">Throughput against direct mysqld: median, and range over rounds '
             f'({html.escape(result["date"])}, {html.escape(result["commit"])})</text>']
    x = LEFT
    for name in dict.fromkeys(row["name"] for _, rows in cases for row in rows):
        parts.append(f'<rect x="{x}" y="28" width="11" height="11" fill="{COLOURS.get(name, "#57606a")}"/>'
                     f'<text x="{x + 15}" y="38">{html.escape(name)}</text>')
        x += 90
    for mark in (0, 0.25, 0.5, 0.75, 1.0):
        line = "#24292f" if mark == 1.0 else "#d0d7de"
        parts.append(f'<line x1="{LEFT}" x2="{width - 10}" y1="{y(mark):.1f}" y2="{y(mark):.1f}" stroke="{line}"/>'
                     f'<text x="{LEFT - 6}" y="{y(mark) + 4:.1f}" text-anchor="end">{mark:g}</text>')
    x = LEFT + GAP / 2
    for (title, rows), group in zip(cases, widths):
        for i, row in enumerate(rows):
            ratio, left = row["ratio"], x + i * BAR
            middle = left + BAR / 2 - 1
            parts.append(f'<rect x="{left:.1f}" y="{y(ratio["median"]):.1f}" width="{BAR - 3}" height="{y(0) - y(ratio["median"]):.1f}" '
                         f'fill="{COLOURS.get(row["name"], "#57606a")}"><title>{html.escape(row["name"])} {ratio["median"]:.2f}</title></rect>'
                         f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="{y(ratio["max"]):.1f}" y2="{y(ratio["min"]):.1f}" stroke="#24292f"/>')
        words = title.split(", ")
        for i, word in enumerate(words):
            parts.append(f'<text x="{x:.1f}" y="{TOP + HEIGHT + 18 + 13 * i}">{html.escape(word)}</text>')
        x += group + GAP
    return "\n".join([*parts, "</svg>", ""])
