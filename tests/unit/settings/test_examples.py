"""The examples in config/ and the generated pages are true."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from syncd.settings import (
    DaemonSettings,
    OrganizationSettings,
    json_schema,
    load,
    masked,
    render_reference,
)
from syncd.settings.document import read_document
from syncd.settings.fields import fields_of, walk
from syncd.settings.mappers import MapperSettings

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = sorted(path.name for path in (ROOT / "config/examples").glob("*.yaml"))
PEM = "-----BEGIN CERTIFICATE-----\nMAAwAAAA\n-----END CERTIFICATE-----\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Copy config/ and put the certificates and secrets there that the examples name."""
    folder = tmp_path / "config"
    shutil.copytree(ROOT / "config", folder)
    for path in folder.glob("*/*.yaml"):
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"certs/[\w-]+\.pem", text):
            (path.parent / "certs").mkdir(exist_ok=True)
            (path.parent / name).write_text(PEM)
        for name in re.findall(r"(?m)^ +\w+_file: ([\w.-]+)", text):
            (path.parent / name).write_text("s3cret\n")
            (path.parent / name).chmod(0o600)
    return folder


def test_the_shipped_configuration_loads(config: Path) -> None:
    """The fully commented files are valid and bring no warning."""
    settings = load(str(config / "syncd.yaml"), {})
    assert list(settings.organizations) == ["acme"]
    assert settings.warnings == ()


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_loads(config: Path, name: str) -> None:
    """Each example is a valid organization without a warning."""
    environ = {"SYNCD_ORGANIZATIONS": str(config / "examples" / name)}
    settings = load(str(config / "syncd.yaml"), environ)
    assert len(settings.organizations) == 1
    assert settings.warnings == ()


@pytest.mark.parametrize(
    ("file", "model"),
    [
        ("syncd.yaml", DaemonSettings),
        ("organizations/acme.yaml", OrganizationSettings),
    ],
)
def test_every_key_stands_in_the_commented_files_with_a_comment(file: str, model: Any) -> None:
    """Nothing that can be configured is missing, and each key has its line of explanation."""
    text = (ROOT / "config" / file).read_text(encoding="utf-8")
    for key, _ in walk(model):
        if key[0] == "limits" and len(key) == 3:
            continue
        assert re.search(rf"(?m)^[# ]*{key[-1]}:.* # \S", text), f"{key} has no commented line"


def test_the_defaults_in_the_commented_files_are_the_defaults(config: Path) -> None:
    """What the daemon's example says is what an empty file does, but for the database's path."""
    shown = masked(load(str(config / "syncd.yaml"), {}))["daemon"]
    (config / "syncd.yaml").write_text("")
    plain = masked(load(str(config / "syncd.yaml"), {}))["daemon"]
    assert shown.pop("store") != plain.pop("store")
    assert shown == plain


def test_the_limits_in_the_commented_file_are_the_defaults(config: Path) -> None:
    """The guard's numbers in the example are those that hold without them."""
    acme = load(str(config / "syncd.yaml"), {}).organizations["acme"]
    defaults = OrganizationSettings.model_fields["limits"].get_default(
        call_default_factory=True, validated_data={}
    )
    for kind, limit in defaults:
        own = getattr(acme.limits, kind)
        if kind in {"create", "enable"}:
            assert own is None
        else:
            assert own == limit


def test_the_reference_is_not_stale() -> None:
    """docs/configuration.md is what scripts/render_docs.py configuration would write."""
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    assert page == render_reference(), "run scripts/render_docs.py configuration"


def test_the_reference_names_every_key() -> None:
    """Each key of both files has its row."""
    page = render_reference()
    for model in (DaemonSettings, OrganizationSettings, MapperSettings):
        for key, _ in walk(model):
            if key[0] == "limits" and len(key) == 3:
                continue
            assert f"`{key[-1]}`" in page or f"`{'.'.join(map(str, key))}`" in page


def test_the_schema_describes_every_key() -> None:
    """Each key is in the JSON Schema with a description, and nothing else is allowed."""
    schema = json.loads(json.dumps(json_schema()))
    for name, model in (("daemon", DaemonSettings), ("organization", OrganizationSettings)):
        assert set(schema[name]["properties"]) == set(fields_of(model))
        groups = [schema[name], *schema[name]["$defs"].values()]
        for group in groups:
            if group["title"] == "Certificate":
                continue
            assert group["additionalProperties"] is False
            for key, value in group["properties"].items():
                described = "description" in value or "$ref" in value or key == "type"
                assert described, (group["title"], key)


def test_masked_settings_tell_where_each_value_came_from(config: Path) -> None:
    """A file's line or a variable's name stands beside each configured key."""
    shown = masked(load(str(config / "syncd.yaml"), {"SYNCD_HTTP__PORT": "1"}))
    lines = (config / "syncd.yaml").read_text().splitlines()
    line = next(at for at, text in enumerate(lines, 1) if text.strip().startswith("level:"))
    assert shown["origins"]["daemon"]["http.port"] == "environment variable SYNCD_HTTP__PORT"
    assert shown["origins"]["daemon"]["log.level"].endswith(f"syncd.yaml:{line}")
    assert shown["origins"]["acme"]["ldap.bind_credential"].startswith("secret file ")
    assert json.dumps(shown)


def test_the_examples_have_no_duplicate_ids() -> None:
    """All examples could stand in one folder."""
    ids = [
        read_document(ROOT / "config/examples" / name).tree["organization"]["id"]
        for name in EXAMPLES
    ]
    assert len(set(ids)) == len(ids) == 4
