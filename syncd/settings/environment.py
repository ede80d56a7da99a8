"""Owns how environment variables become keys.

``SYNCD_HTTP__PORT`` is the daemon's, ``SYNCD_ORG_ACME__PROVIDER`` that of an organization.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

from pydantic import BaseModel

from syncd.errors import Fault
from syncd.settings.document import Key, dotted, parse_value
from syncd.settings.fields import (
    FILE_SUFFIX,
    fields_of,
    is_nullable,
    is_secret,
    is_structured,
    section_of,
)
from syncd.settings.layers import Layers
from syncd.settings.values import EnvironmentText

PREFIX = "SYNCD_"
ORGANIZATION_PREFIX = "SYNCD_ORG_"
CONFIG_VARIABLE = "SYNCD_CONFIG"
# What container platforms set for a service that is named syncd.
_SERVICE_LINK = re.compile(r"SYNCD_(SERVICE_(HOST|PORT(_\w+)?)|PORT(_[0-9]+_(TCP|UDP)(_\w+)?)?)\Z")


def variable_prefix(organization_id: str) -> str:
    """Return how the variables of an organization start."""
    return f"{ORGANIZATION_PREFIX}{organization_id.upper().replace('-', '_')}__"


def place_of(variable: str) -> str:
    """Return how messages name a variable."""
    return f"environment variable {variable}"


def overlay(
    layers: Layers, model: type[BaseModel], prefix: str, environ: Mapping[str, str]
) -> None:
    """Lay every variable that starts with ``prefix`` over the tree."""
    for variable in sorted(environ):
        if not variable.startswith(prefix) or not _is_ours(variable, prefix):
            continue
        words = variable[len(prefix) :].split("__")
        key = _key_of(model, words)
        if key is None:
            message = f"there is no such key{_near(model, words, prefix)}"
            if prefix == PREFIX and len(words) == 1:
                layers.warnings.append(Fault(place_of(variable), None, "", message))
            else:
                layers.faults.append(Fault(place_of(variable), None, "", message))
            continue
        if key == ("organization", "id"):
            message = "cannot come from the environment; it stands in the organization's file"
            layers.faults.append(Fault(place_of(variable), None, dotted(key), message))
            continue
        _set(layers, model, key, variable, environ[variable])


def orphans(environ: Mapping[str, str], ids: Iterable[str]) -> list[Fault]:
    """Return faults for variables of organizations that are not there."""
    prefixes = {variable_prefix(name) for name in ids}
    faults = []
    for variable in sorted(environ):
        if not variable.startswith(ORGANIZATION_PREFIX):
            continue
        head, separator, _ = variable.partition("__")
        if head + separator not in prefixes:
            close = difflib.get_close_matches(f"{head}__", sorted(prefixes), 1, 0.75)
            known = ", ".join(f"{prefix}<KEY>" for prefix in sorted(prefixes)) or "none is known"
            hint = f"; did you mean {close[0]}<KEY>?" if close else f"; known: {known}"
            message = f"there is no such organization{hint}"
            faults.append(Fault(place_of(variable), None, "", message))
    return faults


def _is_ours(variable: str, prefix: str) -> bool:
    if prefix != PREFIX:
        return True
    return not (
        variable == CONFIG_VARIABLE
        or variable.startswith(ORGANIZATION_PREFIX)
        or _SERVICE_LINK.match(variable)
    )


def _key_of(model: type[BaseModel], words: list[str]) -> Key | None:
    key: list[str] = []
    section: type[BaseModel] | None = model
    for word in words:
        if section is None:
            return None
        names = {name.upper(): name for name in fields_of(section)}
        if word not in names:
            return None
        key.append(names[word])
        section = section_of(fields_of(section)[names[word]])
    return tuple(key)


def _near(model: type[BaseModel], words: list[str], prefix: str) -> str:
    section: type[BaseModel] | None = model
    for at, word in enumerate(words):
        if section is None:
            return f"; {'__'.join(words[:at])} takes one value"
        names = {name.upper(): name for name in fields_of(section)}
        if word not in names:
            close = difflib.get_close_matches(word, list(names), 1, 0.6)
            if close:
                meant = "__".join([*words[:at], close[0], *words[at + 1 :]])
                return f"; did you mean {prefix}{meant}?"
            return f"; after {'__'.join(words[:at]) or 'the prefix'} may follow {', '.join(names)}"
        section = section_of(fields_of(section)[names[word]])
    return ""


def _set(layers: Layers, model: type[BaseModel], key: Key, variable: str, text: str) -> None:
    section = model
    for part in key[:-1]:
        inner = section_of(fields_of(section)[str(part)])
        section = inner if inner is not None else section
    field = fields_of(section)[str(key[-1])]
    place = place_of(variable)
    if is_nullable(field) and not is_secret(field) and text.strip().lower() in {"null", "~"}:
        layers.put(key, None, place)
        return
    if is_structured(field):
        document = parse_value(place, text)
        if document.faults:
            message = "is not valid YAML or JSON; write for example {key: value}, in one line"
            layers.document.bad.add(key)
            layers.faults.append(Fault(place, None, dotted(key), message))
        layers.put(key, document.tree.get("value"), place)
        for written, raw in document.written.items():
            layers.document.written[(*key, *written[1:])] = raw
        return
    _replace_other_form(layers, key)
    layers.put(key, EnvironmentText(text), place)


def _replace_other_form(layers: Layers, key: Key) -> None:
    # A secret from the environment takes the place of one in the file, in whichever form.
    name = str(key[-1])
    other = name.removesuffix(FILE_SUFFIX) if name.endswith(FILE_SUFFIX) else name + FILE_SUFFIX
    beside: Key = (*key[:-1], other)
    if beside not in layers.places:
        layers.drop(beside)
