"""Reads tests/logic/*.test and runs them on two servers at once; whatever differs in the answers is reported.

A file is blocks with an empty line between them. A block is a header (optional), a statement of one or more lines, and what
is expected (optional; checked on the plain server, which the other must equal anyway):
    statement ok [rows=N]          an OK packet, with that many affected rows
    statement error N [STATE]      an error
    query                          rows; after a line ---- their values, one row a line, columns by a tab
Directives, each a block of its own:
    connection NAME                the following statements run on that connection (at first: A)
    only mysql|mariadb             the next block is for one flavor
    only text|prepared|in_txn      the next block is for one way to run
    differs: WHY                   the next block runs, and its answers may differ
    for $x in A | B | C ... end    the blocks between are run for each value
"""

import re

import raw_mysql

MODES = ("text", "prepared", "in_txn")


class Block:
    def __init__(self, line, header, text, expected):
        self.line, self.header, self.text, self.expected = line, header, text, expected


def blocks_of(source):
    """The blocks of a file in order, loops unrolled."""
    blocks, at = [], 0
    lines = source.split("\n")
    while at < len(lines):
        if not lines[at].strip() or lines[at].startswith("#"):
            at += 1
            continue
        begin = at
        while at < len(lines) and lines[at].strip():
            at += 1
        blocks.append((begin + 1, lines[begin:at]))
    return unroll(blocks, {})


def unroll(blocks, values):
    found, at = [], 0
    while at < len(blocks):
        line, text = blocks[at]
        loop = re.fullmatch(r"for (\$\w+) in (.*)", " ".join(text))
        if not loop:
            found.append(parse(line, [fill(one, values) for one in text]))
            at += 1
            continue
        depth, end = 1, at
        while depth:
            end += 1
            first = blocks[end][1][0]
            depth += (first.startswith("for $")) - (first == "end")
        for value in fill(loop[2], values).split(" | "):
            found += unroll(blocks[at + 1:end], {**values, loop[1]: value.strip()})
        at = end + 1
    return found


def fill(text, values):
    for name, value in values.items():
        text = re.sub(re.escape(name) + r"\b", lambda _, v=value: v, text)
    return text


def parse(line, text):
    header = ""
    if re.match(r"statement (ok|error|any)\b|query$|query |connection |only |differs:", text[0]):
        header, text = text[0], text[1:]
    expected = None
    if "----" in text:
        cut = text.index("----")
        expected, text = text[cut + 1:], text[:cut]
    return Block(line, header, "\n".join(text), expected)


class Twin:
    """The same connection to both servers."""

    def __init__(self, twins, **options):
        self.direct, self.gate = twins.pair(**options)
        self.ids = {}

    def close(self):
        self.direct.close()
        self.gate.close()

    def both(self, method, *arguments, **options):
        return tuple(safely(getattr(client, method), *arguments, **options) for client in (self.direct, self.gate))

    def query(self, text):
        """Both servers work at the same time."""
        for client in (self.direct, self.gate):
            client.command(raw_mysql.QUERY, text if isinstance(text, bytes) else text.encode())
        return tuple(safely(client.results) for client in (self.direct, self.gate))

    def run(self, text, prepared=False):
        """(direct's answer, gate's answer)."""
        if not prepared:
            return self.query(text)
        ready = self.both("prepare", text)
        shown = tuple((one[0], *one[2:]) if one[0] == "prepared" else one for one in ready)
        if all(one[0] != "prepared" for one in ready) or any(one[0] == "prepared" and one[2] for one in ready):
            if all(one[0] == "prepared" for one in ready):
                self.both_close(ready)
            return shown
        answers = []
        for client, one, told in zip((self.direct, self.gate), ready, shown):
            if one[0] != "prepared":
                answers.append(one)
                continue
            results = safely(client.execute, one[1])
            failed = len(results) == 1 and results[0][0] == "error"  # some errors come earlier, some later
            answers.append(results[0] if failed else (*told, *results))
        self.both_close(ready)
        return tuple(answers)

    def both_close(self, ready):
        for client, one in zip((self.direct, self.gate), ready):
            if one[0] == "prepared":
                client.close_statement(one[1])


def safely(call, *arguments, **options):
    try:
        return call(*arguments, **options)
    except (raw_mysql.Lost, OSError) as lost:
        return [("lost", type(lost).__name__)]
    except AssertionError as malformed:
        return [("malformed", str(malformed))]


