"""A plain MySQL or MariaDB of somebody's, as Import finds it, and writers that go where writes are taken."""

import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile
import threading
import time

import pymysql
from local_cluster import LocalCluster, kill, mysqld_of, run, wait_until
from twins import free_port

DATABASE, PASSWORD = "shop", "im'port"
# As docs/import.md has it.
RIGHTS = {
    "mysql": "SELECT, RELOAD, PROCESS, SHOW VIEW, TRIGGER, EVENT, REPLICATION SLAVE, REPLICATION CLIENT, "
             "SYSTEM_VARIABLES_ADMIN, CONNECTION_ADMIN, REPLICATION_SLAVE_ADMIN",
    "mariadb": "SELECT, RELOAD, PROCESS, SHOW VIEW, TRIGGER, EVENT, REPLICATION SLAVE, BINLOG MONITOR, SLAVE MONITOR, "
               "READ_ONLY ADMIN, CONNECTION ADMIN, REPLICATION SLAVE ADMIN, SUPER",
}
SMALL = {"mysql": ["innodb_redo_log_capacity=64M", "mysqlx=OFF", "performance_schema=OFF", "temptable_max_ram=16M"],
         "mariadb": ["innodb_log_file_size=16M", "aria_pagecache_buffer_size=4M"]}


class Source:
    """with Source("mysql") as source: ...   `options` replace those of a server that can be imported."""

    def __init__(self, flavor, **options):
        self.flavor, self.port, self.process = flavor, free_port(), None
        self.user = os.environ.get("PACELINE_MYSQLD_USER", "paceline") if os.geteuid() == 0 else None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="paceline-source-"))
        self.folder.chmod(0o755)
        self.options = {"log_bin": "bin", "server_id": 4711, "binlog_format": "ROW"}
        if flavor == "mysql":
            self.options |= {"gtid_mode": "ON", "enforce_gtid_consistency": "ON"}
        else:
            self.options |= {"log_slave_updates": "ON"}
        self.options |= options

    def __enter__(self):
        try:
            (self.folder / "tmp").mkdir()
            if self.user:
                ids = pwd.getpwnam(self.user)
                for path in (self.folder, self.folder / "tmp"):
                    os.chown(path, ids.pw_uid, ids.pw_gid)
            self.configure()
            config = f"--defaults-file={self.folder}/my.cnf"
            if self.flavor == "mysql":
                run([mysqld_of(self.flavor), config, "--initialize-insecure"], seconds=300, **self.owner())
            else:
                run(["mariadb-install-db", config, "--skip-test-db", "--skip-name-resolve",
                     "--auth-root-authentication-method=normal"], seconds=300, **self.owner())
            self.start()
            with self.root() as connection, connection.cursor() as cursor:
                # The account is the operator's, not a part of what is imported.
                cursor.execute("CREATE USER 'import'@'%%' IDENTIFIED BY %s", (PASSWORD,))
                cursor.execute(f"GRANT {RIGHTS[self.flavor]} ON *.* TO 'import'@'%'")
                cursor.execute("CREATE USER 'app'@'%' IDENTIFIED BY 'app'")
                cursor.execute(f"CREATE DATABASE {DATABASE}")
                cursor.execute(f"GRANT ALL ON {DATABASE}.* TO 'app'@'%'")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def owner(self):
        return dict(user=self.user, group=self.user) if self.user else {}

    def configure(self):
        lines = [f"{name}={value}" if value is not None else name for name, value in self.options.items()]
        (self.folder / "my.cnf").write_text("\n".join(
            ["[mysqld]", *lines, *SMALL[self.flavor], f"datadir={self.folder}/data", f"socket={self.folder}/sock",
             f"port={self.port}", f"log_error={self.folder}/error.log", f"pid_file={self.folder}/pid",
             f"tmpdir={self.folder}/tmp", f"secure_file_priv={self.folder}/tmp", "bind_address=127.0.0.1",
             "skip_name_resolve", "innodb_buffer_pool_size=32M", "innodb_flush_log_at_trx_commit=1", "sync_binlog=1", ""]))

    def start(self):
        log = open(self.folder / "out.log", "w")
        self.process = subprocess.Popen([mysqld_of(self.flavor), f"--defaults-file={self.folder}/my.cnf"],
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self.owner())
        wait_until(lambda: self.root().close() is None, 120, "the source to start")

    def stop(self):
        if self.process:
            kill(self.process.pid)
            self.process.wait()
            self.process = None

    def restart(self, without=(), **options):
        self.stop()
        self.options = {name: value for name, value in self.options.items() if name not in without} | options
        self.configure()
        self.start()

    def root(self, **options):
        return pymysql.connect(unix_socket=f"{self.folder}/sock", user="root", autocommit=True, **options)

    def connect(self, **options):
        return pymysql.connect(host="127.0.0.1", port=self.port, user="app", password="app", database=DATABASE,
                               **{"autocommit": True, "connect_timeout": 5, "read_timeout": 30, **options})

    def ask(self, sql):
        with self.root() as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def replicates_from(self):
        """The port of the server that it replicates from, both threads running; None: from nobody."""
        with self.root() as connection, connection.cursor(pymysql.cursors.DictCursor) as cursor:
            cursor.execute("SHOW REPLICA STATUS")
            row = cursor.fetchone()
        if not row:
            return None
        word = "Replica" if "Replica_IO_Running" in row else "Slave"
        runs = row[f"{word}_IO_Running"] == row[f"{word}_SQL_Running"] == "Yes"
        return runs and int(row["Source_Port" if "Source_Port" in row else "Master_Port"])


