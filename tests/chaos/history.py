"""What clients did and saw: one record per transaction, and the checker that decides whether one database, which runs one
transaction at a time, could have answered so.

The workload is Elle's list-append (Kingsbury, Alvaro: "Elle", VLDB 2020): a transaction reads whole lists and appends
numbers that are never used twice, so the order of appends to a key is what the longest read of it shows.
"""

from dataclasses import dataclass, field

OK, FAILED, UNKNOWN = "ok", "failed", "unknown"


@dataclass
class Transaction:
    """`operations`: ("append", key, number) or ("read", key, [numbers]); times in seconds of one clock. An UNKNOWN one may
    take effect at any time after `began`, or never; what it read before its outcome was lost is not counted."""
    operations: list
    outcome: str
    began: float
    ended: float
    client: int = 0
    note: str = ""

    def appends(self):
        return [(key, number) for kind, key, number in self.operations if kind == "append"]

    def reads(self):
        return [(key, numbers) for kind, key, numbers in self.operations if kind == "read"]

    def __str__(self):
        told = " ".join(f"{'r' if kind == 'read' else 'a'}({key}, {value})" for kind, key, value in self.operations)
        return f"[{self.outcome} client {self.client} {self.began:.4f}..{self.ended:.4f} {told}]"


@dataclass
class Verdict:
    anomalies: list = field(default_factory=list)  # (name, what was seen)
    counts: dict = field(default_factory=dict)

    def add(self, name, text):
        self.anomalies.append((name, text))

    def names(self):
        return {name for name, _ in self.anomalies}

    def __str__(self):
        if not self.anomalies:
            return "clean: " + ", ".join(f"{count} {name}" for name, count in self.counts.items())
        return "\n".join(f"{name}: {text}" for name, text in self.anomalies[:20])


def check(history, final):
    """`final`: {key: [numbers]} as read after everything has healed. Names of anomalies are Adya's and Elle's where there is
    one; `lost`, `doubled` and `resurrected` are what a failover can do to an answer that was given."""
    verdict = Verdict()
    writer = {}
    for each in history:
        for key, number in each.appends():
            if (key, number) in writer:
                raise ValueError(f"the workload appended {number} to {key} twice: its history says nothing")
            writer[key, number] = each
    order = dict(final)
    _check_final(verdict, history, final, writer)
    for each in history:
        if each.outcome != OK:
            continue
        mine = {}
        for kind, key, value in each.operations:
            if kind == "append":
                mine.setdefault(key, []).append(value)
                continue
            before, own = _split_own(value, mine.get(key, []))
            if own is None:
                verdict.add("internal", f"a transaction does not see its own appends {mine[key]}: {each}")
                continue
            _check_read(verdict, each, key, before, order.get(key, []), writer)
    _check_cycles(verdict, history, order, writer)
    for outcome in (OK, FAILED, UNKNOWN):
        verdict.counts[outcome] = sum(each.outcome == outcome for each in history)
    return verdict


def _split_own(read, mine):
    if not mine:
        return read, []
    if read[-len(mine):] != mine:
        return read, None
    return read[:-len(mine)], mine


def _check_final(verdict, history, final, writer):
    for key, numbers in final.items():
        seen = set()
        for number in numbers:
            if number in seen:
                verdict.add("doubled", f"{number} stands twice in {key}: {numbers}")
            seen.add(number)
            if (key, number) not in writer:
                verdict.add("invented", f"nobody appended {number} to {key}")
            elif writer[key, number].outcome == FAILED:
                verdict.add("resurrected", f"{number} of {key} was reported as not done: {writer[key, number]}")
    for each in history:
        there = [number in final.get(key, []) for key, number in each.appends()]
        if each.outcome == OK and not all(there):
            verdict.add("lost", f"acknowledged, not there: {each}")
        if each.outcome != OK and any(there) and not all(there):
            verdict.add("torn", f"applied in part: {each}")


def _check_read(verdict, each, key, numbers, order, writer):
    if numbers != order[:len(numbers)]:
        name = "doubled" if len(set(numbers)) != len(numbers) else "incompatible-order"
        verdict.add(name, f"{key} was read as {numbers}, and ends as {order}: {each}")
    for number in numbers:
        by = writer.get((key, number))
        if by is None:
            verdict.add("invented", f"{each} read {number} of {key}, which nobody appended")
        elif by.outcome == FAILED:
            verdict.add("G1a", f"{each} read {number} of {key}, which was rolled back")
    if numbers:
        last = writer.get((key, numbers[-1]))
        of_last = [number for other, number in last.appends() if other == key] if last else []
        if last and last is not each and of_last[-1] != numbers[-1]:
            verdict.add("G1b", f"{each} read {key} in the middle of {last}")


