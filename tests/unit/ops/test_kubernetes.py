"""The manifests hold, and a rule sees each slip of the pen."""

import shutil
from pathlib import Path

import pytest

from ops.kubernetes.__main__ import HERE, KUSTOMIZATIONS
from ops.kubernetes.manifests import read
from ops.kubernetes.rules import breaches


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy to be spoiled."""
    return Path(shutil.copytree(HERE, tmp_path / "kubernetes", ignore=shutil.ignore_patterns("secrets")))


@pytest.mark.parametrize("name", KUSTOMIZATIONS)
def test_the_manifests_hold(name: str) -> None:
    manifests = read(HERE / name)
    assert breaches(manifests) == []
    assert {"Namespace", "Deployment", "NetworkPolicy"} <= {one["kind"] for one in manifests.objects}


SLIPS = [
    ("worker.yaml", "runAsNonRoot: true", "runAsNonRoot: false", "Deployment worker: may be root"),
    ("worker.yaml", "drop: [ALL]", "drop: [NET_RAW]", "Deployment worker: keeps capabilities"),
    ("api.yaml", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "its root can be written to"),
    ("api.yaml", "allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "may gain rights"),
    ("api.yaml", "type: RuntimeDefault", "type: Unconfined", "may call all of the kernel"),
    ("flower.yaml", "automountServiceAccountToken: false", "", "is given a token for the cluster"),
    ("flower.yaml", "limits: {memory: 384Mi}", "limits: {cpu: 1}", "may take a whole node"),
    ("worker.yaml", ", sizeLimit: 64Mi", "", "its volume tmp may fill a node"),
    ("worker.yaml", "livenessProbe:", "livenessprobe:", "has no livenessProbe"),
    ("api.yaml", "path: /readyz, port: http", "path: /readyz, port: https", "asks port https"),
    (
        "worker.yaml",
        "terminationGracePeriodSeconds: 45",
        "terminationGracePeriodSeconds: 30",
        "is killed before",
    ),
    ("worker.yaml", "value: /run/outdial}", "value: /run/beats}", "look for heartbeats where none are written"),
    (
        "worker.yaml",
        "env:",
        "env:\n            - {name: HQ_PASSWORD, value: x}",
        "HQ_PASSWORD is in its environment",
    ),
    ("worker.yaml", "configMap: {name: outdial-settings}", "configMap: {name: settings}", "no ConfigMap settings"),
    ("worker.yaml", "secretName: outdial-secrets", "secretName: outdial", "there is no Secret outdial"),
    ("flower.yaml", "claimName: flower", "claimName: flowers", "there is no PersistentVolumeClaim flowers"),
    ("worker.yaml", "replicas: 2", "replicas: 1", "has one pod alone"),
    ("api.yaml", "maxUnavailable: 1", "maxUnavailable: 2", "no PodDisruptionBudget keeps"),
    ("flower.yaml", "targetPort: http", "targetPort: web", "no port of its pods is called web"),
    ("network-policies.yaml", "ingress: []", "ingress: [{}]", "NetworkPolicy flower: lets anybody in"),
    ("network-policies.yaml", "podSelector: {}", "podSelector: {matchLabels: {a: b}}", "none forbids everything"),
    ("kustomization.yaml", "  - flower.yaml\n", "", "does not list flower.yaml"),
    ("kustomization.yaml", "- api.yaml", "- apis.yaml", "lists apis.yaml, which is not there"),
    ("outdial.toml", "password_file = ", "password = ", "outdial.toml: holds a secret"),
    ("outdial.toml", "stop_grace_s = 35", "stop_grace_s = 60", "give it 65 s or more to stop"),
]


@pytest.mark.parametrize(("name", "right", "wrong", "sentence"), SLIPS, ids=[slip[3] for slip in SLIPS])
def test_a_slip_is_seen(folder: Path, name: str, right: str, wrong: str, sentence: str) -> None:
    file = folder / "base" / name
    text = file.read_text()
    assert right in text
    file.write_text(text.replace(right, wrong, 1))
    assert sentence in "\n".join(breaches(read(folder / "base")))
