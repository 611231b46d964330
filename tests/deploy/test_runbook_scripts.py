"""The run-book's scripts on Kubernetes, against a helm and a kubectl that note what they are asked."""

import os
import subprocess

import pytest
import yaml
from local_cluster import REPO, run

SCRIPTS = REPO / "deploy/runbook"


@pytest.fixture
def noted(tmp_path):
    """Runs a script; returns what the programs were asked."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("helm", "kubectl"):
        program = programs / name
        program.write_text(f'#!/bin/bash\nprintf "%s\\n" "{name} $*" >>"{tmp_path}/asked"\n'
                           '[[ "$*" != *ListAllTablets* ]] || printf "%s\\n" 1 2 3 4 5\n[[ "$*" != *jsonpath* ]] || echo 0\n')
        program.chmod(0o755)

    def call(script, *arguments):
        env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PACELINE_ON": "kubernetes"}
        (tmp_path / "asked").write_text("")
        done = subprocess.run([SCRIPTS / script, *arguments], env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return (tmp_path / "asked").read_text()

    return call


@pytest.mark.parametrize("script, expected", (
    ("vtctld-up.sh", "rollout status deployment/vtctld"),
    ("vttablet-petset-up.sh", '"replicas":5'),
    ("orchestrator-up.sh", "vtorc.replicas=2"),
    ("vtgate-up.sh", "rollout status deployment/vtgate-asiaeast1c"),
))
def test_each_script_asks_for_its_part(noted, script, expected):
    assert expected in noted(script)


def test_kvtctl_runs_in_vtctlds_pod(noted):
    asked = noted("kvtctl.sh", "Backup", "asiaeast1c-0000000102")
    assert asked.strip() == ("kubectl exec -i deployment/vtctld -- vtctlclient --server localhost:15999 --legacy-names "
                             "Backup asiaeast1c-0000000102")


def test_the_chart_takes_what_the_scripts_set(noted, tmp_path):
    helm = run([REPO / "tools/helm"], seconds=1500).splitlines()[-1]
    line = next(line for line in noted("vttablet-petset-up.sh").splitlines() if line.startswith("helm upgrade"))
    sets = line.split(" --set")[1:]
    arguments = []
    for one in sets:
        flag, value = one.split(" ", 1)
        arguments += ["--set" + flag, value]
    values = ["--set", "access.open=true", "--set", "etcd.secret=e", "--set", "vtgate.usersSecret=u"]
    done = subprocess.run([helm, "template", "paceline", str(REPO / "deploy/helm/paceline"), "--kube-version", "1.34.0", *arguments,
                           *values], capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    sets = [one for one in yaml.safe_load_all(done.stdout) if one and one["kind"] == "StatefulSet"]
    tablets = [one for one in sets if one["metadata"]["name"] == "vttablet-asiaeast1c-test-keyspace-0"]
    assert len(tablets) == 1 and tablets[0]["spec"]["replicas"] == 5
