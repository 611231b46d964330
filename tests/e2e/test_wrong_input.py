"""Wrong input: one clear line that names what and where, exit code not 0, nothing half-made."""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile

import pymysql
import pytest
from local_cluster import BIN, FLAVORS, LocalCluster, alive, free_base_port, kill, mysqld_of, release_base_port, run, wait_until

LOG_LINE = re.compile(r"^\d{4}-\d\d-\d\dT\S+ [DIW] |^\[ *\d+\.\d s\]")


@pytest.fixture(scope="module", params=FLAVORS)
def cluster(request):
    with LocalCluster(request.param, tablets=2) as cluster:
        failed = request.session.testsfailed
        yield cluster
        cluster.failed = request.session.testsfailed > failed


def refused(argv, *words, seconds=60, env=None):
    """Runs a program that must refuse: exit code not 0, and the one line it says (log lines apart) has all `words`."""
    argv = [str(word) for word in argv]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=seconds, env={**os.environ, **(env or {})})
    assert done.returncode != 0, f"{argv} succeeded:\n{done.stdout}"
    assert done.returncode > 0 and done.returncode < 126, f"{argv} crashed ({done.returncode}):\n{done.stdout}"
    lines = [line for line in done.stdout.splitlines() if line.strip() and not LOG_LINE.match(line)]
    assert len(lines) == 1, f"not one line of {argv}:\n{done.stdout}"
    for word in words:
        assert str(word).lower() in lines[0].lower(), f"{word!r} is not in what {argv} said: {lines[0]}"
    print(lines[0])
    return lines[0]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def client(cluster, *arguments):
    return [BIN / "vtctldclient", "--server", f"127.0.0.1:{cluster.port(15999)}", *arguments]


def topo_flags(cluster):
    return ["--topo-implementation", "embedded", "--topo-global-server-address", f"{cluster.data_dir}/topo/topology.sqlite",
            "--topo-global-root", "/vitess/global"]


# Names.


def test_unknown_keyspace(cluster):
    with pytest.raises(pymysql.MySQLError) as error:
        cluster.connect(database="absent")
    assert error.value.args[0] == 1049 and "absent" in error.value.args[1]
    with cluster.connect() as connection, connection.cursor() as cursor:
        for statement in ("USE absent", "SELECT * FROM absent.greetings"):
            with pytest.raises(pymysql.MySQLError) as error:
                cursor.execute(statement)
            assert error.value.args[0] in (1049, 1146) and "absent" in error.value.args[1], error.value
        cursor.execute("SELECT 1")  # the session goes on
    keyspaces = cluster.vtctldclient("GetKeyspaces")
    refused(client(cluster, "GetKeyspace", "absent"), "absent")
    refused(client(cluster, "GetShard", "absent/0"), "absent")
    refused(client(cluster, "ApplySchema", "--sql", "CREATE TABLE t (id INT)", "absent"), "absent")
    refused(client(cluster, "PlannedReparentShard", "absent/0"), "absent")
    refused(client(cluster, "CreateShard", "absent/0"), "absent")
    refused(client(cluster, "GetShard", "no-slash"), "no-slash")
    assert cluster.vtctldclient("GetKeyspaces") == keyspaces


@pytest.mark.parametrize("alias", ["zone1", "zone1-", "-100", "zone1-abc", "zone1-99999999999", "zone1/100"])
def test_malformed_alias(cluster, alias):
    refused(client(cluster, "GetTablet", "--", alias) if alias.startswith("-") else client(cluster, "GetTablet", alias), alias)
    refused([BIN / "vttablet", f"--tablet-path={alias}", "--init-keyspace=test_keyspace", *topo_flags(cluster)], alias)
    shard = f"{cluster.keyspace}/0"
    refused(client(cluster, "PlannedReparentShard", shard, f"--new-primary={alias}"), alias)
    assert cluster.serves()


def test_alias_of_no_tablet(cluster):
    refused(client(cluster, "GetTablet", f"{cluster.cell}-0000000999"), "999")
    refused(client(cluster, "PlannedReparentShard", f"{cluster.keyspace}/0", "--new-primary", f"{cluster.cell}-0000000999"), "999")
    refused(client(cluster, "GetTablet", "elsewhere-0000000100"), "elsewhere")
    assert cluster.serves()


