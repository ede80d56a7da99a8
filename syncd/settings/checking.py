"""Owns validation that finds everything at once.

A model says what is wrong with single keys only; contradictions between keys need a whole model.
So after each round what is wrong is noted and taken out (or, where it is required, replaced by the
field's example), and the rest is looked at again. A model made that way is never handed out.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from syncd.settings.conflict import Conflict
from syncd.settings.document import Key
from syncd.settings.fields import field_at, fields_of
from syncd.settings.layers import Layers
from syncd.settings.mappers import MAPPER_MODELS
from syncd.settings.wording import describe

MOST_ROUNDS = 8


class Checked(Protocol):
    """A model that knows its contradictions."""

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what contradicts itself."""
        ...


ModelT = TypeVar("ModelT", bound=BaseModel)


def validate(layers: Layers, model: type[ModelT]) -> ModelT | None:
    """Return the valid model; else None, with all that is wrong in ``layers``."""
    tree = deepcopy(layers.tree)
    context = {"directory": layers.directory}
    found: ModelT | None = None
    for _ in range(MOST_ROUNDS):
        try:
            found = model.model_validate(tree, context=context, by_alias=True)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=True)
        else:
            break
        # All keys first: a repair may take away what the next key stands in.
        keys = [_key_of(tree, detail) for detail in details]
        for key, detail in zip(keys, details, strict=True):
            empty = detail["type"] == "too_short" and any(other[:-1] == key for other in keys)
            if not empty and not layers.is_bad(key):
                layers.blame(key, describe(layers, model, key, detail))
        for key, detail in zip(keys, details, strict=True):
            if key and isinstance(key[-1], int):
                # Its list goes with it; that the list is missing then is nobody's fault.
                layers.document.bad.add(key if key[0] == "mappers" else key[:-1])
            _repair(model, tree, key, missing=detail["type"] == "missing")
    if found is not None:
        _note_conflicts(layers, found)
    return None if layers.faults else found


def _key_of(tree: dict[str, Any], detail: ErrorDetails) -> Key:
    # pydantic puts the names of union members between the keys; only what is in the tree is kept.
    key: list[str | int] = []
    node: Any = tree
    for part in detail["loc"]:
        if _has(node, part):
            key.append(part)
            node = node[part]
    if detail["type"] == "missing" and isinstance(node, dict):
        key.append(detail["loc"][-1])
    return tuple(key)


def _has(node: Any, part: str | int) -> bool:  # noqa: ANN401 - YAML values are anything
    if isinstance(node, dict):
        return part in node
    return isinstance(node, list) and isinstance(part, int) and part < len(node)


def _repair(model: type[BaseModel], tree: dict[str, Any], key: Key, *, missing: bool) -> None:
    for at, part in enumerate(key):
        if isinstance(part, int) and (at, key[0]) != (1, "mappers"):
            # A list of groups goes as a whole: what is left of it may say something else.
            key, missing = key[:at], False
            break
    if not key:
        return
    parent: Any = tree
    for part in key[:-1]:
        try:
            parent = parent[part]
        except (KeyError, IndexError, TypeError):
            return
    last = key[-1]
    if isinstance(parent, list) and isinstance(last, int):
        if key[0] == "mappers" and len(key) == 2:
            parent[last] = {**_example(model, ("mappers",))[0], "name": f"stand-in {last}"}
            parent[last]["user_attribute"] = f"stand-in {last}"
        else:
            _repair(model, tree, key[:-1], missing=False)
        return
    if not isinstance(parent, dict):
        return
    if missing:
        parent[last] = _example(model, key, parent)
    else:
        parent.pop(last, None)


def _example(model: type[BaseModel], key: Key, beside: dict[str, Any] | None = None) -> Any:  # noqa: ANN401
    field = field_at(model, key)
    if field is None and key[0] == "mappers" and beside is not None:
        mapper = MAPPER_MODELS.get(str(beside.get("type")))
        field = fields_of(mapper).get(str(key[-1])) if mapper is not None else None
    examples = field.examples if field is not None else None
    return deepcopy(examples[0]) if examples else None


def _note_conflicts(layers: Layers, settings: BaseModel) -> None:
    checked: Checked = settings  # type: ignore[assignment]
    for conflict in checked.conflicts():
        keys = [_split(key) for key in conflict.keys]
        if any(layers.touches_bad(key) for key in keys):
            continue
        fault = layers.fault(keys[0], conflict.message)
        (layers.warnings if conflict.warning else layers.faults).append(fault)


def _split(key: str) -> Key:
    return tuple(int(part) if part.isdigit() else part for part in key.split("."))
