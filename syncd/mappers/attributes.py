"""``user-attribute``: one directory attribute to one property or attribute of a person."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, NamedTuple

from syncd.errors import MappingError
from syncd.mappers.options import property_of
from syncd.mappers.reasons import Reason
from syncd.mappers.values import TEXT_LIMIT, is_address, text_reader, value_chooser, whole_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncd.mappers.codec import Codec
    from syncd.mappers.options import UserAttributeOptions
    from syncd.records import Entry


class Source(NamedTuple):
    """Where one property of a person may come from; None is "this mapper has nothing"."""

    mapper: str
    # Null for a value that stands in the configuration.
    attribute: str | None
    read: Callable[[Entry], str | None]


class ManySource(NamedTuple):
    """Where one attribute of a person may come from: sorted values without repetition."""

    mapper: str
    attribute: str | None
    read: Callable[[Entry], list[str] | None]


def is_single(options: UserAttributeOptions) -> bool:
    """Tell whether the target holds one value."""
    return not options.multivalued if options.multivalued is not None else is_property(options)


def is_property(options: UserAttributeOptions) -> bool:
    """Tell whether the target is a property rather than a plain attribute."""
    return property_of(options.user_attribute) is not None


def compile_property(options: UserAttributeOptions, codec: Codec) -> Source:
    """Return the source of a property: one text."""
    name, attribute = options.ldap_attribute.lower(), options.ldap_attribute
    read_text = text_reader(codec, attribute)
    choose = value_chooser(codec, attribute)
    accept = is_address if property_of(options.user_attribute) == "email" else None
    missing = when_missing(options)

    def read(entry: Entry) -> str | None:
        values = entry.attributes.get(name)
        # Present but empty: a server that sends the values as ranges.
        if values is not None and not values:
            values = whole_values(entry, attribute)
        if not values:
            return missing()
        if len(values) == 1:
            text = read_text(values[0])
            if text and (accept is None or accept(text)):
                return text
            return missing()
        texts = [text for text in map(read_text, values) if text]
        if accept is not None:
            texts = [text for text in texts if accept(text)]
        return choose(entry, texts) if texts else missing()

    return Source(options.name, attribute, read)


def compile_attribute(options: UserAttributeOptions, codec: Codec) -> ManySource:
    """Return the source of a plain attribute: every value, or one."""
    name, attribute = options.ldap_attribute.lower(), options.ldap_attribute
    read_value = _base64_reader(attribute) if options.binary else text_reader(codec, attribute)
    choose = value_chooser(codec, attribute) if is_single(options) else None
    missing = when_missing(options)
    # A server may return a binary attribute with the transfer option, asked for or not.
    other_name = f"{name};binary" if options.binary else None

    def read(entry: Entry) -> list[str] | None:
        values = entry.attributes.get(name)
        if values is not None and not values:
            values = whole_values(entry, attribute)
        if not values and other_name is not None:
            values = entry.attributes.get(other_name)
        if values and len(values) == 1:
            text = read_value(values[0])
            if text:
                return [text]
        texts = sorted({text for text in map(read_value, values) if text}) if values else []
        if not texts:
            default = missing()
            return None if default is None else [default]
        if choose is not None and len(texts) > 1:
            return [choose(entry, texts)]
        return texts

    return ManySource(options.name, attribute, read)


def when_missing(options: UserAttributeOptions) -> Callable[[], str | None]:
    """Return what happens without a value: the default, nothing, or quarantine."""
    default = options.default_value
    if default is not None or not options.mandatory:
        return lambda: default
    attribute, name = options.ldap_attribute, options.name

    def refuse() -> str | None:
        raise MappingError(
            Reason.MISSING_MANDATORY,
            f"{attribute} has no usable value, and the mapper {name!r} says that it is mandatory",
            attribute,
        )

    return refuse


def _base64_reader(attribute: str) -> Callable[[bytes], str]:
    def read(value: bytes) -> str:
        text = b64encode(value).decode("ascii")
        if len(text) > TEXT_LIMIT:
            raise MappingError(
                Reason.TOO_LONG,
                f"{attribute} has {len(value)} bytes, which is more than"
                f" {TEXT_LIMIT} characters of Base64; do not map large binary values",
                attribute,
            )
        return text

    return read
