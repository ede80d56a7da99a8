"""Owns walking through the models: which keys there are, of which kind, where secrets may stand."""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Secret, SecretStr
from pydantic.fields import FieldInfo

from syncd.settings.document import Key
from syncd.settings.values import Kind

FILE_SUFFIX = "_file"


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a model by the key that stands for each in YAML."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def parts_of(annotation: object) -> Iterator[object]:
    """Yield an annotation's types, without ``Annotated``, ``None`` and unions around them."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from parts_of(get_args(annotation)[0])
    elif origin in {Union, UnionType}:
        for argument in get_args(annotation):
            yield from parts_of(argument)
    elif annotation not in {None, NoneType}:
        yield annotation


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model of a field that is one group of keys."""
    models = [part for part in parts_of(field.annotation) if is_model(part)]
    return models[0] if len(models) == 1 else None  # type: ignore[return-value]


def elements_of(field: FieldInfo) -> tuple[type[BaseModel], ...]:
    """Return the models of a list of groups (the mappers); empty for any other field."""
    for part in parts_of(field.annotation):
        if get_origin(part) is tuple:
            return tuple(p for p in parts_of(get_args(part)[0]) if is_model(p))  # type: ignore[misc]
    return ()


def is_model(part: object) -> bool:
    """Tell whether a type is a group of keys."""
    return isinstance(part, type) and issubclass(part, BaseModel)


def is_secret(field: FieldInfo) -> bool:
    """Tell whether a field's value must never be shown."""
    return any(
        isinstance(part, type) and issubclass(part, SecretStr | Secret)
        for part in parts_of(field.annotation)
    )


def is_structured(field: FieldInfo) -> bool:
    """Tell whether a field holds a mapping or a list of groups, not one value."""
    return (
        section_of(field) is not None
        or bool(elements_of(field))
        or any(get_origin(part) is dict for part in parts_of(field.annotation))
    )


def is_nullable(field: FieldInfo) -> bool:
    """Tell whether ``null`` is a value of the field."""
    annotation = field.annotation
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return get_origin(annotation) in {Union, UnionType} and NoneType in get_args(annotation)


def choices_of(field: FieldInfo) -> tuple[str, ...]:
    """Return the words that a field allows; empty when it is not a choice."""
    for part in parts_of(field.annotation):
        if get_origin(part) is Literal:
            return get_args(part)
    return ()


def kind_of(field: FieldInfo) -> str:
    """Return what a field's value is, in words."""
    if choices_of(field):
        return "one of " + ", ".join(choices_of(field))
    kinds = [
        each.words
        for each in (*_metadata(field.annotation), *field.metadata)
        if isinstance(each, Kind)
    ]
    if kinds:
        return kinds[-1]
    if elements_of(field):
        return "list"
    return "mapping" if is_structured(field) else "text"


def item_choices_of(field: FieldInfo) -> tuple[str, ...]:
    """Return the words that a field's items allow."""
    for part in parts_of(field.annotation):
        if get_origin(part) is tuple and get_origin(get_args(part)[0]) is Literal:
            return get_args(get_args(part)[0])
    return ()


def _metadata(annotation: object) -> Iterator[object]:
    # Innermost first, so that the last one is the most special.
    for argument in get_args(annotation) if get_origin(annotation) is not Literal else ():
        yield from _metadata(argument)
    if get_origin(annotation) is Annotated:
        yield from annotation.__metadata__  # type: ignore[attr-defined]


def walk(model: type[BaseModel], above: Key = ()) -> Iterator[tuple[Key, FieldInfo]]:
    """Yield each key of a model and of the groups in it."""
    for name, field in fields_of(model).items():
        yield (*above, name), field
        section = section_of(field)
        if section is not None:
            yield from walk(section, (*above, name))


def field_at(model: type[BaseModel], key: Key) -> FieldInfo | None:
    """Return the field that a key stands for; None for an unknown one and inside of lists."""
    section: type[BaseModel] | None = model
    field: FieldInfo | None = None
    for part in key:
        if section is None or not isinstance(part, str):
            return None
        field = fields_of(section).get(part)
        section = section_of(field) if field is not None else None
    return field


def listed_secrets_of(model: type[BaseModel]) -> Iterator[tuple[Key, str, str]]:
    """Yield such keys in lists of groups: the list's, what names a group, and the secret's."""
    for key, field in walk(model):
        elements = elements_of(field)
        if len(elements) == 1:
            identifier = next(iter(fields_of(elements[0])))
            for inner, _ in secrets_of(elements[0]):
                yield key, identifier, str(inner[-1])


def secrets_of(model: type[BaseModel]) -> Iterator[tuple[Key, FieldInfo]]:
    """Yield the keys whose value may also come from a file or a credentials directory."""
    known = dict(walk(model))
    for key, field in known.items():
        if is_secret(field) and (*key[:-1], f"{key[-1]}{FILE_SUFFIX}") in known:
            yield key, field
