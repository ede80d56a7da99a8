"""The small world of deploy/compose: its form, its files, and its directory for real."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from syncd.settings import load
from tests.acceptance.preloaded import ON_SQLITE
from tests.servers.authority import program
from tests.servers.slapd import free_port

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld

pytest_plugins = ("tests.acceptance.quick",)

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/compose"
DOCUMENT: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
TEXT_OF_DIRECTORY = (FOLDER / "directory/Containerfile").read_text(encoding="utf-8")
HEALTH: list[str] = SERVICES["directory"]["healthcheck"]["test"][1:]
SERVICE_KEYS = frozenset(
    [
        "build",
        "cap_drop",
        "command",
        "depends_on",
        "environment",
        "healthcheck",
        "image",
        "ports",
        "read_only",
        "restart",
        "secrets",
        "security_opt",
        "stop_grace_period",
        "tmpfs",
        "volumes",
    ]
)
PATIENCE_SECONDS = 20


def test_the_file_has_only_what_the_specification_knows() -> None:
    """Every key, of the file and of each service, is one of those that compose has."""
    assert set(DOCUMENT) == {"name", "services", "secrets", "volumes"}
    unknown = {name: set(service) - SERVICE_KEYS for name, service in SERVICES.items()}
    assert {name: keys for name, keys in unknown.items() if keys} == {}
    for name, service in SERVICES.items():
        assert set(service.get("build", ())) <= {"context", "dockerfile"}, name
        assert set(service.get("healthcheck", ())) <= {"test", "interval", "retries"}, name
        assert "image" in service or "build" in service, name


def test_services_wait_for_what_can_be_waited_for() -> None:
    """Health is asked only of services that have a check, an end only of one that ends."""
    for name, service in SERVICES.items():
        awaited = service.get("depends_on", {})
        assert set(awaited) <= set(SERVICES), name
        for other, how in awaited.items() if isinstance(awaited, dict) else ():
            (condition,) = how.values()
            assert condition in {"service_healthy", "service_completed_successfully"}
            if condition == "service_healthy":
                assert "healthcheck" in SERVICES[other], other
            else:
                assert SERVICES[other]["command"] == ["db", "upgrade"]
                assert "restart" not in SERVICES[other]


def test_what_it_names_is_there() -> None:
    """Folders and files that are mounted or built from exist, volumes and secrets are declared."""
    named = set(DOCUMENT["volumes"])
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in named or (FOLDER / source).exists(), (name, source)
        for secret in service.get("secrets", []):
            assert secret in DOCUMENT["secrets"], (name, secret)
        if "build" in service:
            context = FOLDER / service["build"]["context"]
            assert (context / service["build"]["dockerfile"]).is_file(), name
    for secret in DOCUMENT["secrets"].values():
        assert (FOLDER / secret["file"]).is_file()


def test_nothing_is_reached_from_other_machines() -> None:
    """Ports are opened on this machine only, for it has passwords that everybody knows."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_syncd_takes_its_configuration() -> None:
    """It is valid with the secrets as containers get them, and names the world's own services."""
    settings = load(str(FOLDER / "syncd/syncd.yaml"), {}, container_secrets=FOLDER / "secrets")
    (organization,) = settings.organizations.values()
    assert organization.ldap is not None
    hosts = [str(url) for url in organization.ldap.connection_url]
    assert [host.rpartition("/")[2].partition(":")[0] for host in hosts] == ["directory"]
    url = settings.daemon.store.url.get_secret_value()
    assert re.search(r"@(\w+)/", url)[1] in SERVICES  # type: ignore[index]
    targets = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = targets["scrape_configs"]
    assert (job["job_name"], job["static_configs"]) == ("syncd", [{"targets": ["syncd:9480"]}])
    source = SERVICES["grafana"]["environment"]["SYNCD_PROMETHEUS_URL"]
    assert source == "http://prometheus:9090"


@ON_SQLITE
def test_the_directory_is_synced(quick_world: MakeQuickWorld, tmp_path: Path) -> None:
    """A slapd with its configuration and people is read by syncd with its organization's file."""
    world = quick_world()
    data, port = tmp_path / "ldap", free_port()
    data.mkdir()
    text = (FOLDER / "directory/slapd.conf").read_text(encoding="utf-8")
    for place in ("/var/lib/ldap", "/tmp/slapd"):  # noqa: S108 - where the container has it
        text = text.replace(place, str(data if "lib" in place else tmp_path / "slapd"))
    conf = tmp_path / "slapd.conf"
    conf.write_text(text)
    (load_line,) = re.findall(r"slapadd (.*?)\n && chown", TEXT_OF_DIRECTORY, re.DOTALL)
    words = load_line.replace("\\", "").split()
    places = {
        "/etc/syncd-directory/slapd.conf": str(conf),
        "/etc/syncd-directory/people.ldif": str(FOLDER / "directory/people.ldif"),
    }
    subprocess.run(
        [program("slapadd"), *(places.get(word, word) for word in words)],
        check=True,
        capture_output=True,
    )
    organization = (FOLDER / "syncd/organizations/acme.yaml").read_text(encoding="utf-8")
    url = f"ldap://127.0.0.1:{port}"
    world.organization_file.write_text(organization.replace("ldap://directory:1389", url))
    server = subprocess.Popen(
        [program("slapd"), "-f", conf, "-h", url, "-d", "none"], stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + PATIENCE_SECONDS
        while (code := server.poll()) is None and time.monotonic() < until:
            health = [word.replace(":1389", f":{port}") for word in HEALTH]
            if not subprocess.run(health, capture_output=True, check=False).returncode:
                break
        assert code is None
        report = world.syncd(
            "--json",
            "sync",
            "acme",
            code=0,
            CREDENTIALS_DIRECTORY=str(FOLDER / "secrets"),
            SYNCD_STORE__URL=world.store_url,
        ).document
    finally:
        server.terminate()
        server.wait(PATIENCE_SECONDS)
    assert (report["users"]["created"], report["roles"]["created"]) == (12, 2)
    assert report["listing"] == "complete"