def test_commands_and_flags_that_are_not(cluster):
    refused(client(cluster, "GetTabletz"), "GetTabletz")
    refused(client(cluster, "GetTablets", "--no-such-flag"), "no-such-flag")
    refused([BIN / "vttablet", "--no-such-flag"], "no-such-flag")
    refused([BIN / "vtctldclient", "--server", "127.0.0.1:1", "GetKeyspaces"], "127.0.0.1:1")
    refused([BIN / "paceline", "up", "--flavor=oracle"], "oracle")
    refused([BIN / "paceline", "up", "--tablets=0"], "--tablets")
    nowhere = f"--data-dir=/tmp/paceline-nowhere-{os.getpid()}"  # not even made
    refused([BIN / "paceline", "up", nowhere, "--keyspace=a/b"], "--keyspace", "a/b")
    refused([BIN / "paceline", "up", nowhere, "--cell=a b"], "--cell", "a b")
    refused([BIN / "paceline", "up", nowhere, "--mysqld=/no/such/mysqld"], "--mysqld", "/no/such/mysqld")
    refused([BIN / "paceline", "up", nowhere, "--schema=/no/such.sql"], "--schema", "/no/such.sql")
    refused([BIN / "paceline", "up", nowhere, "--mysqld=/bin/true"], "/bin/true")
    refused([BIN / "paceline", "up", nowhere, "--topo=etcd", "--etcd=/no/such/etcd"], "--etcd", "/no/such/etcd")
    other = next(flavor for flavor in ("mysql", "mariadb") if flavor != cluster.flavor)
    refused([BIN / "paceline", "up", nowhere, f"--flavor={other}", "--mysqld", mysqld_of(cluster.flavor)],
            mysqld_of(cluster.flavor), "MariaDB", "MySQL")
    refused([BIN / "paceline", "up", nowhere + "#1", "--mysqld", mysqld_of(cluster.flavor)], "#")
    if cluster.flavor == "mariadb":
        refused([BIN / "paceline", "up", nowhere + " 1", "--mysqld", mysqld_of(cluster.flavor)], "blank")
    assert not list(pathlib.Path("/tmp").glob(f"paceline-nowhere-{os.getpid()}*"))
    refused([BIN / "paceline", "status", "--data-dir=/tmp/there-is-no-cluster"], "/tmp/there-is-no-cluster")
    for command in ("up", "status", "down"):  # a word too many must not stop a cluster
        refused([BIN / "paceline", command, f"--data-dir={cluster.data_dir}", "surplus"], f"paceline {command}", "surplus")
    refused([BIN / "vtgate", "surplus"], "vtgate", "surplus")
    refused([BIN / "vtgate", "--topo-global-server-address=/tmp"], "vtgate", "--cell")
    refused([BIN / "mysqlctl", "surplus"], "mysqlctl", "surplus")
    refused([BIN / "mysqlctl", "--surplus", "init"], "mysqlctl", "--surplus")
    refused(client(cluster, "ApplyVSchema", "--vschema", "{bad", cluster.keyspace), "JSON", "{bad")
    assert cluster.serves()


# SQL: MySQL's number and text reach whoever asked.


def tables(cluster):
    with cluster.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        return cursor.fetchall()


def test_syntax_errors(cluster):
    before = tables(cluster)
    with cluster.connect() as connection, connection.cursor() as cursor:
        for statement in ("SELEC 1", "SELECT * FROM", "INSERT INTO greetings VALUES (", "CREATE TABEL t (id INT)", "SELECT 'open"):
            with pytest.raises(pymysql.ProgrammingError) as error:
                cursor.execute(statement)
            assert error.value.args[0] == 1064 and "near '" in error.value.args[1], error.value
        with pytest.raises(pymysql.MySQLError) as error:
            cursor.execute("SELECT nothing_such FROM greetings")
        assert error.value.args == (1054, error.value.args[1]) and "nothing_such" in error.value.args[1]
        cursor.execute("INSERT INTO greetings (id, name) VALUES (9000001, 'once')")
        with pytest.raises(pymysql.IntegrityError) as error:
            cursor.execute("INSERT INTO greetings (id, name) VALUES (9000001, 'twice')")
        assert error.value.args[0] == 1062
        cursor.execute("SELECT 1")
    refused(client(cluster, "ApplySchema", "--sql", "CREATE TABEL half_made (id INT)", cluster.keyspace), "1064", "TABEL")
    refused(client(cluster, "ApplySchema", "--sql", "CREATE TABLE half_made (id INT); CREATE TABEL more (id INT)",
                   cluster.keyspace), "1064", "TABEL")
    refused(client(cluster, "ApplySchema", "--sql", "ALTER TABLE absent ADD COLUMN x INT", cluster.keyspace), "1146", "absent")
    alias = f"{cluster.cell}-{cluster.primary():010d}"
    refused(client(cluster, "ExecuteFetchAsDBA", alias, "SELEC 1"), "1064", "SELEC", alias)
    assert tables(cluster) == before


