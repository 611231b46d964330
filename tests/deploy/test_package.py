"""The Debian package and its systemd units: built, unpacked, looked at; nothing is installed."""

import configparser
import os
import re
import shutil
import subprocess

import pytest
from local_cluster import BIN, REPO, run

pytestmark = pytest.mark.long  # until it has been seen to pass: docs/verification.md
UNITS = sorted((REPO / "deploy/systemd").glob("*.service"))


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    path = run([REPO / "tools/package", folder], seconds=300).splitlines()[-1]
    run(["dpkg-deb", "-x", path, folder / "root"])
    run(["dpkg-deb", "-e", path, folder / "control"])
    return path, folder / "root", folder / "control"


def test_what_is_in_it(package):
    path, root, control = package
    for name in ("paceline", "vtgate", "vttablet", "vtctld", "vtorc", "vtctldclient", "vtctlclient", "mysqlctl", "mysqlctld",
                 "etcd-member", "vtbackup"):
        assert os.access(root / "usr/bin" / name, os.X_OK), name
    assert run([root / "usr/bin/vtgate", "--version"]).startswith("Version: ")
    assert "Usage: vtgate" in run([root / "usr/bin/vtgate", "--help"])
    text = (control / "control").read_text()
    assert re.search(r"^Depends: .*libgrpc\+\+.*, adduser$", text, re.M), text
    for conffile in (control / "conffiles").read_text().split():
        assert (root / conffile.lstrip("/")).exists()
    owners = run(["dpkg-deb", "-c", path])
    assert all(line.split()[1] == "root/root" for line in owners.splitlines()), "files belong to root"
    for script in ("postinst", "prerm"):
        run(["sh", "-n", control / script])


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_units(unit, package):
    _, root, _ = package
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(unit)
    service = parser["Service"]
    assert service["User"] == "paceline" and service["NoNewPrivileges"] == "yes" and service["ProtectSystem"] == "strict"
    settings = {}
    for file in (REPO / "deploy/systemd").glob("*.env"):
        for line in file.read_text().splitlines():
            if line and not line.startswith("#"):
                name, value = line.split("=", 1)
                settings[name] = value.strip('"')
    program = service["ExecStart"].split()[0]
    assert (root / program.lstrip("/")).exists(), program
    words = []
    for word in service["ExecStart"].split()[1:]:
        words += settings[word[1:]].split() if re.fullmatch(r"\$[A-Z_]+", word) else [word]
    known = run([BIN / program.rsplit("/", 1)[1], "--help"])
    for word in words:
        flag = word.split("=")[0]
        assert flag.startswith("--") and re.search(re.escape(flag) + r"[ \n]", known), f"{unit.name}: {flag}"
        assert "password" not in flag, unit.name
    for variable in re.findall(r"\$\{?([A-Z_]+)\}?", service["ExecStart"] + service.get("ExecStop", "")):
        assert variable in settings or variable == "MAINPID", f"{unit.name}: nobody sets {variable}"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_takes_the_units(package, tmp_path):
    _, root, _ = package
    for unit in UNITS:
        text = unit.read_text().replace("/usr/bin/", f"{root}/usr/bin/").replace(f"{root}/usr/bin/timeout", "/usr/bin/timeout")
        (tmp_path / unit.name.replace("@", "@100")).write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", *map(str, tmp_path.glob("*.service"))], capture_output=True, text=True)
    bad = [line for line in done.stderr.splitlines() if "paceline" in line and "man" not in line]
    assert done.returncode == 0 and not bad, done.stderr


def test_the_image_is_made_of_what_is_there():
    """No Docker here: each file and build argument that the Dockerfile names exists, and it ends without root."""
    text = (REPO / "deploy/image/Dockerfile").read_text()
    for script in re.findall(r"tools/[a-z0-9]+", text):
        assert os.access(REPO / script, os.X_OK), script
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", text, re.M))
    assert {"build", "base", "mariadb", "mysql"} <= stages
    for source in re.findall(r"--from=(\S+)", text):
        assert source in stages, source
    assert re.findall(r"^USER (\S+)", text, re.M)[-1] == "999:999"
