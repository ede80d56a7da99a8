"""Owns the configuration reference: docs/configuration.md is what the models say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from syncd.settings.daemon import DaemonSettings
from syncd.settings.fields import fields_of, kind_of, section_of
from syncd.settings.limits import DEFAULT_LIMITS, KindLimit, Limits
from syncd.settings.mappers import (
    CLAIM_TYPES,
    DIRECTORY_TYPES,
    MAPPER_MODELS,
    PREDEFINED_CLAIM_NAMES,
    PREDEFINED_NAMES,
    RESERVED_NAMES,
    MapperSettings,
)
from syncd.settings.organization import OrganizationSettings
from syncd.settings.portals import Portal
from syncd.settings.roles import RoleImport
from syncd.settings.store import DEFAULT_STORE
from syncd.settings.values import SecretUrl
from syncd.settings.vendors import VENDOR_DEFAULTS

VENDOR_KEYS = frozenset(VENDOR_DEFAULTS["other"])

_HEAD = """\
# Configuration

<!-- Made by `scripts/render_docs.py configuration` from the models; change those. -->

One file names the daemon, one file per organization its provider and mappers. The daemon's file is
the first of `--config`, `$SYNCD_CONFIG`, `./config/syncd.yaml` and `/etc/syncd/syncd.yaml`.
`syncd check` says everything that is wrong at once, `syncd config show` what is in effect and where
each value came from, `syncd config schema` prints the JSON Schema for editors.

## How values are written

- **Unknown keys, wrong types and contradictions are errors**; nothing is guessed or skipped.
- **Durations** are seconds, or a number with a unit: `90s`, `15m`, `12h`, `30d`.
- **Lists** may be text with commas where the table says so: `inetOrgPerson, organizationalPerson`.
- **Paths** are relative to the file that names them; in an environment variable, to the working
  directory. The path in an SQLite URL is one too: `sqlite:///../var/syncd.db`.
- **Text that YAML reads as something else** (`no`, `on`, `0123`, `12:30`, `1.10`) goes in quotes;
  where that matters and is forgotten, the error says so.
- `null` means "not set"; where the default is "the vendor's", `vendor` then decides (table below).

## Environment variables

Every key of the daemon's file is `SYNCD_<KEY>__<KEY>`, for example `SYNCD_HTTP__PORT=8080`; every
key of an organization's file is `SYNCD_ORG_<ID>__<KEY>…`, with the id in upper case and `-` as `_`,
for example `SYNCD_ORG_ACME__LDAP__BIND_DN`. The environment wins over the file. Mappings and the
lists of mappers and portals are given as a whole, in one line of YAML or JSON. `null` takes a value
back.
Without any file, `SYNCD_ORGANIZATIONS` names the organizations' files.

## Secrets

