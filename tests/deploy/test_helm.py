"""The chart: lint, the schema of its values, and what its manifests promise; no cluster is needed for that."""

import json
import os
import subprocess

import pytest
import yaml
from local_cluster import BIN, REPO, run

CHART = REPO / "deploy/helm/paceline"
LEAST = {"access": {"open": True}, "etcd": {"secret": "etcd"}, "vtgate": {"usersSecret": "users"}}
# Everything on: two cells, two keyspaces of which one is sharded, TLS, users, backups.
FULL = {
    "tls": {"secret": "tls"},
    "access": {"usersSecret": "access", "credentialsSecret": "client"},
    "etcd": {"secret": "etcd"},
    "vtctld": {"resizeStorage": True},
    "vtgate": {"usersSecret": "users", "serverVersion": "8.0.36"},
    "cells": [{"name": "zone1", "nodeSelector": {"zone": "one"}}, {"name": "zone2"}],
    "keyspaces": [
        {"name": "commerce", "shards": [{"name": "0", "pools": [{"cell": "zone1", "replicas": 2, "uidBase": 100},
                                                                {"cell": "zone2", "replicas": 1, "uidBase": 200},
                                                                {"cell": "zone2", "type": "rdonly", "replicas": 1, "uidBase": 300}]}]},
        {"name": "big_one", "durability": "none", "shards": [
            {"name": "-80", "pools": [{"cell": "zone1", "replicas": 1, "uidBase": 400}]},
            {"name": "80-", "pools": [{"cell": "zone1", "replicas": 1, "uidBase": 500}]}]}],
    "tablet": {"credentialsSecret": "db", "extraMyCnf": "[mysqld]\nmax_connections=500\n"},
    "backup": {"storage": "s3", "s3": {"bucket": "b", "credentialsSecret": "aws"}, "schedule": "0 3 * * *"},
    "networkPolicy": {"clients": [{"podSelector": {"matchLabels": {"app": "shop"}}}],
                      "monitoring": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]},
}
CERT_MANAGER = {**LEAST, "access": {}, "tls": {"certManager": {"issuer": "ours"}},
                "backup": {"storage": "file", "file": {"claim": "backups"}, "schedule": "@daily"}}


@pytest.fixture(scope="module")
def helm():
    return run([REPO / "tools/helm"], seconds=1500).splitlines()[-1]


def render(helm, values, tmp_path, check=True):
    file = tmp_path / "values.json"
    file.write_text(json.dumps(values))
    done = subprocess.run([helm, "template", "test", str(CHART), "--namespace", "shop", "-f", str(file), "--kube-version", "1.34.0"],
                          capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)})
    if not check:
        return done.returncode, done.stderr
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@pytest.fixture(scope="module", params=("least", "full", "cert-manager"))
def manifests(request, helm, tmp_path_factory):
    values = {"least": LEAST, "full": FULL, "cert-manager": CERT_MANAGER}[request.param]
    return render(helm, values, tmp_path_factory.mktemp("helm"))


