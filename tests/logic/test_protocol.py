"""Commands of the protocol, one by one, on a plain mysqld and through vtgate: the same bytes must come back."""

import struct

import pytest
import raw_mysql as raw

import logic

# docs/verification.md says what has been seen to hold.
pytestmark = pytest.mark.long

VARIANTS = {
    "usual": raw.USUAL,
    "eof": raw.USUAL & ~raw.DEPRECATE_EOF,
    "untracked": raw.USUAL & ~raw.SESSION_TRACK,
    "old": raw.USUAL & ~raw.DEPRECATE_EOF & ~raw.SESSION_TRACK,
    "found_rows": raw.USUAL | raw.FOUND_ROWS,
    "multi": raw.USUAL | raw.MULTI_STATEMENTS,
    "optional_metadata": raw.USUAL | raw.OPTIONAL_METADATA,
    "attributes": raw.USUAL | raw.QUERY_ATTRIBUTES,
    "ignore_space": raw.USUAL | raw.IGNORE_SPACE | raw.INTERACTIVE,
}
LONG, LONGLONG, DOUBLE, STRING, BLOB, NULL, TINY, SHORT = 3, 8, 5, 254, 252, 6, 1, 2


def same(answers):
    direct, gate = answers
    assert gate == direct, logic.difference(direct, gate)
    return direct


@pytest.fixture
def table(twins):
    logic.clean(twins)
    for client in twins.pair():
        client.query("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v INT NOT NULL DEFAULT 7, s VARCHAR(20), b LONGBLOB)")
        client.query("INSERT INTO t (v, s) VALUES (1, 'one'), (2, 'two'), (3, NULL)")
        client.close()
    return twins


@pytest.fixture(params=VARIANTS)
def twin(table, request):
    if request.param == "attributes" and table.flavor == "mariadb":
        pytest.skip("MariaDB knows no query attributes")
    twin = logic.Twin(table, capabilities=VARIANTS[request.param])
    yield twin
    twin.close()


@pytest.fixture
def usual(table):
    twin = logic.Twin(table)
    yield twin
    twin.close()


def test_login_is_answered_alike(twin):
    assert twin.gate.login == twin.direct.login
    assert twin.gate.server_version == twin.direct.server_version
    assert twin.gate.server_plugin == twin.direct.server_plugin
    assert twin.gate.first_status == twin.direct.first_status


def test_statements_under_every_capability(twin):
    for text in ("SELECT * FROM t", "SELECT 1 WHERE 1 = 0", "UPDATE t SET v = v", "UPDATE t SET v = v + 1", "INSERT INTO t (v) VALUES (9)",
                 "SELECT nope", "SELECT 1/0", "USE test_keyspace", "SET autocommit = 0", "SELECT 1; SELECT 2", "SET autocommit = 1",
                 "SELECT 1; SELECT nope; SELECT 3", "SELECT 1;", ";", "SET NAMES latin1", "BEGIN", "COMMIT", "SELECT COUNT (*) FROM t",
                 "SET time_zone = '+01:00', autocommit = 1", "INSERT INTO t (v) VALUES (1); SELECT LAST_INSERT_ID(); SELECT ROW_COUNT()",
                 "SET character_set_results = NULL", "SET sql_mode = 'ANSI'", "SET SESSION transaction_read_only = 1"):
        if twin.direct.capabilities & raw.QUERY_ATTRIBUTES:
            same(twin.both("query", text))
        else:
            same(twin.query(text))


def test_prepared_statements_under_every_capability(twin):
    if twin.direct.capabilities & raw.QUERY_ATTRIBUTES:
        return  # another layout of EXECUTE, which real clients test
    same([(one[0], *one[2:]) for one in twin.both("prepare", "SELECT v, s FROM t WHERE v >= ? AND s LIKE ?")])
    answers = twin.both("prepare", "SELECT id, v, s, ? FROM t WHERE v >= ?")
    for types, nulls, values in (([(LONG, 0), (LONG, 0)], [0, 0], [struct.pack("<i", 5), struct.pack("<i", 2)]),
                                 (None, [0, 0], [struct.pack("<i", 6), struct.pack("<i", 1)]),
                                 ([(STRING, 0), (LONGLONG, 0x80)], [0, 0], [raw.lenenc_text(b"x"), struct.pack("<Q", 1)]),
                                 ([(NULL, 0), (TINY, 0)], [1, 0], [b"", b"\1"])):
        if types and types[0][0] == STRING:  # MySQL would cast it to the type of the first execution, which vtgate does not
            twin.both_close(answers)
            answers = twin.both("prepare", "SELECT id, v, s, ? FROM t WHERE v >= ?")
        same([client.execute(one[1], types, nulls, values) for client, one in zip((twin.direct, twin.gate), answers)])
    twin.both_close(answers)
    for name in ("execute", "reset_statement"):
        same([safe_number(client, name, one[1]) for client, one in zip((twin.direct, twin.gate), answers)])


