"""Who is compared: each is an address for the client, and the processes whose CPU and memory are its price."""

import dataclasses
import shutil
import subprocess

from compare_lib import vitess
from compare_lib.process import BenchError, Server, free_ports, owned_folder

NAMES = ("direct", "ours", "ours-one", "router", "haproxy", "floor", "floor-one", "vitess")


@dataclasses.dataclass
class Contender:
    name: str
    port: int
    database: str
    user: str
    password: str
    processes: dict[str, int]  # process name -> pid: the middle tier's own


def start(options, backend, folder, stack):
    """The contenders asked for, those of other makers started on free ports and stopped when the stack unwinds."""
    def through(name, port, processes):
        return Contender(name, port, options.database, options.user, options.password, processes)
    lineup = [through("direct", backend.port, {})]
    if "ours" in options.only and backend.gate_port:
        lineup.append(Contender("ours", backend.gate_port, options.keyspace, options.gate_user, "", backend.ours))
    if "ours-one" in options.only and backend.one_port:
        lineup.append(Contender("ours-one", backend.one_port, options.keyspace, options.gate_user, "", backend.one))
    for name, starter in (("router", start_router), ("haproxy", start_haproxy), ("floor", start_floor),
                          ("floor-one", start_floor_one)):
        if name in options.only:
            lineup.append(through(name, *starter(options, backend, folder, stack)))
    if "vitess" in options.only:
        port, processes = vitess.start(options, backend, folder, stack)
        lineup.append(Contender("vitess", port, options.keyspace, options.gate_user, "", processes))
    return lineup


def start_router(options, backend, folder, stack):
    """MySQL Router as a plain relay: no TLS on either side, no connection sharing, so it parses as little as it can."""
    root = options.mysql97 / "root"
    program, plugins = root / "bin/mysqlrouter", options.mysql97 / "prefix/usr/lib/mysqlrouter/plugin"
    if not program.exists():
        raise BenchError(f"no {program}: run tools/mysql97, give --mysql97, or leave router out of --only")
    port = free_ports(1)[0]
    home = owned_folder(folder / "router", options.run_as)
    config = home / "router.conf"
    config.write_text(
        f"[DEFAULT]\nlogging_folder=\nplugin_folder={plugins}\nruntime_folder={home}\ndata_folder={home}\n"
        "[logger]\nlevel=WARNING\n"
        f"[routing:bench]\nbind_address=127.0.0.1\nbind_port={port}\ndestinations=127.0.0.1:{backend.port}\n"
        "routing_strategy=first-available\nprotocol=classic\nclient_ssl_mode=DISABLED\nserver_ssl_mode=DISABLED\n"
        "max_connections=1024\nmax_connect_errors=4294967295\n")
    server = Server("router", [program, "-c", config], folder, options.run_as)
    stack.callback(server.stop)
    server.wait_for_port(port)
    return port, {"router": server.pid}


def start_haproxy(options, backend, folder, stack):
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/sbin")
    if not program:
        raise BenchError("no haproxy: apt-get install haproxy, or leave it out of --only")
    port = free_ports(1)[0]
    home = owned_folder(folder / "haproxy", options.run_as)
    config = home / "haproxy.cfg"
    config.write_text(
        "global\n  nbthread 1\n  maxconn 2048\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n"
        f"listen bench\n  bind 127.0.0.1:{port}\n  server mysqld 127.0.0.1:{backend.port}\n")
    server = Server("haproxy", [program, "-db", "-f", config], folder, options.run_as)
    stack.callback(server.stop)
    server.wait_for_port(port)
    return port, {"haproxy": server.pid}


def start_floor(options, backend, folder, stack):
    """Two byte relays in a row: what two hops cost when nothing is done in them."""
    return relays(build_relay(options.floor_src / "gate.cc", folder), ("floor2", "floor1"), options, backend, folder, stack)


def start_floor_one(options, backend, folder, stack):
    """One byte relay: the floor of gate and tablet in one process."""
    return relays(build_relay(options.floor_src / "gate.cc", folder), ("floor",), options, backend, folder, stack)


def build_relay(source, folder):
    if not source.exists():
        raise BenchError(f"no {source}: give the prototype's folder with --floor-src, or leave floor out of --only")
    program = folder / "floor-gate"
    if program.exists():
        return program
    done = subprocess.run(["g++", "-O2", "-std=c++20", "-o", str(program), str(source), "-lcrypto", "-pthread"],
                          capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise BenchError(f"cannot build {source}: {done.stderr.strip().splitlines()[-1]}")
    program.chmod(0o755)
    return program


def relays(program, names, options, backend, folder, stack):
    processes, behind = {}, backend.port
    for name, port in zip(names, free_ports(len(names))):
        server = Server(name, [program, "-m", "blind", "-b", f"127.0.0.1:{behind}", "-l", f"127.0.0.1:{port}"], folder, options.run_as)
        stack.callback(server.stop)
        server.wait_for_port(port)
        processes[name], behind = server.pid, port
    return behind, dict(sorted(processes.items()))
