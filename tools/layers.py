#!/usr/bin/python3
"""Holds every include in src/ against the table of rooms in ARCHITECTURE.md. Prints each breach; exit 1 if any.

usage: tools/layers.py [--self-test]
"""

import pathlib
import re
import sys

REPO = pathlib.Path(__file__).resolve().parent.parent
SHARED = {"base", "io", "record"}  # usable by every room on a higher level, without being listed
PROTO_ROOMS = {"rpc", "topo", "drive", "vtctld", "vtorc", "vttablet", "mysqlctl", "cli"}
GRPC_ROOMS = {"rpc"}
HEAVY_ROOMS = {"rpc", "web"}  # whose headers may show heavy libraries: few include them
HEAVY_FILES = {"topo/etcd/grpc_call.h"}  # included by the sources of its folder alone
HEAVY_HEADER = re.compile(r"^(boost/|asio|grpcpp/|grpc\+\+/|grpc/|google/protobuf/)|\.pb\.h$")
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


def read_rooms(text):
    """{room: (level, set of rooms it may include)} from the table between the rooms markers."""
    table = text.split("<!-- rooms: begin -->")[1].split("<!-- rooms: end -->")[0]
    rooms = {}
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) != 4 or not cells[0].isdigit():
            continue
        level, name, may = int(cells[0]), cells[1].strip("`"), cells[3]
        lower = {room for room, (other, _) in rooms.items() if other < level}
        if may in ("all", "all below"):
            allowed = lower | (set(rooms) if may == "all" else set())
        else:
            allowed = set() if may in ("–", "-", "") else set(may.split())
            unknown = allowed - set(rooms)
            if unknown:
                raise SystemExit(f"ARCHITECTURE.md: {name} may include {' '.join(sorted(unknown))}, "
                                 "which does not stand above it in the table: arrows only go down")
            allowed |= SHARED & lower
        rooms[name] = (level, allowed | {name})
    if not rooms:
        raise SystemExit("ARCHITECTURE.md: no table of rooms between its markers")
    return rooms


def check(rooms, path, text):
    """Breaches in one file; `path` is relative to src/, so its first part is the room."""
    room = path.split("/")[0]
    if room not in rooms:
        return [f"src/{path}: room {room} does not stand in ARCHITECTURE.md's table"]
    header = path.endswith(".h")
    breaches = []
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quote, target = match.groups()
        where = f"src/{path}:{number}"
        first = target.split("/")[0]
        if quote == '"' and "/" in target and first in rooms and first not in rooms[room][1]:
            breaches.append(f"{where}: {room} may not include {first} ({target}); see ARCHITECTURE.md")
        if header and room not in HEAVY_ROOMS and path not in HEAVY_FILES and HEAVY_HEADER.search(target):
            breaches.append(f"{where}: {target} in a header; it costs every includer seconds, keep it in a .cc")
        if target.startswith(("grpcpp/", "grpc++/", "grpc/")) or target.endswith(".grpc.pb.h"):
            if room not in GRPC_ROOMS and not path.startswith("topo/etcd/"):
                breaches.append(f"{where}: gRPC outside the room rpc: {target}")
        elif target.endswith(".pb.h") and room not in PROTO_ROOMS:
            breaches.append(f"{where}: generated protobuf code outside {' '.join(sorted(PROTO_ROOMS))}: {target}")
    return breaches


def self_test():
    rooms = read_rooms("<!-- rooms: begin -->\n| 0 | `base` | x | – |\n| 1 | `io` | x | base |\n"
                       "| 1 | `value` | x | base |\n| 2 | `sql` | x | value |\n| 3 | `rpc` | x | sql |\n"
                       "| 4 | `cmd` | x | all |\n<!-- rooms: end -->")
    good = [("sql/a.cc", '#include "value/v.h"'), ("sql/a.cc", '#include "io/task.h"'),
            ("cmd/m.cc", '#include "rpc/s.h"'), ("rpc/s.cc", "#include <grpcpp/grpcpp.h>"),
            ("value/v.h", "#include <string>")]
    bad = [("value/v.cc", '#include "sql/a.h"'), ("value/v.cc", '#include "io/task.h"'),
           ("sql/s.h", "#include <google/protobuf/any.h>"), ("sql/a.cc", "#include <grpcpp/grpcpp.h>"),
           ("sql/a.cc", '#include "query.pb.h"'), ("new/a.cc", "")]
    for path, text in good:
        assert not check(rooms, path, text), (path, text)
    for path, text in bad:
        assert check(rooms, path, text), (path, text)


def main():
    self_test()
    if "--self-test" in sys.argv:
        return 0
    rooms = read_rooms((REPO / "ARCHITECTURE.md").read_text())
    breaches, files = [], 0
    for path in sorted((REPO / "src").glob("*/**/*")):
        if path.suffix in (".h", ".cc"):
            files += 1
            breaches += check(rooms, path.relative_to(REPO / "src").as_posix(), path.read_text())
    print("\n".join(breaches) if breaches else f"layers: {files} files keep to ARCHITECTURE.md's table")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
