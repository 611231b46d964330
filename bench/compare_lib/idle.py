"""What idle connections cost a middle tier: its memory before and with them, by process."""

import resource
import time

import raw_mysql
from compare_lib.process import BenchError, rss_mb


def measure(count, lineup):
    """[{name, connections, kb_per_connection: {process: KB}}] of the contenders that have processes of their own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 100:
        raise BenchError(f"--idle={count} needs {count + 100} file descriptors; the limit here is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 100), hard))
    return [one(count, contender) for contender in lineup if contender.name.startswith("ours")]


def one(count, contender):
    held = []
    try:
        held.append(login(contender))  # what the first one brings along is not the price of one more
        before = {name: rss_mb(pid) for name, pid in contender.processes.items()}
        for _ in range(count):
            held.append(login(contender))
        time.sleep(1)
        after = {name: rss_mb(pid) for name, pid in contender.processes.items()}
    finally:
        for connection in held:
            connection.close()
    return {"name": contender.name, "connections": count,
            "kb_per_connection": {name: 1024 * (after[name] - before[name]) / count for name in before}}


def login(contender):
    """A logged-in connection of a user without a password."""
    try:
        return raw_mysql.Client(contender.port, contender.user, database=contender.database, charset=45, timeout=20)
    except (AssertionError, raw_mysql.Lost, OSError) as error:
        raise BenchError(f"{contender.name} refused an idle connection: {error}") from None
