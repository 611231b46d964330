"""A local cluster whose tablets live each in a network namespace of its own, routed through this machine, so that the network
between them can be cut, thinned or made one-way. Needs root, ip and nft. Everything else (vtgate, vtctld, vtorc) stays outside."""

import os
import pathlib
import re
import subprocess
import sys
import threading

from local_cluster import BIN, LocalCluster, alive, kill, run


class NetworkCluster(LocalCluster):
    """Made by starting a plain local cluster, stopping it, and starting the same commands in namespaces: the tablets come
    back with new addresses, as pods do."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        number = self.base_port // 250 % 200
        self.prefix, self.network = f"pl{number}", f"10.213.{number}"
        self.table = f"paceline{number}"
        self._processes, self._commands, self._stopping = {}, {}, threading.Event()
        self._relays = []  # to etcd's members, which listen on the loopback of this machine alone
        self._guard = threading.Thread(target=self._restart, daemon=True)

    def address(self, uid):
        return f"{self.network}.{uid % 100 + 10}"

    def namespace(self, uid):
        return f"{self.prefix}-{uid}"

    def up(self):
        super().up()
        commands = {name: self._command(pid) for name, pid in self.pids().items()}
        run([BIN / "paceline", "down", f"--data-dir={self.data_dir}"], seconds=240)
        self._lay_network()
        for name, words in commands.items():
            kind, _, uid = name.partition("-")
            if kind in ("mysqlctld", "vttablet"):
                words = self._in_namespace(words, int(uid))
            self._commands[name] = words
        if self.topo == "etcd":
            self._relay_etcd(commands)
        for uid in self.uids():  # my.cnf is kept as it was made
            config = self.data_dir / f"vt_{uid:010d}" / "my.cnf"
            lines = config.read_text().splitlines()
            config.write_text("\n".join(f"bind_address = {self.address(uid)}" if line.startswith("bind_address") else line
                                        for line in lines) + "\n")
        for name in sorted(self._commands, key=lambda each: each.startswith("vtgate")):
            self._start(name)
        self._guard.start()
        self.wait_serving(60)

    def down(self, purge=False):
        self._stopping.set()
        if self._guard.is_alive():
            self._guard.join()
        for process in self._processes.values():
            kill(process.pid)
        for pid in self.leftovers():
            kill(pid)
        for process in self._relays:
            kill(process.pid)
        self._relays.clear()
        self._clear_network()
        return super().down(purge)

    def pids(self):
        if not self._processes:
            return super().pids()
        return {name: process.pid for name, process in self._processes.items()}

    def everything(self):
        found = {name: pid for name, pid in self.pids().items() if alive(pid)}
        for uid in self.uids():
            try:
                found[f"mysqld-{uid}"] = self.mysqld_pid(uid)
            except AssertionError:
                pass
        return found

    # The network. Rules name the tablets' addresses; healing removes all of them.
    def cut(self, uid):
        """Off from everyone, both ways."""
        self._rule(f"ip saddr {self.address(uid)} drop", f"ip daddr {self.address(uid)} drop")

    def cut_one_way(self, uid, deaf=True):
        """`deaf`: hears nobody, but is heard; else mute."""
        self._rule(f"ip {'daddr' if deaf else 'saddr'} {self.address(uid)} drop")

    def lossy(self, uid, percent):
        self._rule(f"ip saddr {self.address(uid)} numgen random mod 100 < {percent} drop",
                   f"ip daddr {self.address(uid)} numgen random mod 100 < {percent} drop")

    def slow(self, uid, kilobytes):
        self._rule(f"ip saddr {self.address(uid)} limit rate over {kilobytes} kbytes/second drop")

    def heal_network(self):
        for chain in ("forward", "input", "output"):
            run(["nft", "flush", "chain", "inet", self.table, chain])

    def _rule(self, *rules):
        for rule in rules:
            for chain in ("forward", "input", "output"):
                run(["nft", "add", "rule", "inet", self.table, chain, *rule.split()])

    def _lay_network(self):
        self._clear_network()
        pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        for uid in self.uids():
            space, outside = self.namespace(uid), f"{self.prefix}v{uid}"
            run(["ip", "netns", "add", space])
            run(["ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", space])
            run(["ip", "address", "add", f"{self.network}.1/32", "dev", outside])
            run(["ip", "link", "set", outside, "up"])
            run(["ip", "route", "add", f"{self.address(uid)}/32", "dev", outside])
            for words in (["address", "add", f"{self.address(uid)}/32", "dev", "eth0"], ["link", "set", "eth0", "up"],
                          ["link", "set", "lo", "up"], ["route", "add", f"{self.network}.1", "dev", "eth0"],
                          ["route", "add", "default", "via", f"{self.network}.1"]):
                run(["ip", "-n", space, *words])
        run(["nft", "add", "table", "inet", self.table])
        for chain in ("forward", "input", "output"):
            run(["nft", "add", "chain", "inet", self.table, chain, "{ type filter hook " + chain + " priority 0 ; }"])

    def _clear_network(self):
        run(["nft", "delete", "table", "inet", self.table], check=False)
        for uid in self.uids():
            run(["ip", "link", "del", f"{self.prefix}v{uid}"], check=False)
            run(["ip", "netns", "del", self.namespace(uid)], check=False)

    def _relay_etcd(self, commands):
        words = next(words for name, words in commands.items() if name.startswith("vttablet"))
        ports = re.findall(r"127\.0\.0\.1:(\d+)", words[words.index("--topo-global-server-address") + 1])
        relay = [sys.executable, str(pathlib.Path(__file__).with_name("relay.py"))]
        gate = f"{self.network}.1"
        for way in [[*relay, gate, "127.0.0.1"], *(["ip", "netns", "exec", self.namespace(uid), *relay, "127.0.0.1", gate]
                                                   for uid in self.uids())]:
            self._relays.append(subprocess.Popen([*way, *ports], stdin=subprocess.DEVNULL))

    # Processes.
    @staticmethod
    def _command(pid):
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        return [word.decode() for word in words]

    def _in_namespace(self, words, uid):
        """Addresses become the namespace's, and vttablet's socket lies in a file system that only its namespace has: there is no
        short cut through a shared one."""
        here, private = [], False
        for before, word in zip(["", *words], words):
            if before == "--native-socket":
                word, private = "/mnt/native.sock", True
            here.append(self.address(uid) if word == "127.0.0.1" else word)
        alone = ["sh", "-c", 'mount -t tmpfs none /mnt && exec "$0" "$@"'] if private else []
        return ["ip", "netns", "exec", self.namespace(uid), *alone, *here]

    def _start(self, name):
        log = open(self.data_dir / "log" / f"{name}.log", "a")
        self._processes[name] = subprocess.Popen(self._commands[name], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                 env={**self.environment, "VTDATAROOT": str(self.data_dir)})
        log.close()

    def _restart(self):
        """What ends is started again after half a second, as a supervisor or a kubelet would."""
        while not self._stopping.wait(0.1):
            for name, process in list(self._processes.items()):
                if process.poll() is not None and not self._stopping.wait(0.5):
                    self._start(name)
