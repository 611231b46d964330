"""A local cluster as a person has it: up, use, down and up again, a killed supervisor, purge."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading

import pymysql
import pytest
from local_cluster import BIN, FLAVORS, GREETER, REPO, LocalCluster, alive, kill, run, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture(scope="module", params=[*FLAVORS, "mysql-etcd"])
def cluster(request):
    flavor, _, topo = request.param.partition("-")
    if topo == "etcd" and not shutil.which("etcd"):
        pytest.skip("no etcd in PATH")
    with LocalCluster(flavor, topo=topo or "embedded") as cluster:
        failed = request.session.testsfailed
        yield cluster
        cluster.failed = request.session.testsfailed > failed


@pytest.fixture
def sql(cluster):
    """A function that runs a statement through vtgate and returns the rows."""
    with cluster.connect() as connection:
        def query(text, *arguments):
            with connection.cursor() as cursor:
                cursor.execute(text, arguments or None)
                return list(cursor.fetchall())
        query.connection = connection
        yield query


def test_status_shows_all_and_is_well(cluster):
    text = cluster.status()
    for name in cluster.pids():
        assert name in text
    assert "ready" in text and "NOT RUNNING" not in text
    assert f"-P {cluster.port(15306)}" in text
    tablets = cluster.vtctldclient("GetTablets")
    assert sorted(line.split()[3] for line in tablets.splitlines()) == ["primary", "replica", "replica"]


def status_code(cluster):
    """(exit code, text) of `paceline status`."""
    done = subprocess.run([str(BIN / "paceline"), "status", f"--data-dir={cluster.data_dir}"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.returncode, done.stdout


def test_status_tells_what_is_wrong(cluster):
    code, text = status_code(cluster)
    assert code == 0 and "VERDICT: all is well" in text and text.count(" SERVING") == 3, text
    primary = cluster.primary()
    replica = next(uid for uid in cluster.uids() if uid != primary)
    alias = f"{cluster.cell}-{replica:010d}"
    cluster.vtctldclient("ChangeTabletType", alias, "drained")
    code, text = status_code(cluster)
    assert code == 1 and f"{alias} is drained" in text and "ChangeTabletType" in text, text
    cluster.vtctldclient("ChangeTabletType", alias, "replica")
    wait_until(lambda: status_code(cluster)[0] == 0, 20, "all to be well again")
    assert f"{alias} still runs" in cluster.vtctldclient("DeleteTablets", alias)
    code, text = status_code(cluster)
    assert code == 1 and f"{alias} runs but is not in the topology" in text, text
    assert f"{cluster.port(17000 + replica)} replicates" in cluster.vtctldclient("Validate", "--ping-tablets", check=False)
    kill(cluster.pid(f"vttablet-{replica}"))
    wait_until(lambda: status_code(cluster)[0] == 0, 30, "the tablet to register again")
    leader = f"{cluster.cell}-{primary:010d}"
    cluster.vtctldclient("SetReadOnly", leader)
    code, text = status_code(cluster)
    assert code == 3 and "NO WRITES" in text and leader in text.split("VERDICT")[1], text
    cluster.vtctldclient("SetReadWrite", leader)
    wait_until(lambda: status_code(cluster)[0] == 0, 20, "all to be well again")


def test_write_and_read(cluster, sql):
    sql("INSERT INTO greetings (name, token) VALUES (%s, 'e2e-1')", "Grüße ☃ '\"\\")
    assert sql("SELECT name FROM greetings WHERE token = 'e2e-1'") == [("Grüße ☃ '\"\\",)]
    assert sql("UPDATE greetings SET name = 'b' WHERE token = 'e2e-1'") == []
    assert sql("SELECT ROW_COUNT(), LAST_INSERT_ID() > 0") == [(1, 1)]
    assert sql("SELECT COUNT(*) FROM greetings WHERE token = 'e2e-1' AND name = 'b'") == [(1,)]


def test_names_are_those_of_the_client(cluster, sql):
    assert sql("SELECT DATABASE()") == [(cluster.keyspace,)]
    assert (cluster.keyspace,) in sql("SHOW DATABASES")
    assert ("greetings",) in sql("SHOW TABLES")
    with sql.connection.cursor() as cursor:
        cursor.execute("SELECT 1, id FROM greetings LIMIT 1")
        assert [column[0] for column in cursor.description] == ["1", "id"]
    with pytest.raises(pymysql.ProgrammingError) as error:
        sql("SELECT * FROM absent")
    assert error.value.args[0] == 1146 and f"{cluster.keyspace}.absent" in error.value.args[1]


def test_transactions(cluster, sql):
    connection = sql.connection
    connection.begin()
    sql("INSERT INTO greetings (name, token) VALUES ('undone', 'e2e-2')")
    with cluster.connect() as other, other.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM greetings WHERE token = 'e2e-2'")
        assert cursor.fetchall() == ((0,),), "another session sees what is not committed"
    connection.rollback()
    assert sql("SELECT COUNT(*) FROM greetings WHERE token = 'e2e-2'") == [(0,)]
    connection.begin()
    sql("INSERT INTO greetings (name, token) VALUES ('kept', 'e2e-3')")
    sql("SAVEPOINT here")
    sql("INSERT INTO greetings (name, token) VALUES ('undone', 'e2e-4')")
    sql("ROLLBACK TO SAVEPOINT here")
    connection.commit()
    assert sql("SELECT token FROM greetings WHERE token IN ('e2e-3', 'e2e-4')") == [("e2e-3",)]


def test_a_transaction_ends_with_its_client(cluster, sql):
    sql("INSERT INTO greetings (name, token) VALUES ('locked', 'e2e-5')")
    client = cluster.connect(autocommit=False)
    with client.cursor() as cursor:
        cursor.execute("UPDATE greetings SET name = 'half' WHERE token = 'e2e-5'")
    client._force_close()  # as a client that is gone, without COM_QUIT
    sql("UPDATE greetings SET name = 'free' WHERE token = 'e2e-5'")
    assert sql("SELECT name FROM greetings WHERE token = 'e2e-5'") == [("free",)]


def test_session_state_stays_with_its_session(cluster, sql):
    with cluster.connect() as other:
        sql("SET @mine = 7, sql_mode = 'ANSI_QUOTES'")
        with other.cursor() as cursor:
            cursor.execute("SELECT @mine, @@sql_mode LIKE '%ANSI_QUOTES%'")
            assert cursor.fetchall() == ((None, 0),)
        assert sql("SELECT @mine, @@sql_mode LIKE '%ANSI_QUOTES%'") == [(7, 1)]


def test_sessions_side_by_side(cluster):
    wrong = []

    def work(number):
        try:
            with cluster.connect() as connection, connection.cursor() as cursor:
                for step in range(40):
                    cursor.execute("SELECT %s, SLEEP(0.001), CONNECTION_ID()", (number * 1000 + step,))
                    if cursor.fetchone()[0] != number * 1000 + step:
                        wrong.append(number)
        except Exception as error:  # noqa: BLE001: shown below
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_large_results_and_values(cluster, sql):
    assert sql("SELECT LENGTH(%s)", "x" * 3_000_000) == [(3_000_000,)]
    assert len(sql("SELECT REPEAT('y', 5000000)")[0][0]) == 5_000_000
    digits = "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 " \
             "UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"
    rows = sql(f"SELECT a.d + 10*b.d + 100*c.d + 1000*e.d + 10000*f.d FROM {digits} a, {digits} b, {digits} c, {digits} e, "
               f"{digits} f")
    assert sorted(row[0] for row in rows) == list(range(100_000)), "there is no default row limit"


def test_prepared_statements(cluster):
    run([GREETER, "build"], seconds=400)
    where = f"127.0.0.1:{cluster.port(15306)}/{cluster.keyspace}"
    libraries = REPO / "examples/greeter/target/lib"
    assert run(["java", "-cp", f"{libraries}/*", f"{HERE}/Prepared.java", where]).strip() == "ok"


def test_prepared_statements_in_text(cluster, sql):
    sql("PREPARE greet FROM 'SELECT ? + 1'")
    sql("SET @n = 41")
    assert [int(value) for value, in sql("EXECUTE greet USING @n")] == [42]
    sql("DEALLOCATE PREPARE greet")


def test_a_gate_that_has_just_started_knows_its_servers(cluster):
    """What a session means by its words depends on the servers' flavor, so the first client of a new gate waits for it."""
    def connects():
        return cluster.connect(connect_timeout=20)

    for copy in ("kept", "lost"):
        kill(cluster.pid("vtgate"))
        if copy == "lost":
            (cluster.data_dir / "vtgate.topo").unlink()
        with wait_until(connects, 30, "vtgate to be back") as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE")
            cursor.execute("SELECT COUNT(*) FROM greetings")
            assert cursor.fetchone()[0] >= 0
            cursor.execute("SELECT VERSION()")
            assert ("MariaDB" in cursor.fetchone()[0]) == (cluster.flavor == "mariadb")