def _check_cycles(verdict, history, order, writer):
    """Edges say who must come before whom; a cycle means that no order explains the answers. Real time counts: what ended
    before another began comes before it."""
    done = [each for each in history
            if each.outcome == OK or any(number in order.get(key, ()) for key, number in each.appends())]
    index = {id(each): n for n, each in enumerate(done)}
    names = {}
    edges = [set() for _ in done]

    def edge(a, b, name):
        if a is not None and b is not None and a is not b and id(a) in index and id(b) in index:
            edges[index[id(a)]].add(index[id(b)])
            names.setdefault((index[id(a)], index[id(b)]), name)

    place = {(key, number): n for key, numbers in order.items() for n, number in enumerate(numbers)}
    for key, numbers in order.items():
        for n in range(1, len(numbers)):
            edge(writer.get((key, numbers[n - 1])), writer.get((key, numbers[n])), "ww")
    for each in done:
        if each.outcome != OK:
            continue
        mine = {}
        for kind, key, value in each.operations:
            if kind == "append":
                mine.setdefault(key, []).append(value)
                continue
            before, own = _split_own(value, mine.get(key, []))
            if own is None:
                continue
            if before:
                edge(writer.get((key, before[-1])), each, "wr")
            numbers = order.get(key, [])
            at = place.get((key, before[-1]), -1) + 1 if before else 0
            if at < len(numbers):
                edge(each, writer.get((key, numbers[at])), "rw")
    _real_time(done, edges, names)
    for component in _components(edges):
        if len(component) < 2:
            continue
        path = _cycle(edges, component)
        kinds = [names[a, b] for a, b in zip(path, path[1:] + path[:1])]
        verdict.add(_name(kinds), " then ".join(f"{done[n]} -{kind}->" for n, kind in zip(path, kinds)))


def _name(kinds):
    suffix = "-realtime" if "rt" in kinds else ""
    data = [kind for kind in kinds if kind != "rt"]
    if all(kind == "ww" for kind in data):
        return "G0" + suffix
    if "rw" not in data:
        return "G1c" + suffix
    return ("G-single" if data.count("rw") == 1 else "G2") + suffix


def _real_time(done, edges, names):
    """Time as a chain of moments: who ended reaches every later moment, each moment reaches who begins after it. Moments are
    extra nodes, so that the edges stay few."""
    ends = sorted((each.ended, n) for n, each in enumerate(done) if each.outcome == OK)
    begins = sorted((each.began, n) for n, each in enumerate(done))
    moments, at = [], 0
    for ended, n in ends:
        moment = len(edges)
        edges.append(set())
        edges[n].add(moment)
        names[n, moment] = "rt"
        if moments:
            edges[moments[-1][1]].add(moment)
            names[moments[-1][1], moment] = "rt"
        moments.append((ended, moment))
    for began, n in begins:
        while at < len(moments) and moments[at][0] < began:
            at += 1
        if at:
            edges[moments[at - 1][1]].add(n)
            names[moments[at - 1][1], n] = "rt"
    for _, moment in moments:
        done.append(Transaction([], OK, 0, 0, note="a moment"))


def _components(edges):
    """Tarjan's strongly connected components, without recursion."""
    count, low, number, on, stack, out = 0, {}, {}, set(), [], []
    for root in range(len(edges)):
        if root in number:
            continue
        work = [(root, iter(edges[root]))]
        number[root] = low[root] = count
        count += 1
        stack.append(root)
        on.add(root)
        while work:
            node, rest = work[-1]
            for following in rest:
                if following not in number:
                    number[following] = low[following] = count
                    count += 1
                    stack.append(following)
                    on.add(following)
                    work.append((following, iter(edges[following])))
                    break
                if following in on:
                    low[node] = min(low[node], number[following])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == number[node]:
                    component = set()
                    while True:
                        member = stack.pop()
                        on.discard(member)
                        component.add(member)
                        if member == node:
                            break
                    out.append(component)
    return out


def _cycle(edges, component):
    """A shortest cycle through one of the component's nodes."""
    best = None
    for start in sorted(component)[:50]:
        came, queue = {start: None}, [start]
        for node in queue:
            for following in edges[node] & component:
                if following == start:
                    path = [node]
                    while came[path[-1]] is not None:
                        path.append(came[path[-1]])
                    if best is None or len(path) < len(best):
                        best = path[::-1]
                    queue = []
                    break
                if following not in came:
                    came[following] = node
                    queue.append(following)
            if not queue:
                break
    return best
