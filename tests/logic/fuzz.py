"""Sequences of statements about session state, on two connections to each of two servers: what differs is a failure.

By hand: PYTHONPATH=tests/lib python3 tests/logic/fuzz.py mysql --sequences=20000 --seed=1   Every sequence has its own seed; a
failing one is made as short as it goes and kept in tests/logic/found/, whose files test_fuzz.py runs again each time.
"""

import argparse
import pathlib
import random
import sys

import logic
import raw_mysql

FOUND = pathlib.Path(__file__).parent / "found"
TABLES = ("f1", "f2")
SETUP = ("DROP TABLE IF EXISTS f1, f2, fd", "CREATE TABLE f1 (id INT PRIMARY KEY AUTO_INCREMENT, v INT, s VARCHAR(10)) ENGINE=InnoDB",
         "CREATE TABLE f2 (id INT PRIMARY KEY, v INT) ENGINE=InnoDB")
ROWS = ("DELETE FROM f1", "DELETE FROM f2", "INSERT INTO f1 (id, v, s) VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, NULL)",
        "INSERT INTO f2 VALUES (1, 10), (2, 20)")
VARIABLES = {"sql_mode": ("''", "'ANSI_QUOTES'", "DEFAULT", "'STRICT_TRANS_TABLES'", "'NO_BACKSLASH_ESCAPES'", "'PIPES_AS_CONCAT'"),
             "time_zone": ("'+03:00'", "'SYSTEM'", "DEFAULT"), "sql_select_limit": ("2", "DEFAULT"), "foreign_key_checks": ("0", "1"),
             "lc_time_names": ("'de_DE'", "'en_US'"), "div_precision_increment": ("2", "DEFAULT"), "sql_safe_updates": ("1", "0"),
             "character_set_results": ("latin1", "utf8mb4", "NULL"), "collation_connection": ("utf8mb4_bin", "DEFAULT"),
             "group_concat_max_len": ("5", "DEFAULT"), "autocommit": ("0", "1", "DEFAULT"), "unique_checks": ("0", "1"),
             "auto_increment_increment": ("1",), "sql_auto_is_null": ("0", "1")}