def pods(manifests):
    """(name, pod spec) of everything that makes pods."""
    for one in manifests:
        if one["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield one["metadata"]["name"], one["spec"]["template"]["spec"]
        elif one["kind"] == "CronJob":
            yield one["metadata"]["name"], one["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def containers(pod):
    return pod.get("initContainers", []) + pod["containers"]


@pytest.mark.parametrize("values", (LEAST, FULL, CERT_MANAGER), ids=("least", "full", "cert-manager"))
def test_lint(helm, values, tmp_path):
    file = tmp_path / "values.json"
    file.write_text(json.dumps(values))
    run([helm, "lint", "--strict", CHART, "-f", file], env={**os.environ, "HOME": str(tmp_path)})


@pytest.mark.parametrize("change, why", (
    ({"access": {}}, "nobody could administer"),
    ({"access": {"usersSecret": "a"}}, "credentialsSecret"),
    ({"etcd": {}}, "etcd.secret is needed"),
    ({"vtgate": {}}, "vtgate.usersSecret is needed"),
    ({"etcd": {"replicas": 2, "secret": "s"}}, "replicas"),
    ({"vtgate": {"usersSecret": "u", "replica": 2}}, "replica"),
    ({"unknown": 1}, "unknown"),
    ({"tablet": {"storage": {"size": "20 GB"}}}, "size"),
    ({"keyspaces": [{"name": "a b", "shards": []}]}, "keyspaces"),
    ({"keyspaces": [{"name": "a", "shards": [{"name": "0", "pools": [{"cell": "mars", "replicas": 1, "uidBase": 1}]}]}]}, "no cell mars"),
    ({"keyspaces": [{"name": "a", "shards": [{"name": "0", "pools": [{"cell": "zone1", "replicas": 3, "uidBase": 1},
                                                                     {"cell": "zone1", "type": "rdonly", "replicas": 1, "uidBase": 3}]}]}]}, "overlaps"),
    ({"backup": {"storage": "s3"}}, "bucket"),
    ({"backup": {"schedule": "whenever"}}, "schedule"),
), ids=lambda v: v if isinstance(v, str) else "")
def test_wrong_values_are_refused(helm, change, why, tmp_path):
    code, error = render(helm, {**LEAST, **change}, tmp_path, check=False)
    assert code != 0 and why in error, error


def test_pods_satisfy_the_restricted_policy(manifests):
    for name, pod in pods(manifests):
        security = pod["securityContext"]
        assert security["runAsNonRoot"] and security["runAsUser"] > 0, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not pod.get("hostNetwork") and not pod.get("hostPID") and not pod.get("hostIPC"), name
        allowed = {"emptyDir", "secret", "configMap", "persistentVolumeClaim", "projected", "downwardAPI", "csi", "ephemeral"}
        for volume in pod.get("volumes", []):
            assert set(volume) - {"name"} <= allowed, (name, volume)
        for container in containers(pod):
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False and own["capabilities"] == {"drop": ["ALL"]}, name
            assert own["readOnlyRootFilesystem"] is True, name
            assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["memory"], name
            for port in container.get("ports", []):
                assert "hostPort" not in port, name


def test_volumes_that_are_mounted_are_there(manifests):
    for one in manifests:
        if one["kind"] not in ("Deployment", "StatefulSet", "Job"):
            continue
        pod = one["spec"]["template"]["spec"]
        there = {volume["name"] for volume in pod.get("volumes", [])}
        there |= {claim["metadata"]["name"] for claim in one["spec"].get("volumeClaimTemplates", [])}
        for container in containers(pod):
            names = {mount["name"] for mount in container["volumeMounts"]}
            assert names <= there, (one["metadata"]["name"], names - there)


def test_every_server_has_probes_and_a_budget(manifests):
    budgets = [one["spec"]["selector"]["matchLabels"] for one in manifests if one["kind"] == "PodDisruptionBudget"]
    for one in manifests:
        if one["kind"] not in ("Deployment", "StatefulSet"):
            continue
        name, template = one["metadata"]["name"], one["spec"]["template"]
        labels = template["metadata"]["labels"]
        covering = [budget for budget in budgets if budget.items() <= labels.items()]
        assert len(covering) == 1, f"{name}: kubectl drain wants exactly one budget for a pod, not {len(covering)}"
        assert one["spec"]["selector"]["matchLabels"].items() <= labels.items()
        for container in template["spec"]["containers"]:
            assert container["readinessProbe"]["httpGet"]["path"] == "/readyz", name
            assert container["livenessProbe"], name


def test_primaries_are_handed_over_and_mysqld_ends_well(manifests):
    sets = [one for one in manifests if one["kind"] == "StatefulSet" and one["metadata"]["name"].startswith("vttablet")]
    assert sets
    for one in sets:
        pod = one["spec"]["template"]["spec"]
        hook = " ".join(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"])
        assert "PlannedReparentShard" in hook and "--avoid-primary" in hook and "timeout" in hook
        sidecar = pod["initContainers"][0]
        assert sidecar["restartPolicy"] == "Always" and "shutdown" in " ".join(sidecar["lifecycle"]["preStop"]["exec"]["command"])
        assert pod["terminationGracePeriodSeconds"] >= 45 + 60
        assert one["spec"]["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}


def test_no_secret_stands_in_a_manifest(manifests):
    assert not [one for one in manifests if one["kind"] == "Secret"]
    for name, pod in pods(manifests):
        for container in containers(pod):
            assert not any("password" in argument for argument in container.get("args", [])), name
            for variable in container.get("env", []):
                assert "PASSWORD" not in variable["name"] and "SECRET" not in variable["name"], name


def test_vtctld_may_grow_claims_where_asked_and_nothing_else(manifests):
    vtctld = next(pod for name, pod in pods(manifests) if name == "vtctld")
    asked = "--resize-storage-kubernetes" in vtctld["containers"][0]["args"]
    roles = [one for one in manifests if one["kind"] in ("Role", "ClusterRole")]
    assert vtctld["automountServiceAccountToken"] is asked
    if not asked:
        assert not roles and "serviceAccountName" not in vtctld
        return
    assert [role["rules"] for role in roles] == [[{"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["get", "patch"]}]]
    binding = next(one for one in manifests if one["kind"] == "RoleBinding")
    assert binding["roleRef"]["name"] == roles[0]["metadata"]["name"]
    assert [(one["kind"], one["name"]) for one in binding["subjects"]] == [("ServiceAccount", vtctld["serviceAccountName"])]
    # Nobody else has a token, and the tablets' claims have the names that vtctld asks for.
    assert [name for name, pod in pods(manifests) if pod.get("automountServiceAccountToken") is not False] == ["vtctld"]
    for one in manifests:
        if one["kind"] == "StatefulSet" and one["metadata"]["name"].startswith("vttablet"):
            assert [claim["metadata"]["name"] for claim in one["spec"]["volumeClaimTemplates"]] == ["vt"]


@pytest.mark.long  # until it has been seen to pass: docs/verification.md
def test_programs_know_their_flags(manifests):
    """Each flag in the chart is one that the program has."""
    known = {}
    checked = 0
    for name, pod in pods(manifests):
        for container in containers(pod):
            command = container["command"]
            words = container.get("args", [])
            program = command[0]
            if program == "/bin/sh":
                if not words or words[0].startswith(("set ", "failed=")):
                    continue
                program = words[1]
                words = [word.strip('"') for word in words[0].split() if word.startswith(('"--', "--"))] + words[2:]
            if program not in known:
                known[program] = run([BIN / "paceline", program, "--help"])
            for word in words:
                flag = word.split("=")[0]
                assert flag + " " in known[program] or flag + "\n" in known[program], f"{name}: {program} has no {flag}"
                checked += 1
    assert checked >= 50


def test_names_are_kubernetes(manifests):
    import re
    for one in manifests:
        name = one["metadata"]["name"]
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name), name
        for key, value in one["metadata"].get("labels", {}).items():
            assert re.fullmatch(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", str(value)), (name, key, value)
        template = one.get("spec", {}).get("template", {}) if isinstance(one.get("spec"), dict) else {}
        for key, value in (template.get("metadata") or {}).get("labels", {}).items():
            assert re.fullmatch(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", str(value)), (name, key, value)