class ImportCluster(LocalCluster):
    """Empty, and serving the database of the source."""

    def __init__(self, flavor, tablets=2, **options):
        super().__init__(flavor, tablets=tablets, keyspace=DATABASE,
                         **{"vttablet_flags": f"--init-db-name-override={DATABASE}", **options})

    def up_command(self):
        return [word for word in super().up_command() if not str(word).startswith("--schema=")]

    def importing(self, verb, *arguments, seconds=90, **options):
        return self.vtctldclient("Import", verb, *arguments, f"{self.keyspace}/0", seconds=seconds, **options)

    def create(self, source, *arguments, password=PASSWORD, **options):
        file = self.data_dir / "password"
        file.write_text(password + "\n")
        return self.importing("create", f"--source-port={source.port}", "--source-host=127.0.0.1", "--source-user=import",
                              f"--source-password-file={file}", *arguments, **options)

    def wait_replicating(self, seconds=180):
        """Until the importing tablet and all that follow it have what the source has, or nearly."""
        def there():
            lines = [line for line in self.importing("show").splitlines() if line.startswith("tablet:")]
            assert len(lines) == self.tablets, lines
            return all(", lag " in line and "error" not in line for line in lines) and "replicating" in "".join(lines)
        try:
            wait_until(there, seconds, "all tablets to follow the source")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.importing('show')}") from error


class Writers:
    """Half of them write to the source, half to vtgate, each numbers of its own, one after the other, as long as they are taken
    there. What was acknowledged is remembered with its time."""
    began = 0

    def __init__(self, source, cluster, count=6):
        self.places = [source.connect, cluster.connect]
        self.count, self.lock, self.stopping = count, threading.Lock(), threading.Event()
        self.acknowledged, self.unknown, self.times, self.refused = set(), set(), [], {}
        Writers.began += count
        self.threads = [threading.Thread(target=self.run, args=(Writers.began - n,), daemon=True) for n in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        wait_until(lambda: len(self.times) > 20, 60, "the writers to be under way")
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)

    def run(self, writer):
        place, number = self.places[writer % 2], 0
        while not self.stopping.is_set():
            try:
                with place(read_timeout=20, connect_timeout=2) as connection, connection.cursor() as cursor:
                    while not self.stopping.is_set():
                        number += 1
                        self.unknown.add((writer, number))
                        cursor.execute("INSERT INTO ledger (writer, number) VALUES (%s, %s)", (writer, number))
                        with self.lock:
                            self.acknowledged.add((writer, number))
                            self.unknown.discard((writer, number))
                            self.times.append(time.monotonic())
                        self.stopping.wait(0.005)
            except Exception as error:  # noqa: BLE001: it is refused, or its end is not known
                self.refused[str(error)] = self.refused.get(str(error), 0) + 1
                self.stopping.wait(0.01)

    def longest_gap(self, since):
        """Between two acknowledged writes of anybody."""
        with self.lock:
            times = [since] + [at for at in self.times if at >= since]
        return max((b - a for a, b in zip(times, times[1:])), default=0)

    def go_on(self, seconds=30):
        before = len(self.times)
        wait_until(lambda: len(self.times) > before + 5 * self.count, seconds, f"writes to go on ({self.refused})")

    def check(self, connection):
        """Nothing that was acknowledged is missing, nothing is there twice or was never written."""
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT writer, number, COUNT(*) FROM ledger GROUP BY writer, number")
            rows = cursor.fetchall()
        there = {(row[0], row[1]) for row in rows}
        assert [row for row in rows if row[2] != 1] == []
        assert self.acknowledged - there == set()
        assert there - self.acknowledged - self.unknown == set()
