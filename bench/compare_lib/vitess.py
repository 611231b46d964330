"""Vitess 22 before the same mysqld: its vtgate and its vttablet, which manages no mysqld (and would have --unmanaged, which refuses an empty password), with an etcd of their own."""

import shutil
import subprocess

from compare_lib.process import BenchError, Server, free_ports, owned_folder, wait_until

PROGRAMS = ("vtgate", "vttablet", "vtctldclient")
SIDECAR = "_vt_peer"  # not `_vt`, which is ours and which it would change


def start(options, backend, folder, stack):
    """The port of its vtgate, and what it costs: {"vtgate": pid, "vttablet": pid}."""
    for program in PROGRAMS:
        if not (options.vitess / program).exists():
            raise BenchError(f"no {options.vitess / program}: run tools/vitess {' '.join(PROGRAMS)}, give --vitess, or leave "
                             "vitess out of --only")
    home = owned_folder(folder / "vitess", options.run_as)
    topo = start_etcd(options, folder, home, stack)
    gate, gate_grpc, gate_web, grpc, web = free_ports(5)
    control = [options.vitess / "vtctldclient", "--server=internal", *topo]
    run([*control, "AddCellInfo", "--root=/bench/zone1", f"--server-address={address_of(topo)}", "zone1"], home)
    run([*control, "CreateKeyspace", f"--sidecar-db-name={SIDECAR}", options.keyspace], home)
    topo = [flag.replace("-", "_").replace("__", "--") for flag in topo]  # these two programs spell them so
    user = [f"--db_{role}_{what}={value}" for role in ("app", "dba", "allprivs", "repl", "filtered", "appdebug")
            for what, value in (("user", options.user), ("password", options.password), ("use_ssl", "false"))]
    tablet = Server("vitess-vttablet", [
        options.vitess / "vttablet", *topo, "--tablet-path=zone1-900", f"--init_keyspace={options.keyspace}", "--init_shard=0",
        "--init_tablet_type=replica", f"--init_db_name_override={options.database}", "--db_host=127.0.0.1",
        f"--db_port={backend.port}", *user, f"--port={web}", f"--grpc_port={grpc}", "--tablet_hostname=127.0.0.1",
        "--service_map=grpc-queryservice,grpc-tabletmanager", "--logtostderr"], folder, options.run_as, cwd=home)
    stack.callback(tablet.stop)
    tablet.wait_for_port(grpc, 60)
    wait_until(lambda: succeeds([*control, "TabletExternallyReparented", "zone1-900"], home), 60,
               f"Vitess's vttablet to lead: {tablet.tail()}")
    vtgate = Server("vitess-vtgate", [
        options.vitess / "vtgate", *topo, "--cell=zone1", "--cells_to_watch=zone1", "--tablet_types_to_wait=PRIMARY",
        f"--port={gate_web}", f"--grpc_port={gate_grpc}", f"--mysql_server_port={gate}", "--mysql_server_bind_address=127.0.0.1",
        "--mysql_auth_server_impl=none", "--service_map=grpc-vtgateservice", "--logtostderr"], folder, options.run_as, cwd=home)
    stack.callback(vtgate.stop)
    vtgate.wait_for_port(gate, 60)
    return gate, {"vtgate": vtgate.pid, "vttablet": tablet.pid}


def start_etcd(options, folder, home, stack):
    """Flags that name the topology, kept in an etcd that only it uses."""
    program = shutil.which("etcd")
    if not program:
        raise BenchError("no etcd: apt-get install etcd-server, or leave vitess out of --only")
    client, peer = free_ports(2)
    etcd = Server("vitess-etcd", [program, f"--data-dir={home}/etcd", f"--listen-client-urls=http://127.0.0.1:{client}",
                                  f"--advertise-client-urls=http://127.0.0.1:{client}", f"--listen-peer-urls=http://127.0.0.1:{peer}"],
                  folder, options.run_as, cwd=home)
    stack.callback(etcd.stop)
    etcd.wait_for_port(client)
    return ["--topo-implementation=etcd2", f"--topo-global-server-address=127.0.0.1:{client}", "--topo-global-root=/bench/global"]


def address_of(topo):
    return topo[1].split("=", 1)[1]


def run(argv, home):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=60, cwd=home, check=False)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(str(a) for a in argv[-3:])}: {(done.stdout + done.stderr).strip().splitlines()[-1]}")


def succeeds(argv, home):
    return subprocess.run([str(a) for a in argv], capture_output=True, timeout=60, cwd=home, check=False).returncode == 0
