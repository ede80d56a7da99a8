"""Which mappers fill which field, and what a field takes of several of them.

The last mapper in the list that has a value for a field fills it; one without a value leaves the
field to those before it. A field that no mapper has a value for is empty.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from json.encoder import encode_basestring
from typing import TYPE_CHECKING

from syncd.mappers.attributes import (
    ManySource,
    Source,
    compile_attribute,
    compile_property,
)
from syncd.mappers.full_name import compile_full_name
from syncd.mappers.hardcoded import (
    hardcoded_attribute,
    hardcoded_group,
    hardcoded_membership,
    hardcoded_property,
    hardcoded_role,
)
from syncd.mappers.options import (
    FullNameOptions,
    HardcodedAttributeOptions,
    HardcodedGroupOptions,
    HardcodedRoleOptions,
    UserAttributeOptions,
    property_of,
)
from syncd.mappers.times import compile_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from syncd.mappers.codec import Codec
    from syncd.mappers.options import MapperOptions
    from syncd.records import ContainerRecord, Entry, MemberOf

_TIMES = frozenset({"source_created_at", "source_modified_at"})


@dataclass(slots=True)
class Sources:
    """Every field's sources in the order of the mappers."""

    properties: dict[str, list[Source]] = field(default_factory=dict)
    attributes: dict[str, list[ManySource]] = field(default_factory=dict)
    memberships: list[MemberOf] = field(default_factory=list)
    containers: list[ContainerRecord] = field(default_factory=list)

    def add(self, options: MapperOptions, codec: Codec) -> None:
        """Compile one mapper and add what it fills."""
        match options:
            case UserAttributeOptions():
                self._user_attribute(options, codec)
            case FullNameOptions():
                for name_part, source in compile_full_name(options, codec).items():
                    self.properties.setdefault(name_part, []).append(source)
            case HardcodedAttributeOptions():
                name = options.user_attribute
                if (target := property_of(name)) is not None:
                    self.properties.setdefault(target, []).append(hardcoded_property(options))
                else:
                    self.attributes.setdefault(name, []).append(hardcoded_attribute(options))
            case HardcodedRoleOptions():
                self.memberships.append(hardcoded_membership(options))
                self.containers.append(hardcoded_role(options))
            case HardcodedGroupOptions():
                self.memberships.append(hardcoded_membership(options))
                self.containers.extend(hardcoded_group(options))

    def _user_attribute(self, options: UserAttributeOptions, codec: Codec) -> None:
        target = property_of(options.user_attribute)
        if target is None:
            source = compile_attribute(options, codec)
            self.attributes.setdefault(options.user_attribute, []).append(source)
        elif target in _TIMES:
            self.properties.setdefault(target, []).append(compile_time(options, codec))
        else:
            self.properties.setdefault(target, []).append(compile_property(options, codec))

    def reader(self, target: str) -> Callable[[Entry], str | None]:
        """Return what reads the property ``target`` from an entry."""
        reads = [source.read for source in reversed(self.properties.get(target, ()))]
        if not reads:
            return lambda _: None
        return reads[0] if len(reads) == 1 else _first(reads)

    def attributes_reader(self) -> Callable[[Entry], str]:
        """Return what reads all plain attributes as canonical JSON text."""
        if not self.attributes:
            return lambda _: "{}"
        # In the order of the text: keys are sorted once, here.
        steps = [
            (f"{encode_basestring(name)}:[", _first_many(self.attributes[name]))
            for name in sorted(self.attributes)
        ]

        def read(entry: Entry) -> str:
            text = ""
            for start, read_values in steps:
                values = read_values(entry)
                if values is not None:
                    listed = (
                        encode_basestring(values[0])
                        if len(values) == 1
                        else ",".join(map(encode_basestring, values))
                    )
                    text = f"{text},{start}{listed}]" if text else f"{start}{listed}]"
            return f"{{{text}}}"

        return read


def _first(reads: Sequence[Callable[[Entry], str | None]]) -> Callable[[Entry], str | None]:
    def read(entry: Entry) -> str | None:
        for each in reads:
            value = each(entry)
            if value is not None:
                return value
        return None

    return read


def _first_many(sources: Sequence[ManySource]) -> Callable[[Entry], list[str] | None]:
    reads = [source.read for source in reversed(sources)]
    if len(reads) == 1:
        return reads[0]

    def read(entry: Entry) -> list[str] | None:
        for each in reads:
            values = each(entry)
            if values is not None:
                return values
        return None

    return read