def in_transaction(answer):
    last = answer[-1]
    end = last if last[0] in ("ok", "eof") else last[-1]
    return isinstance(end, tuple) and len(end) > 3 and end[0] in ("ok", "eof") and bool(end[3] & 1)


def check(block, answer):
    """What the plain server's answer lacks of what the file expects; empty when all is there."""
    last = answer[-1] if isinstance(answer, (list, tuple)) and answer else answer
    if isinstance(answer, tuple) and answer and answer[0] == "error":
        last = answer
    if block.header.startswith("statement ok"):
        if last[0] != "ok":
            return f"expected ok, is {last}"
        rows = re.search(r"rows=(\d+)", block.header)
        if rows and last[1] != int(rows[1]):
            return f"expected {rows[1]} rows, are {last[1]}"
    elif block.header.startswith("statement error"):
        words = block.header.split()[2:]
        if last[0] != "error" or [str(last[1]), last[2]][:len(words)] != words:
            return f"expected error {words}, is {last}"
    elif block.header.startswith("query"):
        if last[0] != "rows":
            return f"expected rows, is {last}"
    return ""


def check_values(block, answer):
    if block.expected is None or answer[-1][0] != "rows":
        return ""
    rows = ["\t".join("NULL" if v is None else v.decode("utf8", "replace") for v in raw_mysql.text_row(row))
            for row in answer[-1][2]]
    return "" if rows == block.expected else f"expected {block.expected}, are {rows}"


CLEAN = ("SELECT CONCAT('DROP ', IF(table_type = 'VIEW', 'VIEW', IF(table_type = 'SEQUENCE', 'SEQUENCE', 'TABLE')), ' `', table_name, '`') FROM "
         "information_schema.tables WHERE table_schema = DATABASE() UNION ALL "
         "SELECT CONCAT('DROP ', routine_type, ' `', routine_name, '`') FROM information_schema.routines WHERE "
         "routine_schema = DATABASE() UNION ALL "
         "SELECT CONCAT('DROP EVENT `', event_name, '`') FROM information_schema.events WHERE event_schema = DATABASE()")


def clean(twins):
    """Empties the database on both sides."""
    for client in twins.pair():
        client.query("SET foreign_key_checks = 0")
        result = client.query(CLEAN)[0]
        assert result[0] == "rows", result
        for row in result[2]:
            client.query(raw_mysql.text_row(row)[0])
        client.close()


def run_file(path, twins, mode, **options):
    """(number of statements, [differences as text])."""
    clean(twins)
    connections = {}
    current, only, may_differ = "A", [], False
    count, found = 0, []

    def note(block, what):
        found.append(f"{path.name}:{block.line} [{twins.flavor}, {mode}] {block.text[:300]}\n{what}")

    for block in blocks_of(path.read_text()):
        if block.header.startswith("connection "):
            current = block.header.split()[1]
            continue
        if block.header.startswith("only "):
            only.append(block.header.split()[1])
            if not block.text:
                continue
        if block.header.startswith("differs:"):
            may_differ = True
            if not block.text:
                continue
        skip = any(one not in (twins.flavor, mode) for one in only)
        differ_here, only, may_differ = may_differ, [], False
        if skip:
            continue
        if current not in connections:
            connections[current] = Twin(twins, **options)
            if mode == "in_txn":
                connections[current].query("START TRANSACTION")
        twin = connections[current]
        count += 1
        direct, gate = twin.run(block.text, mode == "prepared")
        if direct != gate and not differ_here:
            note(block, difference(direct, gate))
        if mode == "text":
            lacking = check(block, direct) or check_values(block, direct)
            if lacking:
                note(block, "   the plain server itself: " + lacking)
        if gate and gate[-1] == ("lost", "Lost") or direct and direct[-1] == ("lost", "Lost"):
            connections.pop(current)
        elif mode == "in_txn" and not (in_transaction(direct) and in_transaction(gate)):
            twin.query("START TRANSACTION")
    for twin in connections.values():
        twin.close()
    return count, found


def difference(direct, gate):
    """Only what differs, where both have the same shape."""
    if isinstance(direct, (list, tuple)) and isinstance(gate, (list, tuple)) and len(direct) == len(gate):
        for one, other in zip(direct, gate):
            if one != other:
                if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other) and \
                        any(isinstance(x, (list, tuple)) for x in one):
                    return difference(one, other)
                break
    return f"   direct: {str(direct)[:600]}\n   gate:   {str(gate)[:600]}"
