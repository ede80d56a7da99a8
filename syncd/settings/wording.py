"""Owns the sentences that say what is wrong with a key: what is allowed, and what was found.

A value is only repeated when it is a single one and its key is no secret.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from syncd.errors import cut
from syncd.settings.document import Key, dotted
from syncd.settings.fields import (
    choices_of,
    elements_of,
    fields_of,
    is_secret,
    item_choices_of,
    kind_of,
    section_of,
    walk,
)
from syncd.settings.layers import Layers
from syncd.settings.mappers import MAPPER_MODELS, PREDEFINED_NAMES
from syncd.settings.values import masked_url

LONGEST_VALUE = 60
_TEXT_TYPES = frozenset({"string_type", "string_sub_type"})
_GROUP_TYPES = frozenset({"model_type", "model_attributes_type", "dict_type"})
_UNION_TYPES = frozenset({"union_tag_invalid", "union_tag_not_found"})


def describe(layers: Layers, model: type[BaseModel], key: Key, detail: ErrorDetails) -> str:
    """Return what is wrong with a key, what was found there and what is allowed."""
    section, field = _around(layers, model, key)
    kind = detail["type"]
    if kind == "extra_forbidden":
        return _unknown(model, section, key)
    if kind in _UNION_TYPES:
        return _mapper_type(detail)
    if kind == "missing":
        return _missing(field)
    found = _found(layers, key, field, detail["input"])
    if field is not None and (choices_of(field) or kind == "literal_error"):
        return _choice(choices_of(field) or item_choices_of(field), detail["input"], found)
    if kind == "value_error" and field is not None and is_secret(field):
        return _allowed(kind, field, detail.get("ctx", {}))
    text = _allowed(kind, field, detail.get("ctx", {}))
    return f"{text}; found {found}{_quote(layers, key, kind, detail['input'])}"


def _allowed(kind: str, field: FieldInfo | None, context: dict[str, Any]) -> str:
    expected = kind_of(field) if field is not None else "valid value"
    if kind == "value_error":
        return str(context["error"])
    if kind in _TEXT_TYPES:
        return "must be text"
    if kind in _GROUP_TYPES:
        return "must be a group of keys"
    if kind in {"string_pattern_mismatch", "string_too_short"}:
        return f"must be {_pattern(field, context)}"
    if kind in {"string_too_long", "too_long"}:
        return f"must be at most {context.get('max_length')} long"
    if kind == "too_short":
        return "must have at least one value"
    article = "" if expected.startswith(("true", "list", "one")) else "a "
    return f"must be {article}{expected}"


def nearest(word: str, among: Iterable[str]) -> str | None:
    """Return the word that was probably meant."""
    known = {name.lower(): name for name in among}
    close = difflib.get_close_matches(word.lower().replace("-", "_"), list(known), 1, 0.6)
    close = close or difflib.get_close_matches(word.lower(), list(known), 1, 0.6)
    return known[close[0]] if close else None


def _around(
    layers: Layers, model: type[BaseModel], key: Key
) -> tuple[type[BaseModel] | None, FieldInfo | None]:
    """Return the group that a key stands in, and its field when there is such a key."""
    section: type[BaseModel] | None = model
    field: FieldInfo | None = None
    for at, part in enumerate(key):
        if isinstance(part, int):
            elements = elements_of(field) if field is not None else ()
            if len(elements) == 1:
                section = elements[0]
            elif elements:
                mapper = layers.get(key[: at + 1])
                kind = mapper.get("type") if isinstance(mapper, dict) else None
                section = MAPPER_MODELS.get(str(kind))
            continue
        if at == len(key) - 1:
            return section, fields_of(section).get(part) if section is not None else None
        field = fields_of(section).get(part) if section is not None else None
        section = section_of(field) if field is not None else None
    return section, field


def _unknown(model: type[BaseModel], section: type[BaseModel] | None, key: Key) -> str:
    name = str(key[-1])
    allowed = list(fields_of(section)) if section is not None else []
    elsewhere = [
        dotted(other[:-1])
        for other, _ in walk(model)
        if other[-1] == name and other[:-1] != key[:-1] and len(other) > 1
    ]
    close = nearest(name, allowed)
    hint = "there is no such key"
    if elsewhere:
        hint += f" here, it belongs under {' or '.join(elsewhere)}"
    elif close:
        hint += f" (did you mean {close}?)"
    return f"{hint}; allowed: {', '.join(allowed)}"


def _mapper_type(detail: ErrorDetails) -> str:
    tree = detail["input"]
    kind = tree.get("type") if isinstance(tree, dict) else None
    allowed = ", ".join(MAPPER_MODELS)
    if not isinstance(tree, dict):
        return f"must be a mapper with name and type; found {shape(tree)}"
    if kind is None:
        predefined = ", ".join(PREDEFINED_NAMES)
        return (
            f"needs a type, one of {allowed}; only the predefined mappers ({predefined}) are "
            "named without one, with enabled: false"
        )
    close = nearest(kind.replace("_", "-"), MAPPER_MODELS) if isinstance(kind, str) else None
    hint = f"; did you mean {close}?" if close else ""
    found = shown(kind) if isinstance(kind, str) else shape(kind)
    return f"type must be one of {allowed}; found {found}{hint}"


def _missing(field: FieldInfo | None) -> str:
    if field is None:
        return "is required"
    example = field.examples[0] if field.examples else None
    kind = "a group of keys" if section_of(field) is not None else kind_of(field)
    such = (
        f", such as {json.dumps(example, ensure_ascii=False)}"
        if (example is not None and section_of(field) is None)
        else ""
    )
    return f"is required: {kind}{such}"


def _choice(choices: tuple[object, ...], value: object, found: str) -> str:
    words = [str(choice).lower() if isinstance(choice, bool) else str(choice) for choice in choices]
    close = nearest(value, words) if isinstance(value, str) else None
    hint = f"; did you mean {close}?" if close else ""
    return f"must be {'one of ' if len(words) > 1 else ''}{', '.join(words)}; found {found}{hint}"


def _pattern(field: FieldInfo | None, context: dict[str, Any]) -> str:
    if field is not None and kind_of(field) == "slug":
        return "1 to 63 of a-z, 0-9 and -, not starting with -"
    kind = kind_of(field) if field is not None else "text"
    return "text that is not empty" if kind == "text" or "pattern" not in context else f"a {kind}"


def _found(layers: Layers, key: Key, field: FieldInfo | None, value: object) -> str:
    hidden = field is None or is_secret(field) or section_of(field) is not None
    if hidden or isinstance(value, dict | list | tuple):
        return shape(value)
    if isinstance(value, bool) and key in layers.document.written:
        word = layers.document.written[key]
        literal = str(value).lower()
        return f"the boolean {literal}" + (f" (written {word})" if word != literal else "")
    return shown(value)


def shape(value: object) -> str:
    """Return what a value is, without the value."""
    if value is None:
        return "nothing"
    if isinstance(value, list | tuple) and not value:
        return "an empty list"
    for types, words in (
        ((bool,), "a boolean"),
        ((int, float), "a number"),
        ((str,), "a text"),
        ((dict,), "a group of keys"),
        ((list, tuple), "a list"),
    ):
        if isinstance(value, types):
            return words
    return "something else"


def shown(value: object) -> str:
    """Return a single value for a message, cut."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {value}"
    return f'"{cut(masked_url(str(value)), LONGEST_VALUE)}"'


def _quote(layers: Layers, key: Key, kind: str, value: object) -> str:
    plain = isinstance(value, bool | int | float) and key in layers.document.written
    if plain and kind in _TEXT_TYPES:
        return "; put it in quotes"
    return ""