A secret is given as its key, as `<key>_file` (a file that holds nothing else; a newline at its end
is dropped), or as a file in `$CREDENTIALS_DIRECTORY` (systemd's `LoadCredential=`) or in
`/run/secrets` (containers); the directories are looked at in this order when neither key is set.
Key and file together are an error.

"""


def render_reference() -> str:
    """Return the whole page."""
    return "".join(_page())


def _page() -> Iterator[str]:
    yield _HEAD
    yield from _credentials()
    yield "## The daemon's file: `syncd.yaml`\n\n"
    yield from _section(DaemonSettings, "")
    yield "## An organization's file: `organizations/*.yaml`\n\n"
    yield "The keys carry the labels of the set-up forms in snake case.\n\n"
    yield from _section(OrganizationSettings, "")
    yield from _limits()
    yield from _portals()
    yield from _vendors()
    yield from _mappers()


def _credentials() -> Iterator[str]:
    yield "| secret | file name in a credentials directory |\n|---|---|\n"
    for key, name in (
        ("store.url", "store_url"),
        ("store.migration_url", "store_migration_url"),
        ("outbound.proxy", "outbound_proxy"),
        ("smtp.password", "smtp_password"),
        ("ldap.bind_credential", "<organization id>.bind_credential"),
        ("idp.client_secret", "<organization id>.client_secret"),
        ("portals[].client_secret", "<organization id>.<client_id>.client_secret"),
    ):
        yield f"| `{key}` | `{name}` |\n"
    yield "\n"


def _section(model: type[BaseModel], prefix: str) -> Iterator[str]:
    plain = {k: f for k, f in fields_of(model).items() if section_of(f) in {None, KindLimit}}
    inner = {k: f for k, f in fields_of(model).items() if k not in plain}
    if model is Limits:
        plain = {k: f for k, f in plain.items() if section_of(f) is None}
    if plain:
        yield from _table(plain)
    for name, field in inner.items():
        section = section_of(field)
        if section is None:
            continue
        path = f"{prefix}{name}"
        yield f"### `{path}`\n\n{_intro(section, field)}\n\n"
        yield from _section(section, f"{path}.")


def _intro(section: type[BaseModel], field: FieldInfo) -> str:
    text = " ".join((section.__doc__ or "").split())
    if field.is_required():
        return f"{text} Required."
    return text if field.default is not None else f"{text} Default: `null`."


def _table(fields: dict[str, FieldInfo]) -> Iterator[str]:
    yield "| key | value | default | meaning |\n|---|---|---|---|\n"
    for name, field in fields.items():
        description = (field.description or "").replace("|", "\\|")
        yield f"| `{name}` | {kind_of(field)} | {_default(name, field)} | {description} |\n"
    yield "\n"


def _default(name: str, field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default: Any = field.get_default(call_default_factory=True, validated_data={})
    if default is None:
        return "the vendor's" if name in VENDOR_KEYS else "`null`"
    if kind_of(field).startswith("duration") and default:
        return f"`{_duration(default)}`"
    return f"`{_literal(default)}`"


def _literal(value: Any) -> str:  # noqa: ANN401 - defaults are of any type
    if isinstance(value, SecretUrl) or value is PydanticUndefined:
        return DEFAULT_STORE
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    return '""' if value == "" else str(value)


def _duration(seconds: float) -> str:
    units = ((86_400, "d"), (3600, "h"), (60, "m"))
    size, unit = next(((s, u) for s, u in units if seconds % s == 0), (1, "s"))
    return f"{seconds // size:g}{unit}"


def _portals() -> Iterator[str]:
    yield "### `portals[]`\n\nEach of the portals; see [Portals](portals.md).\n\n"
    yield from _table(fields_of(Portal))


def _limits() -> Iterator[str]:
    yield "#### Kinds of change\n\nEach is `{percent, count}`; whichever is reached first holds "
    yield "the run. A part that is not given keeps its default, `null` switches it off, and `null` "
    yield "for the kind switches both off.\n\n"
    yield "| kind | percent | count | meaning |\n|---|---|---|---|\n"
    for kind, (percent, count) in DEFAULT_LIMITS.items():
        meaning = Limits.model_fields[kind].description
        yield f"| `{kind}` | {_or_none(percent)} | {_or_none(count)} | {meaning} |\n"
    yield "\n"


def _or_none(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def _vendors() -> Iterator[str]:
    names = list(VENDOR_DEFAULTS)
    yield "## What `vendor` sets\n\n"
    yield "| | " + " | ".join(f"`{name}`" for name in names) + " |\n"
    yield "|---|" + "---|" * len(names) + "\n"
    for key in VENDOR_DEFAULTS["other"]:
        cells = (VENDOR_DEFAULTS[name][key] for name in names)
        shown = (cell if isinstance(cell, str) else ", ".join(cell) for cell in cells)
        label = f"`{key}`" if key.endswith(("attribute", "class", "classes")) else key
        yield f"| {label} | " + " | ".join(shown) + " |\n"
    yield "\n`create_timestamp` and `modify_timestamp` are no keys: an own mapper named\n"
    yield "`createTimestamp` or `modifyTimestamp` reads another attribute. Nor is\n"
    yield "`account_state_attributes`: a mapper of type `account-state` reads these unless its\n"
    yield "`attributes` say otherwise.\n\n"


def _mappers() -> Iterator[str]:
    yield "## Mappers\n\n"
    yield f"Always there for a directory, unless switched off: {_listed(PREDEFINED_NAMES)}; for an "
    yield f"identity provider: {_listed(PREDEFINED_CLAIM_NAMES)}. "
    yield "An entry of the same name takes the place of one, where its type is for the same kind "
    yield "of provider; `{name: email, enabled: false}` switches it off.\n"
    yield f"The names {_listed(RESERVED_NAMES)} are reserved. `syncd mappers` "
    yield "shows each type with an example.\n\n"
    yield "Every mapper has:\n\n"
    yield from _table(fields_of(MapperSettings))
    shared = set(fields_of(MapperSettings)) | {"type"}
    for kind, model in MAPPER_MODELS.items():
        yield f"### Type `{kind}`\n\n{model.__doc__}{_meant_for(kind)}\n\n"
        own = {key: field for key, field in fields_of(model).items() if key not in shared}
        if issubclass(model, RoleImport):
            continue
        yield from _table(own)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _meant_for(kind: str) -> str:
    if kind in DIRECTORY_TYPES:
        return " For directories."
    return " For identity providers." if kind in CLAIM_TYPES else ""