def safe_number(client, name, number):
    """The answer with the statement's number taken out, which both count for themselves."""
    answer = logic.safely(getattr(client, name), number)
    return str(answer).replace(f"({number})", "(N)")


def test_long_data(usual):
    ready = usual.both("prepare", "INSERT INTO t (s, b) VALUES (?, ?)")
    answers = []
    for client, one in zip((usual.direct, usual.gate), ready):
        client.long_data(one[1], 1, b"abc")
        client.long_data(one[1], 1, b"def" * 10000)
        answers.append([client.execute(one[1], [(STRING, 0), (BLOB, 0)], [0, 0], [raw.lenenc_text(b"long")]),
                        client.query("SELECT LENGTH(b), CRC32(b) FROM t WHERE s = 'long'")])
        client.long_data(one[1], 1, b"dropped")
        answers[-1].append(client.reset_statement(one[1]))
        answers[-1].append(client.execute(one[1], [(STRING, 0), (BLOB, 0)], [0, 1], [raw.lenenc_text(b"null")]))
    same(answers)


def test_cursors(twin):
    if twin.direct.capabilities & raw.QUERY_ATTRIBUTES:
        return
    ready = twin.both("prepare", "SELECT id, v, s FROM t ORDER BY id")
    numbers = [(client, one[1]) for client, one in zip((twin.direct, twin.gate), ready)]
    same([client.execute(number, flags=1) for client, number in numbers])
    same([client.fetch(number, 2) for client, number in numbers])
    same(twin.query("SELECT 'between'"))
    same([client.fetch(number, 2) for client, number in numbers])
    same([str(client.fetch(number, 2)).replace(f"({number})", "(N)") for client, number in numbers])
    same([client.execute(number, flags=1) for client, number in numbers])
    same([client.fetch(number, 1) for client, number in numbers])
    same([client.reset_statement(number) for client, number in numbers])
    same([str(client.fetch(number, 1)).replace(f"({number})", "(N)") for client, number in numbers])
    if "MariaDB" in twin.direct.server_version:  # MySQL 9.7 sends no rows after a cursor was open, and the client waits for ever
        same([client.execute(number) for client, number in numbers])
    rows = twin.gate.execute(numbers[1][1])
    assert rows[0][0] == "rows" and len(rows[0][2]) == 3
    for text in ("INSERT INTO t (v) VALUES (5)", "SELECT * FROM t WHERE id < 0"):
        other = twin.both("prepare", text)
        more = [(client, one[1]) for client, one in zip((twin.direct, twin.gate), other)]
        same([client.execute(number, flags=1) for client, number in more])
        same([str(client.fetch(number, 5)).replace(f"({number})", "(N)") for client, number in more])


def test_commands_without_a_statement(twin):
    same(twin.both("simple", raw.PING))
    same(twin.both("simple", raw.INIT_DB, b"test_keyspace"))
    same(twin.both("simple", raw.INIT_DB, b"nope"))
    twin.both("query", "SELECT 1")  # mysqld counts the error in the next command's warnings
    same(twin.both("simple", raw.INIT_DB, b"information_schema"))
    same(twin.both("simple", raw.INIT_DB, b""))
    twin.both("query", "SELECT 1")
    same(twin.both("simple", raw.INIT_DB, b"test_keyspace"))
    same(twin.both("simple", raw.SET_OPTION, b"\0\0"))
    same(twin.query("SELECT 1; SELECT 2") if not twin.direct.capabilities & raw.QUERY_ATTRIBUTES else (0, 0))
    same(twin.both("simple", raw.SET_OPTION, b"\1\0"))
    same(twin.both("simple", raw.SET_OPTION, b"\7\0"))
    same(twin.both("simple", raw.DEBUG))
    killed = twin.both("simple", raw.PROCESS_KILL, struct.pack("<I", 99999999))
    if killed[0][1] != 1047:  # MySQL 9 knows the command no longer; vtgate answers old clients all the same
        same(killed)
    assert killed[1][1] == 1094
    same(twin.both("simple", raw.RESET_CONNECTION))
    same(twin.both("simple", 200))
    twin.both("query", "SELECT 1")
    same(twin.both("simple", raw.INIT_DB, b"test_keyspace"))
    texts = []
    for client in (twin.direct, twin.gate):
        client.command(raw.STATISTICS)
        texts.append([word for word in client.receive().decode().split() if word.endswith(":")])
    same(texts)


