"""Each command in docs/ is run as written, page by page; a broken example fails. docs/README.md tells the format."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest
from local_cluster import BIN, REPO, LocalCluster, free_base_port, mysqld_of, release_base_port, run

DOCS = REPO / "docs"
FENCE = re.compile(r"^```(\S*) ?(.*)\n((?:.*\n)*?)^```$", re.M)
# Pages that start clusters of their own; the others find one running.
STARTS_ITS_OWN = {"get-started.md", "security.md", "runbook.md"}
RUNBOOK = {"runbook.md"}


def blocks(page):
    """[(line, command, expected output or None)] of a page's `sh` blocks that are run."""
    text = (DOCS / page).read_text()
    found = []
    for match in FENCE.finditer(text):
        language, info, body = match.groups()
        line = text.count("\n", 0, match.start()) + 1
        if language == "sh":
            assert not info or info.startswith("not-run: "), f"docs/{page}:{line}: a block is run, or says why not"
            if not info:
                found.append([line, body, None])
        elif language == "output":
            assert found, f"docs/{page}:{line}: output of nothing"
            found[-1][2] = body
        else:
            assert language in ("", "text", "json", "ini", "sql"), f"docs/{page}:{line}: shell commands are marked sh"
    return found


def matches(expected, printed):
    """`...` stands for anything: within a line, or, alone, for any lines."""
    pattern = ""
    for line in expected.splitlines():
        if line == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += re.escape(line).replace(re.escape("..."), ".*") + r"\s*\n"
    return re.fullmatch(pattern + r"\s*", printed if printed.endswith("\n") else printed + "\n") is not None


class Reader:
    """Somebody who types a page's commands, in a folder that looks like the repository, with ports of its own."""

    def __init__(self, page, base_port, folder):
        self.page, self.base_port, self.folder = page, base_port, folder
        programs = folder / "programs"
        programs.mkdir()
        for program in BIN.iterdir():
            if program.is_symlink():
                (programs / program.name).symlink_to(program)
        starts = programs / "paceline"
        starts.write_text(f'#!/bin/bash\n[ "$1" != up ] || set -- up --base-port={base_port} --flavor=mariadb '
                          f'--mysqld={mysqld_of("mariadb")} "${{@:2}}"\nexec {BIN}/paceline "$@"\n')
        starts.chmod(0o755)
        for name in ("schema", "deploy", "examples"):
            (folder / name).symlink_to(REPO / name)
        self.env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PACELINE_BIN": str(BIN)}
        self.cwd = folder
        if page in RUNBOOK:
            self.cwd = REPO / "deploy/runbook"
            self.env |= {"PACELINE_DATA_DIR": str(folder / "data"), "PACELINE_BASE_PORT": str(base_port),
                         "PACELINE_UP_FLAGS": f"--flavor=mariadb --mysqld={mysqld_of('mariadb')}"}

    def types(self, line, command, expected):
        own = re.sub(r"\b1[5-8]\d{3}\b", lambda port: str(self.base_port + int(port.group()) - 15000), command)
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", own], cwd=self.cwd, env=self.env, text=True, timeout=300,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        where = f"docs/{self.page}:{line}\n{command}"
        assert done.returncode == 0, f"{where}exit code {done.returncode}\n{done.stdout}{done.stderr}"
        if expected is not None:
            assert matches(expected, done.stdout), f"{where}printed\n{done.stdout}\nand not\n{expected}"


@pytest.fixture(scope="module")
def shared():
    with LocalCluster("mariadb", tablets=3, vtorc=True) as cluster:
        yield cluster


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md") if blocks(path.name)))
def test_page(page, request):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="docs-"))
    folder.chmod(0o755)
    own = page in STARTS_ITS_OWN
    base_port = free_base_port() if own else request.getfixturevalue("shared").base_port
    try:
        reader = Reader(page, base_port, folder)
        for line, command, expected in blocks(page):
            reader.types(line, command, expected)
    finally:
        if page in RUNBOOK:
            run([REPO / "deploy/runbook/orchestrator-down.sh"], check=False, env={**os.environ, "PACELINE_DATA_DIR": f"{folder}/data"})
        if own:
            run([BIN / "paceline", "down", f"--data-dir={folder}/data", "--purge"], seconds=240, check=False)
            release_base_port(base_port)
        shutil.rmtree(folder, ignore_errors=True)


def test_pages_lead_to_each_other():
    pages = {path.name for path in DOCS.glob("*.md")}
    for page in sorted(pages):
        for target in re.findall(r"\]\(([^)#]+)", (DOCS / page).read_text()):
            if "://" not in target:
                assert (DOCS / target).exists(), f"docs/{page} leads to {target}, which is not there"
    told = set(re.findall(r"\]\(([^)#]+)", (DOCS / "README.md").read_text())) | {"README.md"}
    assert pages <= told, f"docs/README.md does not lead to {sorted(pages - told)}"


def test_flags_and_metrics_in_the_pages_exist():
    """A page that names a flag or a metric which is gone is wrong."""
    helps = {}
    for name in ("vtgate", "vttablet", "vtctld", "vtorc", "mysqlctld", "etcd-member", "up", "status", "down", "access-token"):
        helps[name] = run([BIN / "paceline", name, "--help"])
    known = set(re.findall(r"--([a-z][a-z0-9-]+)", " ".join(helps.values()) + run([BIN / "vtctldclient", "help"])))
    for page in ("security.md", "sizing.md", "monitoring.md"):
        text = (DOCS / page).read_text()
        for stem, ends in re.findall(r"--([a-z][a-z0-9-]*)-\{([a-z,]+)\}", text):
            for end in ends.split(","):
                assert f"{stem}-{end}" in known, f"docs/{page}: --{stem}-{end}"
        prose = re.sub(r"```.*?```", "", text, flags=re.S)
        for flag in re.findall(r"`--([a-z][a-z0-9-]+)`", prose):
            assert flag in known, f"docs/{page}: --{flag}"


def test_the_site_with_its_references(tmp_path, shared):
    """tools/docs: the pages, and what the programs tell of themselves."""
    run([REPO / "tools/docs", tmp_path, f"--base-port={shared.base_port}"], seconds=120)
    flags = (tmp_path / "reference/flags.md").read_text()
    assert "## vtgate" in flags and "--mysql-server-port" in flags and "--tablet-manager-grpc-ca" in flags
    metrics = (tmp_path / "reference/metrics.md").read_text()
    assert "`vtgate_api`" in metrics and "`vttablet_query_counts`" in metrics and "`mysqlctld_mysqld_starts`" in metrics
    assert (tmp_path / "operations.md").exists()