def test_show_vitess(cluster, sql):
    tablets = sql("SHOW VITESS_TABLETS")
    assert sorted(row[5] for row in tablets) == [f"{cluster.cell}-0000000{uid}" for uid in cluster.uids()]
    assert sorted(row[3] for row in tablets) == ["PRIMARY", "REPLICA", "REPLICA"]
    assert {row[4] for row in tablets} == {"SERVING"}
    assert sql("SHOW VITESS_SHARDS") == [(f"{cluster.keyspace}/0",)]
    assert sql("SHOW VITESS_TARGET") == [(cluster.keyspace,)]
    replicas = sql("SHOW VITESS_REPLICATION_STATUS")
    assert len(replicas) == 2 and all('"Healthy":true' in row[6] for row in replicas), replicas
    assert {row[5] for row in replicas} == {f"127.0.0.1:{cluster.port(17000 + cluster.primary())}"}


def test_show_sessions(cluster, sql):
    def others():
        rows = [row for row in sql("SHOW VITESS_SESSIONS") if row[6] != "SHOW VITESS_SESSIONS"]
        return {int(row[0]): row[3:] for row in rows}
    with cluster.connect() as connection, connection.cursor() as cursor:
        def sleep():
            with contextlib.suppress(pymysql.MySQLError):
                cursor.execute("SELECT SLEEP(60)")
        me = connection.thread_id()
        assert others()[me] == (cluster.keyspace, "idle", "", "")
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO greetings (name) VALUES ('in a transaction')")
        assert others()[me] == (cluster.keyspace, "transaction", "transaction", "")
        cursor.execute("ROLLBACK")
        cursor.execute(f"USE `{cluster.keyspace}@replica`")
        assert others()[me] == (f"{cluster.keyspace}@replica", "idle", "", "")
        sleeper = threading.Thread(target=sleep)
        sleeper.start()
        wait_until(lambda: others()[me][1:] == ("running", "", "SELECT SLEEP(60)"), 10, "the statement that runs")
        sql(f"KILL QUERY {me}")
        sleeper.join(30)
        assert not sleeper.is_alive()
    wait_until(lambda: me not in others(), 10, "the session to be gone")