# Two of one.


def test_duplicate_tablet_uid(cluster):
    uid = 101
    alias = f"{cluster.cell}-{uid:010d}"
    record = cluster.vtctldclient("GetTablet", alias)
    base = free_base_port()
    try:
        folder = f"{cluster.data_dir}/vt_{uid:010d}"
        refused([BIN / "vttablet", "--tablet-path", alias, "--init-keyspace", cluster.keyspace, "--init-shard", "0",
                 "--tablet-hostname", "127.0.0.1", "--bind-address", "127.0.0.1", "--port", base + 100, "--grpc-port", base + 1100,
                 "--native-port", base + 3100, "--native-socket", f"{cluster.data_dir}/twin.sock",
                 "--state-file", f"{cluster.data_dir}/twin.json", "--db-socket", f"{folder}/mysql.sock", *topo_flags(cluster)],
                alias, f"127.0.0.1:{cluster.port(16000 + uid)}")
    finally:
        release_base_port(base)
    assert cluster.vtctldclient("GetTablet", alias) == record, "the living tablet's record was touched"
    assert not (cluster.data_dir / "twin.json").exists()
    assert cluster.serves()
    cluster.status()


def test_a_second_mysqlctld_of_a_tablet(cluster):
    """Whatever socket and port it is given: mysqld stays its owner's."""
    mysqld, owner = cluster.mysqld_pid(101), cluster.pid("mysqlctld-101")
    folder = cluster.folder(101)
    other = pathlib.Path(f"/tmp/paceline-twin-{os.getpid()}.sock")
    for sock, port in ((f"{folder}/mysqlctl.sock", cluster.port(17101)), (other, free_port())):
        refused([BIN / "mysqlctld", "--tablet-uid", "101", "--mysql-port", port, "--mysql-socket", f"{folder}/mysql.sock",
                 "--socket-file", sock, f"--flavor={cluster.flavor}", "--mysqld", mysqld_of(cluster.flavor)],
                folder, owner, env={"VTDATAROOT": str(cluster.data_dir)})
        assert not other.exists()
    assert cluster.mysqld_pid(101) == mysqld
    assert cluster.pid("mysqlctld-101") == owner
    cluster.status()


# Ports.


@pytest.fixture
def taken():
    """A port that something else listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_port_in_use_by_a_cluster(cluster, tmp_path):
    tmp_path.chmod(0o755)
    data = pathlib.Path(f"/tmp/paceline-ports-{os.getpid()}")
    try:
        refused([BIN / "paceline", "up", f"--data-dir={data}", f"--base-port={cluster.base_port}", *cluster.flags()],
                cluster.port(15306), "in use", "--base-port")
        assert not list(data.glob("vt_*")), "a tablet's folder was made"
        run([BIN / "paceline", "down", f"--data-dir={data}", "--purge"])
        assert not data.exists()
        assert not processes_of(data)
    finally:
        run(["rm", "-rf", data])
    assert cluster.serves()


def test_port_in_use_by_each_program(cluster, taken, tmp_path):
    cell = ["--cell", cluster.cell, "--bind-address", "127.0.0.1", *topo_flags(cluster)]
    gate = [*cell, "--port", "0", "--grpc-port", "0", "--mysql-auth-server-impl", "none"]
    refused([BIN / "vtgate", *gate, "--mysql-server-port", taken], taken, "in use")
    refused([BIN / "vtgate", *cell, "--port", "0", "--grpc-port", taken, "--mysql-server-port", "0",
             "--mysql-auth-server-impl", "none"], taken, "taken")
    refused([BIN / "vtctld", *cell, "--port", "0", "--grpc-port", taken], taken, "taken")
    tablet = [BIN / "vttablet", "--tablet-path", f"{cluster.cell}-0000000777", "--init-keyspace", cluster.keyspace, "--init-shard", "0",
              "--tablet-hostname", "127.0.0.1", "--bind-address", "127.0.0.1", "--state-file", tmp_path / "state.json",
              "--db-socket", f"{cluster.data_dir}/vt_0000000101/mysql.sock", *topo_flags(cluster)]
    refused([*tablet, "--port", "0", "--grpc-port", taken], taken, "taken")
    refused([*tablet, "--port", "0", "--grpc-port", "0", "--native-port", taken], taken, "in use")
    assert "777" not in cluster.vtctldclient("GetTablets"), "a tablet that never ran is registered"


def test_port_of_mysqld_in_use(cluster, taken):
    data = pathlib.Path(f"/tmp/paceline-mysqld-{os.getpid()}")
    data.mkdir(mode=0o755)
    try:
        refused([BIN / "mysqlctl", "--tablet-uid", "300", "--mysql-port", taken, "--mysql-bind-address", "127.0.0.1",
                 f"--flavor={cluster.flavor}", "--mysqld", mysqld_of(cluster.flavor), "init"], taken, "in use",
                env={"VTDATAROOT": str(data)}, seconds=120)
        assert not processes_of(data)
    finally:
        run(["rm", "-rf", data])


# Disks.


def processes_of(folder):
    """pids whose command line names the folder."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


