"""The one mysqld that every contender stands before, and the Paceline processes before it."""

import dataclasses
import os
import pathlib
import shutil
import subprocess

from compare_lib.process import BenchError, Server, answers, free_ports, identity, is_free, listener, owned_folder, wait_until


@dataclasses.dataclass
class Backend:
    port: int                      # of mysqld
    pid: int
    version: str
    gate_port: int | None = None   # vtgate's MySQL port; None: ours is left out
    ours: dict[str, int] = dataclasses.field(default_factory=dict)  # process name -> pid
    one_port: int | None = None    # of a gate and tablet that are one process; None: that is left out
    one: dict[str, int] = dataclasses.field(default_factory=dict)


def find_backend(options, folder, stack):
    if options.cluster == "none":
        if not options.direct_port:
            options.direct_port = start_mysqld(options, folder, stack)
        return describe(options, options.direct_port, None, {})
    if options.cluster == "own":
        base = start_cluster(options, folder, stack)
        one = pid_of("vtgate", base + 306)
        backend = describe(options, find_primary(options, base), start_gate(options, folder, stack), {})
        backend.ours = {"vtgate": pid_of("vtgate", backend.gate_port), "vttablet": one}
        backend.one_port, backend.one = base + 306, {"both": one}
        return backend
    base = options.base_port
    gate_port = base + 306
    if not answers(gate_port):
        raise BenchError(f"nothing answers on 127.0.0.1:{gate_port}, vtgate's MySQL port: start a cluster with ./run --detach "
                         "--flavor=mysql, or take --cluster=own or --cluster=none")
    port = options.direct_port or find_primary(options, base)
    tablet_grpc = port - 1000  # 16100 + i and 17100 + i in a local cluster
    ours = {"vtgate": pid_of("vtgate", gate_port), "vttablet": pid_of("vttablet", tablet_grpc)}
    if ours["vtgate"] == ours["vttablet"]:
        del ours["vttablet"]
    return describe(options, port, gate_port, ours)


def pid_of(name, port):
    pid = listener(port)
    if pid is None:
        raise BenchError(f"cannot tell which process is {name} (port {port}): run as root or as the cluster's user")
    return pid


def describe(options, port, gate_port, ours):
    if not answers(port):
        raise BenchError(f"no mysqld answers on 127.0.0.1:{port}")
    version = ask(options, port, "SELECT CONCAT(VERSION(), ' ', @@version_comment)")
    return Backend(port, pid_of("mysqld", port), version, gate_port, ours)


def find_primary(options, base):
    """Port of the writable mysqld of the cluster."""
    seen = []
    for port in range(base + 2100, base + 2110):
        if answers(port):
            seen.append(port)
            if ask(options, port, "SELECT @@global.read_only") == "0":
                return port
    raise BenchError(f"no writable mysqld on ports {base + 2100} to {base + 2109} (answering: {seen or 'none'}): "
                     "see paceline status, or name it with --direct-port")


def mysql_client(options):
    client = options.mysql97 / "root/bin/mysql"
    if client.exists():
        return [client, "--no-defaults", "--ssl-mode=DISABLED", "--get-server-public-key"]
    other = shutil.which("mariadb") or shutil.which("mysql")
    if not other:
        raise BenchError(f"no mysql client: neither {client} nor one in PATH; tools/mysql97 brings it")
    return [other, "--no-defaults", "--skip-ssl"]


def ask(options, port, sql):
    """One value from mysqld, as the bench's own user."""
    argv = [*mysql_client(options), "-h127.0.0.1", f"-P{port}", f"-u{options.user}", "--connect-timeout=5", "-NBe", sql]
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, "MYSQL_PWD": options.password})
    if done.returncode != 0:
        raise BenchError(f"user {options.user} at 127.0.0.1:{port}: {done.stderr.strip()}")
    return done.stdout.strip()


def start_mysqld(options, folder, stack):
    """A mysqld 9.7 of our own, with the bench's user and database. Durability as generated my.cnf have it."""
    root = options.mysql97 / "root"
    if not (root / "bin/mysqld").exists():
        raise BenchError(f"no mysqld in {root / 'bin'}: run tools/mysql97, or give --mysql97")
    home = owned_folder(folder / "mysqld", options.run_as)
    init = home / "init.sql"
    init.write_text(f"CREATE DATABASE {options.database};\nCREATE USER {options.user}@'%' IDENTIFIED BY '{options.password}';\n"
                    f"GRANT ALL ON *.* TO {options.user}@'%';\n")
    common = [f"--basedir={root}", f"--datadir={home}/data"]
    setup = Server("mysqld-init", [root / "bin/mysqld", "--no-defaults", *common, "--initialize-insecure", f"--init-file={init}"],
                   folder, options.run_as)
    wait_until(lambda: setup.process.poll() is not None, 120, "mysqld --initialize")
    if setup.process.returncode != 0:
        raise BenchError(f"mysqld --initialize failed: {setup.tail()}")
    port = free_ports(1)[0]
    server = Server("mysqld", [root / "bin/mysqld", "--no-defaults", *common, f"--port={port}", "--bind-address=127.0.0.1",
                               f"--socket={home}/mysql.sock", "--mysqlx=OFF", "--secure-file-priv=NULL", "--server-id=1",
                               "--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--innodb-buffer-pool-size=256M"],
                    folder, options.run_as)
    stack.callback(server.stop)
    server.wait_for_port(port, 60)
    return port


def start_gate(options, folder, stack):
    """A vtgate of its own before the cluster's tablet, which has one in its process too. Its port."""
    port = free_ports(1)[0]
    server = Server("vtgate", [options.bin / "vtgate", "--cell=zone1", "--topo-implementation=embedded",
                               f"--topo-global-server-address={folder}/cluster/topo/topology.sqlite", "--topo-global-root=/vitess/global",
                               "--bind-address=127.0.0.1", "--port=0", "--grpc-port=0", f"--mysql-server-port={port}",
                               "--mysql-auth-server-impl=none"], folder, None)
    stack.callback(server.stop)
    server.wait_for_port(port)
    return port


def start_cluster(options, folder, stack):
    """A local cluster under its own folder and ports, gate and first tablet in one process; purged when the stack unwinds."""
    paceline = options.bin / "paceline"
    if not paceline.exists():
        raise BenchError(f"no {paceline}: build it with tools/build, or give --bin")
    data = folder / "cluster"
    # The highest port of a cluster stays below 32768, where the kernel begins to hand out ports to connections.
    offsets = (0, 1, 306, 790, 991, 999, *(kind + i for kind in (100, 1100, 2100, 3100) for i in range(options.tablets)))
    base = next((b for b in range(25250, 29500, 250) if all(is_free(b + offset) for offset in offsets)), None)
    if base is None:
        raise BenchError("no free range of ports between 25250 and 32500")
    stack.callback(subprocess.run, [paceline, "down", "--purge", f"--data-dir={data}"], stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=120, check=False)
    argv = [paceline, "up", "--detach", f"--tablets={options.tablets}", "--flavor=mysql", f"--data-dir={data}", f"--base-port={base}",
            f"--keyspace={options.keyspace}", "--gate-in-tablet", f"--mysqld={options.mysql97 / 'root/bin/mysqld'}"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode != 0:
        raise BenchError(f"paceline up failed: {' | '.join((done.stdout + done.stderr).strip().splitlines()[-3:])}")
    return base