def test_a_shard_that_does_not_exist(cluster, sql):
    for say in (lambda: sql(f"USE `{cluster.keyspace}:nosuch`"), lambda: cluster.connect(database=f"{cluster.keyspace}:nosuch")):
        with pytest.raises(pymysql.MySQLError) as error:
            say()
        assert error.value.args == (1049, f"Unknown database '{cluster.keyspace}:nosuch': the shards of {cluster.keyspace} are 0")


def test_a_gate_stops_with_a_client_at_its_login(cluster):
    """A connection that never logs in neither holds the gate nor breaks it."""
    gate = cluster.pid("vtgate")
    with socket.create_connection(("127.0.0.1", cluster.port(15306))):
        os.kill(gate, signal.SIGTERM)
        wait_until(lambda: not alive(gate), 30, "the gate to end")
    text = (cluster.data_dir / "log/vtgate.log").read_text()
    assert "destroyed while held" not in text and "did not end in time" not in text
    cluster.wait_serving(30)


def test_replica_reads(cluster, sql):
    sql("INSERT INTO greetings (name, token) VALUES ('read at a replica', 'e2e-6')")
    servers = set()
    with cluster.connect(database=f"{cluster.keyspace}@replica") as connection, connection.cursor() as cursor:
        def arrived():
            return cursor.execute("SELECT 1 FROM greetings WHERE token = 'e2e-6'") == 1
        wait_until(arrived, 10, "the row at a replica")
        for _ in range(40):
            cursor.execute("SELECT @@server_id, @@global.read_only")
            server, read_only = cursor.fetchone()
            servers.add(server)
            assert read_only == 1
        with pytest.raises(pymysql.MySQLError) as error:
            cursor.execute("INSERT INTO greetings (name) VALUES ('not here')")
        assert error.value.args[0] in (1290, 1836, 1105), error.value
    assert len(servers) == 2, "reads are spread over both replicas"
    assert sql("SELECT @@global.read_only") == [(0,)]
    sql(f"USE `{cluster.keyspace}:0@replica`")
    assert sql("SELECT @@global.read_only") == [(1,)]
    assert sql("SHOW VITESS_TARGET") == [(f"{cluster.keyspace}:0@replica",)]


