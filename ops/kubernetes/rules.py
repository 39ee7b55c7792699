"""
What must hold for the manifests, beyond their schemas.

Each rule is a function that yields a sentence for each breach; a new rule joins `RULES`.
"""

import re
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

from ops.kubernetes.manifests import Manifests, Object

_PODS = ("Deployment", "StatefulSet")
# They dial and take jobs: a drained node must not take all of them at once.
_NEVER_ALL_GONE = ("worker", "api")
# The only one that other namespaces reach.
_PUBLIC = "api"
_SECRET_WORDS = re.compile(r"pass(word|wd)?|secret|token|api_?key|credential|redis_url", re.IGNORECASE)
_SECRET_IN_SETTINGS = re.compile(r"^\s*(\w*password|redis_url)\s*=|://[^/\s@]*:[^/\s@]+@", re.MULTILINE)
_DEFAULT_GRACE_S = 35


def _named(one: Object) -> str:
    return f"{one['kind']} {one['metadata']['name']}"


def _pod(one: Object) -> dict[str, Any]:
    spec: dict[str, Any] = one["spec"]["template"]["spec"]
    return spec


def _labels(one: Object) -> dict[str, str]:
    labels: dict[str, str] = one["spec"]["template"]["metadata"]["labels"]
    return labels


def contained(manifests: Manifests) -> Iterator[str]:
    """Yield what lets a pod do more than its work."""
    for one in manifests.of_kind(*_PODS):
        pod, who = _pod(one), _named(one)
        rights = pod.get("securityContext", {})
        if not rights.get("runAsNonRoot") or not rights.get("runAsUser"):
            yield f"{who}: may be root; say runAsNonRoot: true and a runAsUser"
        if rights.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{who}: may call all of the kernel; say seccompProfile: {{type: RuntimeDefault}}"
        if pod.get("automountServiceAccountToken") is not False:
            yield f"{who}: is given a token for the cluster; say automountServiceAccountToken: false"
        if pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}:
            yield f"{who}: shares a namespace of the host; leave hostNetwork, hostPID and hostIPC out"
        for container in pod["containers"]:
            own = container.get("securityContext", {})
            if own.get("readOnlyRootFilesystem") is not True:
                yield f"{who}: its root can be written to; say readOnlyRootFilesystem: true"
            if own.get("allowPrivilegeEscalation") is not False:
                yield f"{who}: may gain rights; say allowPrivilegeEscalation: false"
            if own.get("capabilities") != {"drop": ["ALL"]}:
                yield f"{who}: keeps capabilities; say capabilities: {{drop: [ALL]}} and add none"


def limited(manifests: Manifests) -> Iterator[str]:
    """Yield what may take all there is of a node."""
    for one in manifests.of_kind(*_PODS):
        for container in _pod(one)["containers"]:
            resources = container.get("resources", {})
            if (
                "memory" not in resources.get("limits", {})
                or {"cpu", "memory"} - resources.get("requests", {}).keys()
            ):
                yield f"{_named(one)}: may take a whole node; give a memory limit, and requests of cpu and memory"
        for volume in _pod(one).get("volumes", []):
            if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
                yield f"{_named(one)}: its volume {volume['name']} may fill a node; give a sizeLimit"
            if "hostPath" in volume:
                yield f"{_named(one)}: sees a folder of its node; leave the hostPath out"


def probed(manifests: Manifests) -> Iterator[str]:
    """Yield pods that may hang unseen, and probes that ask a port that is not there."""
    for one in manifests.of_kind(*_PODS):
        for container in _pod(one)["containers"]:
            ports = {port["name"] for port in container.get("ports", [])}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                asks = container.get(probe)
                if asks is None:
                    yield f"{_named(one)}: has no {probe}; give it one"
                elif "httpGet" in asks and asks["httpGet"]["port"] not in ports:
                    yield f"{_named(one)}: its {probe} asks port {asks['httpGet']['port']}, which it does not have"


def without_secrets(manifests: Manifests) -> Iterator[str]:
    """Yield secrets outside files of a Secret."""
    for one in manifests.of_kind("Secret"):
        yield f"{_named(one)}: stands in a file; make it by a secretGenerator"
    for one in manifests.of_kind(*_PODS):
        for container in _pod(one)["containers"]:
            for variable in container.get("env", []):
                if _SECRET_WORDS.search(variable["name"]):
                    yield f"{_named(one)}: {variable['name']} is in its environment; mount it as a file"
    for name, text in manifests.settings.items():
        if _SECRET_IN_SETTINGS.search(text):
            yield f"{name}: holds a secret; name the file that holds it, by password_file or redis_url_file"