def test_field_list(twin):
    def without_defaults(answer):  # they are told as NULL
        return ([column[:11] for column in answer[0]], answer[1]) if isinstance(answer, tuple) else answer

    for table, pattern in (("t", ""), ("t", "s%"), ("t", "nope"), ("nope", "")):
        same([without_defaults(answer) for answer in twin.both("field_list", table, pattern)])


def test_reset_connection_forgets(usual):
    for text in ("SET @a = 5", "SET sql_mode = 'ANSI'", "CREATE TEMPORARY TABLE tmp (i INT)", "BEGIN", "INSERT INTO t (v) VALUES (77)"):
        same(usual.query(text))
    ready = usual.both("prepare", "SELECT 1")
    same(usual.both("simple", raw.RESET_CONNECTION))
    for text in ("SELECT @a, @@sql_mode", "SELECT * FROM tmp", "SELECT COUNT(*) FROM t WHERE v = 77", "SELECT DATABASE(), LAST_INSERT_ID()"):
        same(usual.query(text))
    same([safe_number(client, "execute", one[1]) for client, one in zip((usual.direct, usual.gate), ready)])


def test_change_user(usual):
    for text in ("SET @a = 5", "SET autocommit = 0", "INSERT INTO t (v) VALUES (77)"):
        same(usual.query(text))
    same(usual.both("change_user", "app", database="test_keyspace"))
    for text in ("SELECT @a, @@autocommit, DATABASE()", "SELECT COUNT(*) FROM t WHERE v = 77"):
        same(usual.query(text))
    same(usual.both("change_user", "app", database=""))
    same(usual.query("SELECT DATABASE(), USER()"))


def test_packets_of_many_megabytes(usual):
    big = b"x" * (20 << 20)
    same(usual.query(b"SELECT LENGTH('" + big + b"') AS n"))
    same(usual.query(b"INSERT INTO t (v, b) VALUES (100, '" + big + b"')"))
    direct, gate = usual.query("SELECT b, s FROM t WHERE v = 100")
    assert direct == gate and len(direct[0][2][0]) > 20 << 20
    exactly = b"y" * (0xffffff - len(b"\3SELECT LENGTH('') AS n"))
    same(usual.query(b"SELECT LENGTH('" + exactly + b"') AS n"))


def test_local_infile(table):
    twin = logic.Twin(table, capabilities=raw.USUAL | raw.LOCAL_FILES)
    for client in (twin.direct, twin.gate):
        client.local_files = {"rows.txt": b"".join(b"%d,word %d\n" % (i, i) for i in range(50000)), "empty.txt": b""}
    for text in ("LOAD DATA LOCAL INFILE 'rows.txt' INTO TABLE t FIELDS TERMINATED BY ',' (v, s)", "SELECT COUNT(*), SUM(v), MAX(s) FROM t",
                 "LOAD DATA LOCAL INFILE 'empty.txt' INTO TABLE t", "LOAD DATA LOCAL INFILE 'rows.txt' INTO TABLE nope",
                 "LOAD DATA LOCAL INFILE 'rows.txt' IGNORE INTO TABLE t FIELDS TERMINATED BY ',' (id, s)", "SELECT 1"):
        same(twin.query(text))
    twin.close()
    without = logic.Twin(table)
    same(without.query("LOAD DATA LOCAL INFILE 'rows.txt' INTO TABLE t"))
    same(without.query("SELECT 1"))
    without.close()


def test_names_of_show_by_a_cursor(usual):
    for client in (usual.direct, usual.gate):
        answer = client.execute(client.prepare("SHOW TABLES")[1], flags=1)[0]
        assert answer[0] == "cursor" and answer[1][0][4] == "Tables_in_test_keyspace", answer


def test_types_of_parameters_are_a_sessions_own(table):
    """MySQL casts the values of later executions to the types of the first; those of another session are no concern."""
    first, second = table.gate(), table.gate()
    for client in (first, second):
        client.number = client.prepare("SELECT ? AS x")[1]
    for _ in range(3):
        assert first.execute(first.number, [(DOUBLE, 0)], [0], [struct.pack("<d", 1)])[0][2] == [b"\0\0" + struct.pack("<d", 1)]
        assert second.execute(second.number, [(STRING, 0)], [0], [raw.lenenc_text(b"two")])[0][2] == [b"\0\0\3two"]
    first.close()
    second.close()


def test_binlog_dump_is_refused_clearly(table):
    with table.gate() as client:
        answer = client.simple(raw.BINLOG_DUMP, struct.pack("<IHI", 4, 0, 1))
        assert answer[0] == "error" and "binary log" in answer[3]
