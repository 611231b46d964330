"""What is measured: for each workload the client's command line, the tables it needs, and what one event of it is."""

import dataclasses
import pathlib

LUA = pathlib.Path(__file__).resolve().parent / "lua"
STREAM_BYTES = 100 << 20
LOAD_ROWS = 20000
LOADS = 10  # LOAD DATA statements in a slice


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    script: str             # of sysbench
    event: str              # what latencies are of
    mode: str = "disable"   # of --db-ps-mode
    tables: str = "sbtest"  # sbtest, bulk, stream, or none
    most_connections: int = 100_000


ALL = {w.name: w for w in (
    Workload("point_select", "oltp_point_select", "a statement"),
    Workload("point_select_prepared", "oltp_point_select", "a statement", mode="auto"),
    Workload("read_only", "oltp_read_only", "a transaction of 16"),
    Workload("read_write", "oltp_read_write", "a transaction of 20"),
    Workload("read_write_prepared", "oltp_read_write", "a transaction of 20", mode="auto"),
    Workload("update_index", "oltp_update_index", "a statement"),
    Workload("bulk_insert", str(LUA / "bulk_insert.lua"), "an INSERT of 1,000 rows", tables="bulk"),
    Workload("load_data", "", f"a LOAD DATA LOCAL of {LOAD_ROWS:,} rows", tables="bulk", most_connections=1),
    Workload("stream", str(LUA / "stream.lua"), "a SELECT of 100 MB", tables="stream", most_connections=1),
    Workload("churn", str(LUA / "churn.lua"), "connect, SELECT 1, quit", tables="none"),
)}


def sysbench(options, workload, contender, *more):
    common = ["sysbench", workload.script, "--db-driver=mysql", "--mysql-host=127.0.0.1", f"--mysql-port={contender.port}",
              f"--mysql-user={contender.user}", f"--mysql-password={contender.password}", f"--mysql-db={contender.database}",
              "--mysql-ssl=off", f"--db-ps-mode={workload.mode}"]
    if workload.tables == "sbtest":
        common += [f"--tables={options.tables}", f"--table-size={options.rows}"]
    return [*common, *more]


def load_data(client, contender, file):
    """The client's command line for one slice of load_data."""
    statement = f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE bench_bulk (n, c);"
    return [str(a) for a in client] + ["-h127.0.0.1", f"-P{contender.port}", f"-u{contender.user}", "--local-infile=1",
                                       contender.database, "-e", statement * LOADS]


def make_load_file(path):
    path.write_text("".join(f"{i}\t{'x' * 96}\n" for i in range(LOAD_ROWS)))
    path.chmod(0o644)


def make_tables(ask, database, kind):
    """Tables of the kinds bulk and stream; `ask` runs one statement on mysqld itself."""
    if kind == "bulk":
        ask(f"CREATE TABLE IF NOT EXISTS {database}.bench_bulk (id BIGINT AUTO_INCREMENT PRIMARY KEY, n INT, c CHAR(120))")
    if kind == "stream":
        ask(f"CREATE TABLE IF NOT EXISTS {database}.bench_stream (id INT PRIMARY KEY, c VARCHAR(1100) CHARACTER SET latin1)")
        if ask(f"SELECT COUNT(*) FROM {database}.bench_stream") == "0":
            digits = "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 " \
                     "UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"
            row = STREAM_BYTES // 100_000
            for e in range(10):
                ask(f"INSERT INTO {database}.bench_stream SELECT {e}*10000+a.d*1000+b.d*100+c.d*10+d.d, REPEAT('x', {row}) "
                    f"FROM {digits} a, {digits} b, {digits} c, {digits} d")
