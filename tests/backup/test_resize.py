"""ResizeStorage: the volumes of a shard grow one after the other under load, by a command and by a scripted Kubernetes."""

import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import threading

import pytest
from local_cluster import BIN, FLAVORS, REPO, LocalCluster, run, wait_until

sys.path.insert(0, str(REPO / "tests/e2e"))
from ledger import Ledger  # noqa: E402

GROWN_MB, MORE_MB = 1536, 1600


pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount small disks")


def ext4_grows():
    """Whether we may grow an ext4 that is mounted, which takes loop devices and CAP_SYS_RESOURCE; else the disks are tmpfs."""
    found = subprocess.run(["losetup", "--find"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    able = int(re.search(r"CapEff:\s*(\S+)", pathlib.Path("/proc/self/status").read_text())[1], 16) >> 24 & 1
    return found.returncode == 0 and bool(able)


# What an operator's script is: of a volume that is a file it grows file, device and file system.
HOOK = """#!/bin/sh -e
alias=$1 folder=$2 old=$3 new=$4
uid=$(echo "${alias##*-}" | sed 's/^0*//')
image=$(dirname "$folder")/disk-$uid
echo "$(date +%s.%N) begin $alias $old $new $KEYSPACE/$SHARD $TABLET_HOSTNAME" >>"$(dirname "$folder")/grown"
[ ! -e "$(dirname "$folder")/refuse" ] || { echo "the array has no space left"; exit 3; }
if [ "$(findmnt -n -o FSTYPE "$folder")" = tmpfs ]; then
  mount -o "remount,size=$new" "$folder"
else
  [ "$(stat -c %s "$image")" -ge "$new" ] || truncate -s "$new" "$image"
  device=$(findmnt -n -o SOURCE "$folder")
  losetup -c "$device"
  resize2fs "$device" >/dev/null 2>&1
fi
echo "$(date +%s.%N) end $alias" >>"$(dirname "$folder")/grown"
"""


def write_hook(folder):
    hook = folder / "grow-volume"
    hook.write_text(HOOK)
    hook.chmod(0o755)
    return hook


def resize(cluster, *arguments, check=True):
    return cluster.vtctldclient("ResizeStorage", *arguments, check=check, seconds=180)


def size_mb(cluster, uid):
    disk = os.statvfs(cluster.folder(uid))
    return disk.f_blocks * disk.f_frsize >> 20


def grown(cluster):
    """What the hook was called with, in order: (alias, old, new, "keyspace/shard", host)."""
    path = cluster.data_dir / "grown"
    lines = path.read_text().splitlines() if path.exists() else []
    words = [line.split()[1:] for line in lines]
    assert [one[0] for one in words] == ["begin", "end"] * (len(words) // 2), "one at a time"
    return [tuple(one[1:]) for one in words if one[0] == "begin"]


def names(cluster):
    return {uid: f"zone1-{uid:010d}" for uid in cluster.uids()}


@pytest.mark.parametrize("flavor", FLAVORS)
def test_volumes_grow_by_a_command_under_load(flavor, tmp_path):
    tmp_path.chmod(0o755)
    hook = write_hook(tmp_path)
    with LocalCluster(flavor, vtorc=True, disk_mb=1024, stalling_disks=ext4_grows(),
                      vtctld_flags=f"--resize-storage-command={hook}") as cluster:
        shard, primary, name = f"{cluster.keyspace}/0", cluster.primary(), names(cluster)
        order = [name[uid] for uid in cluster.uids() if uid != primary] + [name[primary]]
        before = {uid: size_mb(cluster, uid) for uid in cluster.uids()}
        with Ledger(cluster, writers=3) as ledger:
            wait_until(lambda: len(ledger.acknowledged) > 20, 20, "the load to be under way")
            said = resize(cluster, "--dry-run", shard, f"{GROWN_MB}Mi")
            assert re.findall(r"^(\S+): .* would grow to 1536Mi$", said, re.MULTILINE) == order, said
            assert f"{name[primary]}: " in said and "(primary)" in said.splitlines()[-1]
            assert not grown(cluster)
            old_client = [BIN / "vtctlclient", "--server", f"127.0.0.1:{cluster.port(15999)}", "--legacy-names"]
            assert "would grow to" in run([*old_client, "ResizeStorage", "--dry-run", shard, f"{GROWN_MB}Mi"])

            (cluster.data_dir / "refuse").touch()
            said = resize(cluster, shard, f"{GROWN_MB}Mi", check=False)
            assert f"growing the volume of {order[0]}" in said and "exit code 3: the array has no space left" in said
            (cluster.data_dir / "refuse").unlink()
            (cluster.data_dir / "grown").unlink()

            said = resize(cluster, shard, f"{GROWN_MB}Mi")
            assert re.findall(r"^(\S+): sees 1\.\d GB after", said, re.MULTILINE) == order, said
            assert said.splitlines()[-1] == "3 volumes have 1536Mi"
            for uid in cluster.uids():
                assert before[uid] <= 1024 < size_mb(cluster, uid)
            calls = grown(cluster)
            assert [call[0] for call in calls] == order
            for _, old, new, of, host in calls:
                assert before[primary] == int(old) >> 20 and int(new) == GROWN_MB << 20 and (of, host) == (shard, "127.0.0.1")
            metric = json.loads(cluster.page(15000 + primary, "/debug/vars")[1])
            assert metric["DataDirBytes"] > 1024 << 20

            # Again: nothing is harmed. Smaller: refused, and nothing is begun.
            assert "3 volumes have 1536Mi" in resize(cluster, shard, f"{GROWN_MB}Mi")
            calls = len(grown(cluster))
            assert "volumes only grow" in resize(cluster, shard, "1Gi", check=False)
            assert "no amount of bytes" in resize(cluster, shard, "much", check=False)
            assert len(grown(cluster)) == calls
            # One tablet alone.
            said = resize(cluster, order[0], f"{MORE_MB}Mi")
            assert "1 volumes have" in said and grown(cluster)[-1][0] == order[0] and len(grown(cluster)) == calls + 1
            written = len(ledger.acknowledged)
            wait_until(lambda: len(ledger.acknowledged) > written + 50, 20, "writes afterwards")
        assert not ledger.errors, ledger.summary()
        assert cluster.primary() == primary
        with cluster.connect() as connection:
            ledger.verify(connection, "after all volumes grew")


class Claims(http.server.BaseHTTPRequestHandler):
    """An API server's persistent volume claims: {name: {"asked": bytes, "has": bytes}}, grown by `grow`."""

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def claim(self):
        server = self.server
        server.requests.append((self.command, self.path))
        if server.failures > 0:
            server.failures -= 1
            self.answer(503, {"message": "etcd leader changed"})
            return None
        if self.headers.get("Authorization") != "Bearer the-token":
            self.answer(401, {"message": "Unauthorized"})
            return None
        name = self.path.rsplit("/", 1)[1]
        if self.path != f"/api/v1/namespaces/shop/persistentvolumeclaims/{name}" or name not in server.claims:
            self.answer(404, {"message": f'persistentvolumeclaims "{name}" not found'})
            return None
        return server.claims[name]

    def tell(self, claim):
        # The file system grows some looks after it was asked for, as a kubelet's does.
        claim["looks"] += 1
        conditions = [{"type": "FileSystemResizePending", "message": "Waiting for user to (re-)start a pod"}]
        if claim["has"] < claim["asked"] and claim["looks"] > 3:
            claim["grow"](claim["asked"])
            claim["has"] = claim["asked"]
        if claim["has"] >= claim["asked"]:
            conditions = []
        self.answer(200, {"spec": {"resources": {"requests": {"storage": f"{claim['asked'] >> 20}Mi"}}},
                          "status": {"capacity": {"storage": f"{claim['has'] >> 20}Mi"}, "conditions": conditions}})

    def do_GET(self):
        claim = self.claim()
        if claim is not None:
            self.tell(claim)

    def do_PATCH(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        claim = self.claim()
        if claim is None:
            return
        assert self.headers["Content-Type"] == "application/merge-patch+json"
        assert list(body) == ["spec"] and list(body["spec"]["resources"]["requests"]) == ["storage"]
        if self.server.forbids:
            self.answer(403, {"message": "only dynamically provisioned pvc can be resized"})
            return
        wanted = body["spec"]["resources"]["requests"]["storage"]
        claim["asked"], claim["looks"] = int(wanted[:-2]) << (30 if wanted.endswith("Gi") else 20), 0
        self.tell(claim)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_volumes_grow_by_kubernetes(flavor, tmp_path):
    tmp_path.chmod(0o755)
    hook = write_hook(tmp_path)
    token = tmp_path / "token"
    token.write_text("wrong\n")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Claims)
    server.claims, server.requests, server.failures, server.forbids = {}, [], 0, False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # All tablets have one host name here, so each is resized by its alias with a claim of its own name.
    flags = (f"--resize-storage-kubernetes --kubernetes-api=http://127.0.0.1:{server.server_port} --kubernetes-namespace=shop "
             f"--kubernetes-token-file={token} --resize-storage-claim=vt-{{pod}}")
    try:
        with LocalCluster(flavor, tablets=2, disk_mb=1024, stalling_disks=ext4_grows(), vtctld_flags=flags) as cluster:
            uid = cluster.primary()
            alias = names(cluster)[uid]

            def grow(size):
                run([hook, alias, cluster.folder(uid), "0", size], env={**os.environ, "KEYSPACE": "k", "SHARD": "s", "TABLET_HOSTNAME": "h"})

            said = resize(cluster, alias, f"{GROWN_MB}Mi", check=False)
            assert "Kubernetes says 401: Unauthorized" in said and "claim shop/vt-127" in said, said
            token.write_text("the-token\n")
            assert 'persistentvolumeclaims "vt-127" not found' in resize(cluster, alias, f"{GROWN_MB}Mi", check=False)
            claim = server.claims["vt-127"] = {"asked": 1 << 30, "has": 1 << 30, "grow": grow, "looks": 0}
            server.forbids = True
            assert "403: only dynamically provisioned" in resize(cluster, alias, f"{GROWN_MB}Mi", check=False)
            server.forbids, server.failures, server.requests = False, 2, []
            said = resize(cluster, alias, f"{GROWN_MB}Mi")
            assert "FileSystemResizePending: Waiting for user" in said, said
            assert f"{alias}: sees 1." in said and "1 volumes have 1536Mi" in said
            assert size_mb(cluster, uid) > 1024
            assert [method for method, _ in server.requests].count("PATCH") == 1
            server.requests.clear()
            assert "1 volumes have 1536Mi" in resize(cluster, alias, f"{GROWN_MB}Mi")
            assert "PATCH" not in [method for method, _ in server.requests], "it was asked for already"
            claim.update(asked=4 << 30, grow=lambda size: None)
            assert "claim vt-127 asks for 4Gi already" in resize(cluster, alias, "2Gi", check=False)
            # What was asked for goes on where the command's patience ends.
            claim.update(asked=GROWN_MB << 20, has=GROWN_MB << 20)
            said = resize(cluster, "--wait=2s", alias, "4Gi", check=False)
            assert "run the command again to wait for it" in said, said
    finally:
        server.shutdown()


def test_a_vtctld_that_knows_no_volumes_says_so():
    with LocalCluster("mariadb", tablets=2) as cluster:
        said = resize(cluster, f"{cluster.keyspace}/0", "1Ti", check=False)
        assert "--resize-storage-command" in said and "--resize-storage-kubernetes" in said


def test_wrong_flags_are_told_at_the_start(tmp_path):
    vtctld = [BIN / "vtctld", "--cell=zone1", "--topo-implementation=memory", "--topo-global-server-address=x", "--topo-global-root=/x"]
    said = run([*vtctld, "--resize-storage-kubernetes", "--resize-storage-command=x"], check=False)
    assert "give one of them" in said
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KUBERNETES")}
    assert "not in a pod of Kubernetes" in run([*vtctld, "--resize-storage-kubernetes"], check=False, env=environment)