class Mounted:
    """A small file system of its own for a data directory."""

    def __init__(self, options):
        self.folder = pathlib.Path(f"/tmp/paceline-disk-{os.getpid()}")
        self.options = options

    def __enter__(self):
        self.folder.mkdir(exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", self.options, "tmpfs", str(self.folder)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            self.folder.rmdir()
            pytest.skip(f"may not mount a small disk here: {done.stdout.strip()}")
        return self.folder

    def __exit__(self, *_):
        for pid in processes_of(self.folder):
            kill(pid)
        run(["umount", self.folder])
        self.folder.rmdir()


def up_command(flavor, data, base):
    return [BIN / "paceline", "up", "--detach", "--tablets=1", f"--data-dir={data}", f"--base-port={base}", f"--flavor={flavor}",
            f"--mysqld={mysqld_of(flavor)}"]


@pytest.fixture
def base():
    port = free_base_port()
    yield port
    release_base_port(port)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_read_only_data_directory(flavor, base):
    with Mounted("size=16m,mode=755,ro") as folder:
        refused(up_command(flavor, folder, base), folder, "read-only")
        refused(up_command(flavor, folder / "deeper", base), folder, "read-only")
        refused([BIN / "mysqlctl", "--tablet-uid", "300", "--mysql-port", base + 2100, f"--flavor={flavor}", "--mysqld",
                 mysqld_of(flavor), "init"], folder, "read-only", env={"VTDATAROOT": str(folder)})
        assert not processes_of(folder)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_full_data_directory(flavor, base):
    with Mounted("size=24m,mode=755") as folder:
        said = refused(up_command(flavor, folder, base), folder, seconds=120)
        assert re.search(r"disk is full", said), said
        wait_until(lambda: not processes_of(folder), 20, "all processes to be gone")
        tablet = folder / "vt_0000000100"
        assert not tablet.exists() or not list(tablet.glob("data*")), f"half-made: {list(tablet.rglob('*'))[:20]}"
        run(["mount", "-o", "remount,size=3g", folder])  # with room, the same command succeeds
        run(up_command(flavor, folder, base), seconds=120)
        run([BIN / "paceline", "down", f"--data-dir={folder}", "--purge"], seconds=120, check=False)


# Servers.


@pytest.fixture
def old_mysqld():
    """A mysqld of a version that is not supported, where mysqld's user can reach it."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="paceline-old-mysqld-"))
    folder.chmod(0o755)
    program = folder / "mysqld"
    program.write_text(f"#!/bin/sh\necho '{program}  Ver 5.6.51 for Linux on x86_64 (MySQL Community Server (GPL))'\n")
    program.chmod(0o755)
    yield program
    shutil.rmtree(folder)


def test_unsupported_mysqld(old_mysqld, base):
    data = pathlib.Path(f"/tmp/paceline-old-{os.getpid()}")
    try:
        refused([BIN / "paceline", "up", "--detach", "--tablets=1", f"--data-dir={data}", f"--base-port={base}",
                 f"--mysqld={old_mysqld}"], old_mysqld, "5.6.51", seconds=60)
        assert not processes_of(data)
        assert not list(data.glob("vt_*/*")), "files of a tablet were made"
        data.mkdir(exist_ok=True)
        refused([BIN / "mysqlctl", "--tablet-uid", "300", "--mysql-port", base + 2100, "--mysqld", old_mysqld, "init"], old_mysqld,
                "5.6.51", env={"VTDATAROOT": str(data)})
        refused([BIN / "mysqlctld", "--tablet-uid", "300", "--mysql-port", base + 2100, "--mysqld", old_mysqld,
                 "--socket-file", data / "mysqlctl.sock"], old_mysqld, "5.6.51", env={"VTDATAROOT": str(data)})
        absent = old_mysqld.parent / "nowhere"
        refused([BIN / "mysqlctl", "--tablet-uid", "300", "--mysqld", absent, "init"], absent, env={"VTDATAROOT": str(data)})
        assert not list(data.glob("vt_*/*"))
    finally:
        run(["rm", "-rf", data])