def statement(rng):
    """One statement. Those that would wait for the other connection have a time limit of their own (innodb_lock_wait_timeout)."""
    table, number = rng.choice(TABLES), rng.randint(1, 5)
    name = rng.choice(("a", "b", "`c c`"))
    variable = rng.choice(list(VARIABLES))
    value = rng.choice(VARIABLES[variable])
    return rng.choice((
        lambda: f"SELECT * FROM {table} ORDER BY id",
        lambda: f"SELECT v FROM {table} WHERE id = {number}",
        lambda: f"SELECT SQL_CALC_FOUND_ROWS id FROM {table} ORDER BY id LIMIT 1",
        lambda: rng.choice(("SELECT FOUND_ROWS()", "SELECT ROW_COUNT()", "SELECT LAST_INSERT_ID()", "SELECT @@warning_count, @@error_count",
                            "SELECT LAST_INSERT_ID(), ROW_COUNT(), FOUND_ROWS()", "SELECT @@last_insert_id")),
        lambda: rng.choice(("SHOW WARNINGS", "SHOW ERRORS", "SHOW COUNT(*) WARNINGS", "SHOW COUNT(*) ERRORS")),
        lambda: f"INSERT INTO f1 (v, s) VALUES ({number}, 'x'), ({number}, 'y')",
        lambda: f"INSERT INTO f1 (id, v) VALUES ({number + 100}, 1) ON DUPLICATE KEY UPDATE v = v + 1",
        lambda: f"INSERT IGNORE INTO f2 VALUES ({number}, {number})",
        lambda: f"INSERT INTO f2 VALUES ({number}, {number})",
        lambda: f"REPLACE INTO f2 VALUES ({number}, {rng.randint(1, 3)})",
        lambda: f"UPDATE {table} SET v = v + 1 WHERE id = {number}",
        lambda: f"UPDATE {table} SET v = LAST_INSERT_ID({number}) WHERE id = {number}",
        lambda: f"DELETE FROM {table} WHERE id = {number}",
        lambda: f"SELECT LAST_INSERT_ID({number})",
        lambda: f"SET @{name} = {rng.choice(('1', 'NULL', chr(39) + 'text' + chr(39), '1.5', '@a', '@b', '(SELECT MAX(v) FROM f2)'))}",
        lambda: f"SELECT @a, @b, @`c c`",
        lambda: f"SELECT v INTO @{name} FROM f2 WHERE id = {number}",
        lambda: f"SELECT @{name} := {number}",
        lambda: f"SET {variable} = {value}",
        lambda: f"SET SESSION {variable} = {value}, @{name} = {number}",
        lambda: f"SET @@{variable} = {value}",
        lambda: f"SELECT @@{variable}",
        lambda: f"SELECT @@session.{variable}, @@sql_mode, @@autocommit",
        lambda: rng.choice(("BEGIN", "START TRANSACTION", "START TRANSACTION READ ONLY", "START TRANSACTION WITH CONSISTENT SNAPSHOT")),
        lambda: rng.choice(("COMMIT", "ROLLBACK", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN")),
        lambda: rng.choice(("SAVEPOINT s1", "SAVEPOINT s2", "ROLLBACK TO s1", "ROLLBACK TO SAVEPOINT s2", "RELEASE SAVEPOINT s1")),
        lambda: rng.choice(("SET TRANSACTION READ ONLY", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SET SESSION TRANSACTION READ WRITE",
                            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "SET SESSION TRANSACTION READ ONLY")),
        lambda: rng.choice(("CREATE TEMPORARY TABLE ft (i INT)", "INSERT INTO ft VALUES (1), (2)", "SELECT * FROM ft", "DROP TEMPORARY TABLE ft",
                            "DROP TABLE ft", "CREATE TEMPORARY TABLE IF NOT EXISTS ft (i INT)", "DROP TEMPORARY TABLE IF EXISTS ft")),
        lambda: rng.choice(("SELECT GET_LOCK('fuzz', 0)", "SELECT RELEASE_LOCK('fuzz')", "SELECT RELEASE_ALL_LOCKS()", "SELECT IS_FREE_LOCK('fuzz')",
                            "DO GET_LOCK('fuzz', 0)")),
        lambda: rng.choice((f"LOCK TABLES f1 READ", "LOCK TABLES f1 WRITE, f2 READ", "UNLOCK TABLES", "UNLOCK TABLES")),
        lambda: rng.choice(("PREPARE p FROM 'SELECT ? + 1'", "EXECUTE p USING @a", "DEALLOCATE PREPARE p", "PREPARE p FROM 'SELECT v FROM f2 ORDER BY id'",
                            "EXECUTE p")),
        lambda: rng.choice(("SELECT 1/0", "SELECT CAST('x' AS SIGNED)", "SELECT nope", "SELEC 1", "SELECT * FROM nope", "DO 1", "SELECT 'a' || 'b'",
                            "SELECT \"f1\"", "SELECT 'a\\\\b'", "SELECT 1 FROM DUAL WHERE 1 = 0", "SELECT NOW() > 0")),
        lambda: rng.choice(("USE test_keyspace", "USE information_schema", "USE nope", "SELECT DATABASE()")),
        lambda: rng.choice(("SET NAMES utf8mb4", "SET NAMES latin1", "SET NAMES utf8mb4 COLLATE utf8mb4_bin", "SET CHARACTER SET utf8mb4")),
        lambda: rng.choice(("CREATE TABLE IF NOT EXISTS fd (i INT)", "DROP TABLE IF EXISTS fd", "ALTER TABLE f2 COMMENT 'c'", "TRUNCATE TABLE fd")),
    ))()


def sequence(seed):
    """[(connection, protocol, statement)]"""
    rng = random.Random(seed)
    return [(rng.choice("AAB"), rng.choice(("text", "text", "prepared")), statement(rng)) for _ in range(rng.randint(4, 16))]


class Fuzzer:
    def __init__(self, twins):
        self.twins = twins
        self.tables = (twins.direct(), twins.gate())
        self.fresh = True

    def run(self, steps):
        """None, or what differs."""
        for client in self.tables:
            # Counters of both servers go on alike, so that new tables are needed only after a difference.
            for text in (SETUP if self.fresh else ()) + ROWS:
                client.query(text)
        why = self.compare(steps)
        self.fresh = bool(why) or any("fd" in text or "ALTER" in text for _, _, text in steps)
        return why

    def compare(self, steps):
        connections = {}
        try:
            for at, (name, protocol, text) in enumerate(steps):
                if name not in connections:
                    connections[name] = logic.Twin(self.twins)
                    connections[name].query("SET innodb_lock_wait_timeout = 1, lock_wait_timeout = 1")
                twin = connections[name]
                # One after the other: which of two waiting statements goes first is nobody's promise.
                direct, gate = twin.run(text, protocol == "prepared")
                if direct != gate:
                    return f"step {at + 1}, connection {name}, {protocol}: {text}\n{logic.difference(direct, gate)}"
                if any(answer and isinstance(answer, list) and answer[-1][0] == "lost" for answer in (direct, gate)):
                    return None
        finally:
            for twin in connections.values():
                twin.close()
        return None

    def shrink(self, steps):
        """Without every step that is not needed for a difference."""
        size = len(steps) // 2
        while size:
            at = 0
            while at < len(steps):
                fewer = steps[:at] + steps[at + size:]
                if fewer and self.run(fewer):
                    steps = fewer
                else:
                    at += size
            size //= 2
        return steps


def keep(flavor, seed, steps, why):
    FOUND.mkdir(exist_ok=True)
    path = FOUND / f"{flavor}-{seed}.txt"
    path.write_text("".join(f"{name}\t{protocol}\t{text}\n" for name, protocol, text in steps))
    return f"{path.name}\n" + "\n".join(f"   {name} {protocol}: {text}" for name, protocol, text in steps) + f"\n{why}"


def load(path):
    return [tuple(line.split("\t")) for line in path.read_text().splitlines()]


def search(twins, seeds, most=5):
    """The failures among sequences of these seeds, shrunk and kept."""
    fuzzer, failures = Fuzzer(twins), []
    for seed in seeds:
        steps = sequence(seed)
        if not fuzzer.run(steps):
            continue
        steps = fuzzer.shrink(steps)
        failures.append(keep(twins.flavor, seed, steps, fuzzer.run(steps)))
        if len(failures) >= most:
            break
    return failures


if __name__ == "__main__":
    import twins as servers

    parser = argparse.ArgumentParser()
    parser.add_argument("flavor", choices=("mysql", "mariadb"))
    parser.add_argument("--sequences", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=int, default=5)
    arguments = parser.parse_args()
    with servers.Twins(arguments.flavor) as both:
        found = search(both, range(arguments.seed, arguments.seed + arguments.sequences), arguments.most)
    print("\n\n".join(found) or "no difference")
    sys.exit(bool(found))