DENIED = {1044, 1045, 1049, 1142, 1146, 1227, 1235, 1370}  # access denied in its shapes, unknown to the gate, not supported
STANDS_ON_IT = {
    "mysql": ("RESET BINARY LOGS AND GTIDS", "RESET REPLICA ALL", "STOP REPLICA", "PURGE BINARY LOGS BEFORE NOW()",
              "CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'x'", "SET GLOBAL super_read_only = 1"),
    "mariadb": ("RESET MASTER", "RESET SLAVE ALL", "STOP SLAVE", "PURGE BINARY LOGS BEFORE NOW()",
                "CHANGE MASTER TO MASTER_HOST = 'x'", "FLUSH TABLES WITH READ LOCK")}
OF_ACCOUNTS = {
    "mysql": ("UPDATE mysql.user SET Super_priv = 'Y'", "DELETE FROM mysql.user", "SELECT authentication_string FROM mysql.user"),
    "mariadb": ("UPDATE mysql.global_priv SET priv = '{}'", "DELETE FROM mysql.global_priv", "SELECT priv FROM mysql.global_priv",
                "INSERT INTO mysql.db (host, db, user) VALUES ('%', '%', 'x')")}


def test_what_a_client_must_not_do(cluster, sql):
    def denied(run, *arguments):
        with pytest.raises(pymysql.MySQLError) as error:
            run(*arguments)
        assert error.value.args[0] in DENIED, (arguments, error.value)

    def at_once(text):
        with cluster.connect(client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT 1; {text}")
            while cursor.nextset():
                pass

    always = ("SET PASSWORD = 'x'", "ALTER USER CURRENT_USER() IDENTIFIED BY 'x'", "CREATE USER u", "FLUSH PRIVILEGES",
              "GRANT ALL ON *.* TO vt_app@localhost", "DROP TABLE mysql.time_zone", "DELETE FROM _vt.reparent_journal")
    for text in (*STANDS_ON_IT[cluster.flavor], *OF_ACCOUNTS[cluster.flavor], *always):
        denied(sql, text)
        denied(at_once, text)
    for number, text in enumerate((STANDS_ON_IT[cluster.flavor][0], OF_ACCOUNTS[cluster.flavor][0])):
        sql(f"CREATE PROCEDURE hidden_{number}() {text}")
        denied(sql, f"CALL hidden_{number}()")
        sql(f"DROP PROCEDURE hidden_{number}")
    sql(f"USE `{cluster.keyspace}@replica`")
    for text in STANDS_ON_IT[cluster.flavor]:
        denied(sql, text)
    sql(f"USE `{cluster.keyspace}`")
    assert sql("SELECT COUNT(*) >= 0 FROM mysql.time_zone_name") == [(1,)]
    sql("INSERT INTO greetings (name, token) VALUES ('x', 'refused-1')")
    for uid in cluster.uids():  # and all goes on
        with cluster.as_dba(uid) as connection, connection.cursor() as cursor:
            wait_until(lambda: cursor.execute(f"SELECT 1 FROM vt_{cluster.keyspace}.greetings WHERE token = 'refused-1'") == 1, 30,
                       f"{uid} to have it")


def test_the_last_replica_that_acknowledges_stays_one(cluster):
    first, second = [f"zone1-{uid:010}" for uid in cluster.uids() if uid != cluster.primary()]
    cluster.vtctldclient("ChangeTabletType", first, "drained")
    try:
        refused = cluster.vtctldclient("ChangeTabletType", second, "rdonly", check=False)
        assert "is the last tablet" in refused and "on one machine alone" in refused
        assert [line.split()[3] for line in cluster.vtctldclient("GetTablets").splitlines() if second in line] == ["replica"]
    finally:
        cluster.vtctldclient("ChangeTabletType", first, "replica")


def test_schema_changes(cluster, sql):
    cluster.vtctldclient("ApplySchema", "--sql", "CREATE TABLE e2e_tables (id INT PRIMARY KEY)", cluster.keyspace)
    sql("INSERT INTO e2e_tables VALUES (1)")
    sql("ALTER TABLE e2e_tables ADD COLUMN more INT DEFAULT 5")
    assert sql("SELECT * FROM e2e_tables") == [(1, 5)]
    sql("DROP TABLE e2e_tables")


def test_the_greeter(cluster):
    for way in ("jdbc", "vitess"):
        text = cluster.greet(2, f"--via={way}")
        assert "ledger holds" in text and " 0 errors" in text, text
        print(text)


def test_a_second_up_is_refused(cluster):
    before = cluster.everything()
    done = subprocess.run([str(word) for word in cluster.up_command()], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60)
    assert done.returncode != 0
    assert "already runs" in done.stdout and str(cluster.data_dir) in done.stdout, done.stdout
    assert str(cluster.state()["supervisor_pid"]) in done.stdout, done.stdout
    assert cluster.everything() == before, "the running cluster was touched"
    cluster.wait_serving(5)


def test_a_new_supervisor_takes_over(cluster):
    before = cluster.everything()
    kill(before["supervisor"])
    assert cluster.serves(), "the cluster serves without its supervisor"
    status = cluster.status(check=False)
    assert "not running" in status and "paceline up" in status
    cluster.up()
    after = cluster.everything()
    assert after.pop("supervisor") != before.pop("supervisor")
    assert after == before, "every other process is the same one"
    cluster.wait_serving(5)
    gate = after["vtgate"]  # and it is watched again
    kill(gate)
    cluster.wait_serving(20)
    assert cluster.pid("vtgate") != gate


def test_down_without_a_supervisor(cluster):
    running = cluster.everything()
    kill(running["supervisor"])
    cluster.down()
    assert [name for name, pid in running.items() if alive(pid)] == []
    cluster.up()
    cluster.wait_serving(30)


def test_down_and_up_again(cluster, sql):
    sql("INSERT INTO greetings (name, token) VALUES ('stays', 'e2e-7')")
    running = cluster.everything()
    primary = cluster.primary()
    text = cluster.down()
    assert "did not" not in text and "killed" not in text, text
    assert [name for name, pid in running.items() if alive(pid)] == []
    assert cluster.leftovers() == []
    assert "stopped already" in cluster.down()
    assert status_code(cluster)[0] == 3
    # As it was made, without its flags; a load that fails is told by the exit code, and the cluster serves.
    command = [BIN / "paceline", "up", "--detach", f"--data-dir={cluster.data_dir}"]
    assert "--tablets=3" in run([*command, "--tablets=2"], check=False)
    done = subprocess.run([*command, "--greeter=/bin/false", "--greeter-seconds=1"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    assert done.returncode == 1 and "load FAILED" in done.stdout, done.stdout
    assert cluster.primary() == primary
    with cluster.connect() as connection, connection.cursor() as cursor:
        assert cursor.execute("SELECT 1 FROM greetings WHERE token = 'e2e-7'") == 1
    cluster.wait_serving(30)


def test_ctrl_c_stops_what_is_started_in_the_foreground(cluster):
    cluster.down()
    command = [str(word) for word in cluster.up_command() if word != "--detach"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        text = ""
        while "Ctrl-C" not in text:
            line = process.stdout.readline()
            assert line, f"ended with {process.wait()}:\n{text}"
            text += line
        running = cluster.everything()
        assert cluster.serves()
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=90)
        assert process.returncode == 0, rest
        assert [name for name, pid in running.items() if alive(pid)] == []
    finally:
        if process.poll() is None:
            process.kill()
    cluster.up()


def test_a_closed_terminal_stops_what_is_started_in_the_foreground(cluster):
    cluster.down()
    command = [str(word) for word in cluster.up_command() if word != "--detach"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: "vtctld" in cluster.everything(), 30, "the first processes")
        process.send_signal(signal.SIGHUP)  # before it serves: a start can be stopped too
        process.wait(timeout=60)
        assert cluster.leftovers() == []
    finally:
        if process.poll() is None:
            process.kill()
    cluster.up()


def test_down_purge_leaves_nothing(cluster):
    """The last test of this cluster."""
    running = cluster.everything()
    text = cluster.down(purge=True)
    assert "deleting" in text, text
    assert not cluster.data_dir.exists()
    assert [name for name, pid in running.items() if alive(pid)] == []
    assert cluster.leftovers() == []
    done = subprocess.run([str(BIN / "paceline"), "status", f"--data-dir={cluster.data_dir}"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
    assert done.returncode != 0 and "no local cluster" in done.stdout
