"""The same database twice: a plain mysqld, and vtgate before a tablet whose mysqld is configured alike."""

import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import raw_mysql
from local_cluster import LocalCluster, kill, mysqld_of, run, wait_until

KEYSPACE = "test_keyspace"
# Options of a tablet's my.cnf that are seen by clients, or that make a small server.
SHARED = ("character_set_server", "skip_name_resolve", "max_connections", "max_allowed_packet", "innodb_lock_wait_timeout",
          "local_infile", "performance_schema", "innodb_buffer_pool_size", "innodb_log_buffer_size", "key_buffer_size",
          "table_open_cache", "table_definition_cache", "binlog_format", "innodb_redo_log_capacity", "innodb_log_file_size",
          "temptable_max_ram", "mysqlx", "aria_log_file_size", "aria_pagecache_buffer_size", "event_scheduler", "server_id",
          "gtid_mode", "enforce_gtid_consistency", "partial_revokes")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class PlainServer:
    """A mysqld of our own, with the options that a tablet's my.cnf gives to clients."""

    def __init__(self, flavor, tablet_config, grants):
        self.grants = grants  # of the account app@%
        self.flavor, self.port, self.process = flavor, free_port(), None
        self.user = os.environ.get("PACELINE_MYSQLD_USER", "paceline") if os.geteuid() == 0 else None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="paceline-plain-"))
        self.folder.chmod(0o755)
        options = [line for line in tablet_config.splitlines() if line.split("=")[0].strip().replace("-", "_") in SHARED]
        (self.folder / "tmp").mkdir()
        (self.folder / "my.cnf").write_text("\n".join(
            ["[mysqld]", *options, f"datadir={self.folder}/data", f"socket={self.folder}/sock", f"port={self.port}",
             f"log_error={self.folder}/error.log", f"pid_file={self.folder}/pid", f"tmpdir={self.folder}/tmp",
             f"secure_file_priv={self.folder}/tmp", "bind_address=127.0.0.1", "log_bin=bin",
             "innodb_flush_log_at_trx_commit=0", "sync_binlog=0", ""]))
        if self.user:
            ids = pwd.getpwnam(self.user)
            for path in (self.folder, self.folder / "tmp"):
                os.chown(path, ids.pw_uid, ids.pw_gid)

    def start(self):
        server = mysqld_of(self.flavor)
        as_user = dict(user=self.user, group=self.user) if self.user else {}
        config = f"--defaults-file={self.folder}/my.cnf"
        script = self.folder / "init.sql"
        script.write_text("CREATE USER 'app'@'%' IDENTIFIED BY '';\n"
                          + "".join(f"{grant};\n" for grant in self.grants) + f"CREATE DATABASE {KEYSPACE};\n"
                          "DROP USER IF EXISTS 'root'@'localhost';\nDROP DATABASE IF EXISTS test;\nFLUSH PRIVILEGES;\n")
        script.chmod(0o644)
        if self.flavor == "mariadb":
            run(["mariadb-install-db", config, "--skip-test-db", "--skip-name-resolve",
                 "--auth-root-authentication-method=normal"], seconds=300, **as_user)
            script.write_text(script.read_text().replace("CREATE USER", "FLUSH PRIVILEGES;\nDROP USER IF EXISTS ''@'localhost';\nCREATE USER", 1))
        else:
            run([server, config, "--initialize-insecure"], seconds=300, **as_user)
        log = open(self.folder / "out.log", "w")
        self.process = subprocess.Popen([server, config, f"--init-file={script}"], stdin=subprocess.DEVNULL, stdout=log,
                                        stderr=log, **as_user)
        wait_until(lambda: raw_mysql.Client(self.port, "app", database=KEYSPACE).close() or True, 180, "the plain mysqld")

    def stop(self):
        if self.process:
            kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Twins:
    """with Twins("mysql") as twins: twins.direct(), twins.gate() are new connections."""

    def __init__(self, flavor, **cluster_options):
        self.flavor = flavor
        self.charset = 45 if flavor == "mariadb" else 255
        self.cluster = LocalCluster(flavor, tablets=1, keyspace=KEYSPACE, **cluster_options)
        self.plain = None

    def __enter__(self):
        self.cluster.__enter__()
        try:
            config = next(self.cluster.data_dir.glob("vt_*/my.cnf")).read_text()
            self.plain = PlainServer(self.flavor, config, self.grants_of_a_tablets_user())
            self.plain.start()
            with self.gate() as client:
                for name in ("greetings",):
                    client.query(f"DROP TABLE IF EXISTS {name}")
        except BaseException:
            self.__exit__(AssertionError, None, None)
            raise
        return self

    def __exit__(self, kind, *rest):
        if self.plain:
            self.plain.stop()
        self.cluster.__exit__(kind, *rest)

    def grants_of_a_tablets_user(self):
        """What vttablet's user may do; a client of the plain server gets the same."""
        with self.cluster.as_dba(self.cluster.uids()[0]) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW GRANTS FOR vt_app@localhost")
            grants = [re.sub(r"(TO|FROM) [`']vt_app[`']@[`']localhost[`'].*", r"\1 'app'@'%'", row[0]) for row in cursor.fetchall()]
            return [re.sub(r",SESSION_VARIABLES_ADMIN\b", "", grant) for grant in grants]  # vttablet's own need, kept from clients

    def direct(self, **options):
        return raw_mysql.Client(self.plain.port, **{"user": "app", "database": KEYSPACE, "charset": self.charset, **options})

    def gate(self, **options):
        return raw_mysql.Client(self.cluster.port(15306), **{"user": "app", "database": KEYSPACE, "charset": self.charset, **options})

    def pair(self, **options):
        return self.direct(**options), self.gate(**options)
