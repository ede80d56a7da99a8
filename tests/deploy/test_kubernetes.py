"""The manifests of deploy/kubernetes: by Kubernetes' schemas, and held against the program."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

import syncd
from syncd.settings import load
from syncd.settings.daemon import DaemonSettings

with warnings.catch_warnings():
    # The library asks for its version in a way that is on its way out.
    warnings.simplefilter("ignore")
    import kubernetes_validate  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/kubernetes"
# The oldest that its makers still mend, and the newest that the library knows.
VERSIONS = ("1.33", "1.36")
FILES = sorted(FOLDER.glob("*.yaml"))
RESOURCES: list[dict[str, Any]] = [
    document
    for path in FILES
    if path.name != "kustomization.yaml"
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
OF_OTHERS = {"ServiceMonitor"}
DEFAULTS = DaemonSettings()


def one(kind: str, name: str | None = None) -> dict[str, Any]:
    """Return the one resource of a kind, and of a name if there are several."""
    (found,) = (
        resource
        for resource in RESOURCES
        if resource["kind"] == kind and name in {None, resource["metadata"]["name"]}
    )
    return found


def pods() -> dict[str, dict[str, Any]]:
    """Return the pod templates by the kind of what makes them."""
    return {kind: one(kind)["spec"]["template"] for kind in ("Deployment", "Job")}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_schemas_are_kept(version: str) -> None:
    """Every resource is valid, without a property that the schema does not know."""
    checked = [resource for resource in RESOURCES if resource["kind"] not in OF_OTHERS]
    assert len(checked) == len(RESOURCES) - len(OF_OTHERS)
    for resource in checked:
        kubernetes_validate.validate(resource, version, strict=True)


def test_an_unknown_property_is_found() -> None:
    """The schemas are asked in a way in which a slip fails."""
    wrong = one("PodDisruptionBudget") | {"spec": {"minAvailble": 1}}
    with pytest.raises(kubernetes_validate.ValidationError, match="minAvailble"):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_kustomize_is_told_of_everything_but_the_migration() -> None:
    """No file is forgotten in the list, and the Job is applied by itself, before."""
    document = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
    others = {path.name for path in FILES} - {"kustomization.yaml", "migrate.yaml"}
    assert set(document["resources"]) == others
    assert one("Job")["metadata"]["namespace"] == document["namespace"]


def test_labels_find_what_they_are_for() -> None:
    """Selectors of services, budget, policy and monitor match the pods or services meant."""
    daemon = pods()["Deployment"]["metadata"]["labels"]
    job = pods()["Job"]["metadata"]["labels"]
    selectors = [
        one("Deployment")["spec"]["selector"]["matchLabels"],
        one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        one("Service", "syncd")["spec"]["selector"],
        one("Service", "syncd-metrics")["spec"]["selector"],
    ]
    for selector in selectors:
        assert selector.items() <= daemon.items()
        # Nobody sends requests to the migration.
        assert not selector.items() <= job.items()
    policy = one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    assert policy.items() <= daemon.items()
    assert policy.items() <= job.items()
    monitor = one("ServiceMonitor")["spec"]
    watched = one("Service", "syncd-metrics")
    assert monitor["selector"]["matchLabels"].items() <= watched["metadata"]["labels"].items()
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in watched["spec"]["ports"]}
    assert {"targetLabel": "job", "replacement": "syncd"} in endpoint["relabelings"]


def test_ports_and_probes_are_the_programs() -> None:
    """Ports have the settings' numbers, and the probes ask addresses that are there."""
    (container,) = pods()["Deployment"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": DEFAULTS.http.port, "metrics": DEFAULTS.metrics.port}
    asked = {name: container[name]["httpGet"] for name in container if name.endswith("Probe")}
    assert asked == {
        "startupProbe": {"path": "/healthz", "port": "http"},
        "livenessProbe": {"path": "/healthz", "port": "http"},
        "readinessProbe": {"path": "/readyz", "port": "http"},
    }
    allowed = {
        port["port"] for rule in one("NetworkPolicy")["spec"]["ingress"] for port in rule["ports"]
    }
    assert allowed == set(ports.values())


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_pods_may_do_nothing_that_they_need_not(kind: str) -> None:
    """Not root, nothing written, no capability, no token of the cluster; one image for all."""
    spec = pods()[kind]["spec"]
    (container,) = spec["containers"]
    assert container["image"].endswith(f":{syncd.__version__}")
    assert syncd.__version__ in one("Job")["metadata"]["name"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"] == spec["securityContext"]["fsGroup"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        volume["name"] for volume in spec["volumes"]
    }


def test_the_daemon_has_the_time_to_end() -> None:
    """The cluster waits longer than the syncs under way may take, and keeps one replica."""
    deployment = one("Deployment")["spec"]
    grace = deployment["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace >= DEFAULTS.sync.drain + 20
    assert deployment["replicas"] == 2
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_the_program_takes_the_configuration_as_the_pod_has_it(kind: str, tmp_path: Path) -> None:
    """The volumes' files make a valid configuration whose secrets are those of the credentials."""
    spec = pods()[kind]["spec"]
    (container,) = spec["containers"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    places = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert places["configuration"] == "/etc/syncd"
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    assert environment == {"CREDENTIALS_DIRECTORY": places["credentials"]}
    texts = one("ConfigMap")["data"]
    items = volumes["configuration"]["configMap"]["items"]
    assert {item["key"] for item in items} == set(texts)
    for item in items:
        path = tmp_path / "etc" / item["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[item["key"]])
    secret = one("Secret", volumes["credentials"]["secret"]["secretName"])["stringData"]
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    for name, text in secret.items():
        (credentials / name).write_text(text)
    settings = load(
        str(tmp_path / "etc/syncd.yaml"),
        {"CREDENTIALS_DIRECTORY": str(credentials)},
        container_secrets=tmp_path / "none",
    )
    assert settings.warnings == ()
    used = {
        place.rpartition("/")[2]
        for origins in settings.origins.values()
        for place in origins.values()
        if place.startswith("credential ")
    }
    assert used == set(secret)
    assert ("store_migration_url" in used) == (kind == "Job")