def joined(manifests: Manifests) -> Iterator[str]:
    """Yield names and labels that nothing bears."""
    pods = list(manifests.of_kind(*_PODS))
    made = manifests.generated | {(one["kind"], one["metadata"]["name"]) for one in manifests.objects}
    for one in pods:
        if not one["spec"]["selector"]["matchLabels"].items() <= _labels(one).items():
            yield f"{_named(one)}: does not select its own pods"
        if ("ServiceAccount", _pod(one).get("serviceAccountName")) not in made:
            yield f"{_named(one)}: there is no ServiceAccount {_pod(one).get('serviceAccountName')}"
        yield from (f"{_named(one)}: there is no {kind} {name}" for kind, name in sorted(_mounted(one) - made))
    for one in manifests.of_kind("Service", "PodDisruptionBudget", "NetworkPolicy"):
        for selector in _selectors(one):
            selected = [pod for pod in pods if selector.items() <= _labels(pod).items()]
            if not selected:
                yield f"{_named(one)}: no pod has the labels that it selects"
            for port in one["spec"].get("ports", []) if one["kind"] == "Service" else []:
                if any(port["targetPort"] not in _ports(pod) for pod in selected):
                    yield f"{_named(one)}: no port of its pods is called {port['targetPort']}"


def _mounted(one: Object) -> set[tuple[str, str]]:
    found = set()
    for volume in _pod(one).get("volumes", []):
        found |= {("ConfigMap", volume["configMap"]["name"])} if "configMap" in volume else set()
        found |= {("Secret", volume["secret"]["secretName"])} if "secret" in volume else set()
        claim = volume.get("persistentVolumeClaim")
        found |= {("PersistentVolumeClaim", claim["claimName"])} if claim else set()
    return found


def _selectors(one: Object) -> list[dict[str, str]]:
    if one["kind"] == "Service":
        return [one["spec"]["selector"]]
    chosen = one["spec"].get("podSelector" if one["kind"] == "NetworkPolicy" else "selector", {})
    return [chosen["matchLabels"]] if chosen else []


def _ports(one: Object) -> set[str]:
    return {port["name"] for container in _pod(one)["containers"] for port in container.get("ports", [])}


def drained_in_turns(manifests: Manifests) -> Iterator[str]:
    """Yield what a drained node would take away altogether."""
    components = {"app.kubernetes.io/name": "outdial"}
    for name in _NEVER_ALL_GONE:
        labels = components | {"app.kubernetes.io/component": name}
        budgets = [one for one in manifests.of_kind("PodDisruptionBudget") if _selectors(one) == [labels]]
        if not any(one["spec"].get("maxUnavailable") == 1 for one in budgets):
            yield f"Deployment {name}: no PodDisruptionBudget keeps all but one of its pods"
        for one in manifests.of_kind("Deployment"):
            if _labels(one).items() >= labels.items() and one["spec"].get("replicas", 1) < 2:
                yield f"{_named(one)}: has one pod alone; give it replicas: 2"


def closed(manifests: Manifests) -> Iterator[str]:
    """Yield ways in to what is nobody's business."""
    policies = [one["spec"] for one in manifests.of_kind("NetworkPolicy")]
    if not any(not spec["podSelector"] and {"Ingress", "Egress"} == set(spec["policyTypes"]) for spec in policies):
        yield "NetworkPolicy: none forbids everything by default; select all pods, in both directions"
    for one in manifests.of_kind("NetworkPolicy"):
        labels = one["spec"]["podSelector"].get("matchLabels", {})
        for rule in one["spec"].get("ingress", []):
            anybody = not rule.get("from") or {"namespaceSelector": {}} in rule["from"]
            if anybody and labels.get("app.kubernetes.io/component") != _PUBLIC:
                yield f"{_named(one)}: lets anybody in; only {_PUBLIC} is for others"
    for one in manifests.of_kind("Service"):
        if one["spec"].get("type", "ClusterIP") != "ClusterIP":
            yield f"{_named(one)}: is seen outside the cluster; leave that to an Ingress"


def stops_in_peace(manifests: Manifests) -> Iterator[str]:
    """Yield where settings and manifests say different things of one time or place."""
    worker = tomllib.loads(manifests.settings.get("outdial.toml", "")).get("worker", {})
    grace_s = worker.get("stop_grace_s", _DEFAULT_GRACE_S)
    for one in manifests.of_kind("Deployment"):
        if one["metadata"]["name"] != "worker":
            continue
        if _pod(one).get("terminationGracePeriodSeconds", 30) < grace_s + 5:
            yield f"{_named(one)}: is killed before its calls end; give it {grace_s + 5} s or more to stop"
        [container] = _pod(one)["containers"]
        told = {variable["name"]: variable.get("value") for variable in container.get("env", [])}
        folder = told.get("OUTDIAL_WORKER__HEARTBEAT_DIR")
        written = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
        if folder not in written or worker.get("heartbeat_dir", folder) != folder:
            yield f"{_named(one)}: its probes look for heartbeats where none are written"


Rule = Callable[[Manifests], Iterator[str]]
RULES: tuple[Rule, ...] = (
    contained,
    limited,
    probed,
    without_secrets,
    joined,
    drained_in_turns,
    closed,
    stops_in_peace,
)


def breaches(manifests: Manifests) -> list[str]:
    """Return a sentence for each breach of a rule, and for each problem with the files."""
    return [*manifests.problems, *(breach for rule in RULES for breach in rule(manifests))]
