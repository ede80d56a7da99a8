"""Owns loading: which file is taken, what is laid over it, and the settings that come out.

``pydantic-settings`` is not used for this: its sources ignore unknown variables, and a value no
longer knows which line or variable it came from.
"""

from __future__ import annotations

import glob
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from syncd.errors import ConfigurationError, Fault
from syncd.settings.checking import validate
from syncd.settings.daemon import DaemonSettings
from syncd.settings.document import Document, displayed, dotted, read_document
from syncd.settings.environment import (
    CONFIG_VARIABLE,
    PREFIX,
    orphans,
    overlay,
    variable_prefix,
)
from syncd.settings.layers import Layers
from syncd.settings.organization import OrganizationSettings
from syncd.settings.secrets import CONTAINER_SECRETS, credential_directories, resolve_secrets
from syncd.settings.store import DEFAULT_STORE

SEARCH_ORDER = (Path("config/syncd.yaml"), Path("/etc/syncd/syncd.yaml"))
ORGANIZATIONS_VARIABLE = "SYNCD_ORGANIZATIONS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration, valid and frozen."""

    daemon: DaemonSettings
    organizations: Mapping[str, OrganizationSettings]
    # One sentence each, for what is allowed but should be known.
    warnings: tuple[str, ...]
    # The daemon's file (none when all came from the environment) and the organizations' files.
    files: tuple[Path, ...]
    # Where each value came from: "daemon" or the organization's id, then the dotted key.
    origins: Mapping[str, Mapping[str, str]] = field(repr=False)


def load(
    config: str | None, environ: Mapping[str, str], *, container_secrets: Path = CONTAINER_SECRETS
) -> Settings:
    """Load everything; ``ConfigurationError`` lists all faults of all files."""
    path = find(config, environ)
    directories = credential_directories(environ, container_secrets)
    layers = _daemon_layers(path, environ, directories)
    daemon = validate(layers, DaemonSettings)
    organizations, organization_layers, files = _organizations(layers, daemon, environ, directories)
    faults = [*layers.faults, *(f for each in organization_layers for f in each.faults)]
    ids = _known_ids(organization_layers)
    if len(ids) == len(organization_layers):
        faults += orphans(environ, ids)
    if faults or daemon is None:
        # No cause: the errors of the libraries repeat values, and a value may be a secret.
        unique = {str(fault): fault for fault in faults}
        order = [each.document.file for each in (layers, *organization_layers)]
        raise ConfigurationError(sorted(unique.values(), key=lambda f: _position(f, order)))
    warnings = [*layers.warnings, *(w for each in organization_layers for w in each.warnings)]
    named = zip(organizations, organization_layers, strict=True)
    origins = {"daemon": _origins(layers)} | {name: _origins(each) for name, each in named}
    return Settings(
        daemon=daemon,
        organizations=organizations,
        warnings=tuple(str(found) for found in warnings),
        files=(*([path] if path is not None else []), *files),
        origins=origins,
    )


def find(config: str | None, environ: Mapping[str, str]) -> Path | None:
    """Return the daemon's file; None when the environment names the organizations itself."""
    for named, by in ((config, "--config"), (environ.get(CONFIG_VARIABLE), f"${CONFIG_VARIABLE}")):
        if named:
            path = Path(named).expanduser()
            if not path.exists():
                message = f"is not there, though {by} names it; check the path"
                raise ConfigurationError([Fault(displayed(path), None, "", message)])
            return path
    for path in SEARCH_ORDER:
        if path.exists():
            return path
    if environ.get(ORGANIZATIONS_VARIABLE):
        return None
    looked = ", ".join(["--config", f"${CONFIG_VARIABLE}", *map(str, SEARCH_ORDER)])
    message = f"there is no configuration (looked at {looked}); write one, or name it"
    raise ConfigurationError([Fault("syncd.yaml", None, "", message)])


def _daemon_layers(
    path: Path | None, environ: Mapping[str, str], directories: tuple[Path, ...]
) -> Layers:
    document = read_document(path) if path is not None else Document("environment", Path.cwd())
    layers = Layers(document)
    overlay(layers, DaemonSettings, PREFIX, environ)
    store = layers.tree.setdefault("store", {})
    resolve_secrets(layers, DaemonSettings, directories, None)
    if isinstance(store, dict):
        # Here and not as the model's default, so that it starts at the file's folder.
        layers.tree["store"].setdefault("url", DEFAULT_STORE)
    return layers


def _organizations(
    daemon_layers: Layers,
    daemon: DaemonSettings | None,
    environ: Mapping[str, str],
    directories: tuple[Path, ...],
) -> tuple[dict[str, OrganizationSettings], list[Layers], list[Path]]:
    found: dict[str, OrganizationSettings] = {}
    every: list[Layers] = []
    first: dict[str, Layers] = {}
    paths = _paths(daemon_layers, daemon)
    for path in paths:
        layers = Layers(read_document(path))
        every.append(layers)
        if layers.document.faults and not layers.tree:
            continue
        name = layers.get(("organization", "id"))
        known = name if isinstance(name, str) else None
        if known is not None:
            overlay(layers, OrganizationSettings, variable_prefix(known), environ)
            resolve_secrets(layers, OrganizationSettings, directories, known)
            if known in first:
                file, line = first[known].place(("organization", "id"))
                message = f'is "{known}", as in {file}:{line}; every organization has its own id'
                layers.blame(("organization", "id"), message)
            first.setdefault(known, layers)
        settings = validate(layers, OrganizationSettings)
        if settings is not None:
            found[settings.id] = settings
    return found, every, paths


def _paths(layers: Layers, daemon: DaemonSettings | None) -> list[Path]:
    key = ("organizations",)
    default = DaemonSettings.model_fields["organizations"].default
    if daemon is not None:
        patterns: tuple[str, ...] = daemon.organizations
    else:
        # The daemon's file is wrong: the organizations' faults are told all the same.
        given = layers.get(key)
        patterns = (given,) if isinstance(given, str) else default if given is None else ()
    paths: dict[Path, None] = {}
    for pattern in patterns:
        whole = str(layers.directory / Path(pattern).expanduser())
        matches = sorted(glob.glob(whole))  # noqa: PTH207 - the pattern may be absolute
        if not matches:
            fault = layers.fault(key, f'finds no organization file: no file matches "{pattern}"')
            (layers.warnings if glob.has_magic(pattern) else layers.faults).append(fault)
        paths |= dict.fromkeys(Path(match) for match in matches)
    return list(paths)


def _known_ids(every: list[Layers]) -> list[str]:
    ids = (layers.get(("organization", "id")) for layers in every)
    return [name for name in ids if isinstance(name, str)]


def _position(fault: Fault, files: list[str]) -> tuple[int, str, int, str]:
    # As the files were read, then what came from elsewhere.
    rank = files.index(fault.file) if fault.file in files else len(files)
    return rank, fault.file, fault.line or 0, fault.key


def _origins(layers: Layers) -> dict[str, str]:
    origins = {
        dotted(key): f"{layers.document.file}:{line}"
        for key, line in layers.document.lines.items()
        if key
    }
    return origins | {dotted(key): place for key, place in layers.places.items()}
