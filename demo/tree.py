"""The embedded directory's entries and the rules by which they change. No network here.

A small part of what a directory does, done right: names compare as RFC 4514 says, letter case of
attribute names and most values does not matter, operational attributes are kept, ``memberOf`` is
the mirror of ``member``, and references follow an entry that is renamed or removed.
"""

from __future__ import annotations

import base64
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from syncd.ldap import dn as names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NO_SUCH_ATTRIBUTE = 16
CONSTRAINT_VIOLATION = 19
ATTRIBUTE_OR_VALUE_EXISTS = 20
NO_SUCH_OBJECT = 32
INVALID_DN_SYNTAX = 34
NOT_ALLOWED_ON_NON_LEAF = 66
ENTRY_ALREADY_EXISTS = 68

OPERATIONAL = {
    "createtimestamp": "createTimestamp",
    "entrydn": "entryDN",
    "entryuuid": "entryUUID",
    "memberof": "memberOf",
    "modifytimestamp": "modifyTimestamp",
}
DN_SYNTAX = frozenset({"entrydn", "manager", "member", "memberof", "owner", "seealso"})
# Case matters in these; everywhere else it does not.
EXACT = frozenset({"jpegphoto", "userpassword"})
REFERENCES = ("manager", "member", "owner")

Values = list[bytes]


class Refused(Exception):
    """An operation ends with this LDAP result code."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass(slots=True)
class Node:
    """One entry; ``attributes`` maps the name in lower case to its spelling and its values."""

    dn: str
    attributes: dict[str, tuple[str, Values]] = field(default_factory=dict)

    def values(self, name: str) -> Values:
        """Return the values of an attribute; empty when it is absent."""
        return self.attributes.get(name.lower(), ("", []))[1]

    def put(self, name: str, values: Values) -> None:
        """Set an attribute's values; none removes it."""
        spelling = self.attributes.get(name.lower(), (name, []))[0]
        if values:
            self.attributes[name.lower()] = (spelling, values)
        else:
            self.attributes.pop(name.lower(), None)


def normalize(dn: str) -> str:
    """Return the text by which two spellings of a DN are the same."""
    try:
        return names.normalize(dn)
    except ValueError as error:
        raise Refused(INVALID_DN_SYNTAX, str(error)) from error


def comparable(attribute: str, value: bytes) -> str | bytes:
    """Return what stands for a value when two values of ``attribute`` are compared."""
    attribute = attribute.lower()
    if attribute in EXACT:
        return value
    text = value.decode("utf-8", "replace")
    if attribute in DN_SYNTAX:
        try:
            return names.normalize(text)
        except ValueError:
            return text
    return " ".join(text.casefold().split())


class Tree:
    """All entries below one suffix."""

    def __init__(self, suffix: str, now: Callable[[], str]) -> None:
        self.suffix = suffix
        self._now = now
        self._nodes: dict[str, Node] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, dn: str) -> Node | None:
        """Return the entry of that name."""
        return self._nodes.get(normalize(dn))

    def below(self, base_dn: str, scope: int) -> Iterator[Node]:
        """Yield the base (scope 0), its children (1) or it and all below it (2)."""
        base = self._existing(base_dn)
        key = normalize(base.dn)
        for other, node in list(self._nodes.items()):
            if scope == 0:
                wanted = other == key
            elif scope == 1:
                wanted = other != key and normalize(names.parent(node.dn)) == key
            else:
                wanted = other == key or other.endswith(f",{key}")
            if wanted:
                yield node

    def groups_of(self, node: Node) -> Values:
        """Return the DNs of the entries that list ``node`` as a member."""
        key = normalize(node.dn)
        return [
            other.dn.encode()
            for other in self._nodes.values()
            if any(comparable("member", value) == key for value in other.values("member"))
        ]

    def load(self, dn: str, attributes: dict[str, Values]) -> None:
        """Add an entry whose id follows from its name, so that each demo shows the same ids."""
        self.add(dn, attributes, entry_uuid=uuid.uuid5(uuid.NAMESPACE_X500, normalize(dn)))

    def add(
        self, dn: str, attributes: dict[str, Values], *, entry_uuid: uuid.UUID | None = None
    ) -> None:
        """Add an entry below an existing one."""
        key = normalize(dn)
        if key in self._nodes:
            raise Refused(ENTRY_ALREADY_EXISTS, dn)
        if key != normalize(self.suffix):
            self._existing(names.parent(dn))
        node = Node(dn)
        for name, values in attributes.items():
            if name.lower() in OPERATIONAL:
                raise Refused(CONSTRAINT_VIOLATION, f"{name} is kept by the server")
            node.put(name, values)
        attribute, value = names.rdn_value(dn)
        _include(node, attribute, value.encode())
        node.put("entryUUID", [str(entry_uuid or uuid.uuid4()).encode()])
        node.put("createTimestamp", [self._now().encode()])
        self._nodes[key] = node
        self._touch(node)

    def delete(self, dn: str) -> None:
        """Remove an entry without children, and whatever refers to it."""
        key = normalize(self._leaf(dn).dn)
        del self._nodes[key]
        self._follow({key: None})

    def modify(self, dn: str, changes: list[tuple[int, str, Values]]) -> None:
        """Apply add (0), delete (1) and replace (2) changes: all of them or none."""
        node = self._existing(dn)
        changed = Node(node.dn, dict(node.attributes))
        for operation, name, values in changes:
            if name.lower() in OPERATIONAL:
                raise Refused(CONSTRAINT_VIOLATION, f"{name} is kept by the server")
            changed.put(name, _changed(changed, operation, name, values))
        node.attributes = changed.attributes
        self._touch(node)

    def rename(self, dn: str, new_rdn: str, *, delete_old: bool, superior: str | None) -> None:
        """Give an entry without children another name or place (modrdn)."""
        node = self._leaf(dn)
        parent = names.parent(node.dn) if superior is None else self._existing(superior).dn
        new_dn = f"{new_rdn},{parent}"
        old_key, new_key = normalize(node.dn), normalize(new_dn)
        if new_key != old_key and new_key in self._nodes:
            raise Refused(ENTRY_ALREADY_EXISTS, new_dn)
        old_attribute, old_value = names.rdn_value(node.dn)
        if delete_old:
            held = comparable(old_attribute, old_value.encode())
            kept = [v for v in node.values(old_attribute) if comparable(old_attribute, v) != held]
            node.put(old_attribute, kept)
        attribute, value = names.rdn_value(new_dn)
        _include(node, attribute, value.encode())
        node.dn = new_dn
        self._nodes[new_key] = self._nodes.pop(old_key)
        self._touch(node)
        self._follow({old_key: new_dn})

    def _existing(self, dn: str) -> Node:
        node = self.get(dn)
        if node is None:
            raise Refused(NO_SUCH_OBJECT, f"there is no entry {dn}")
        return node

    def _leaf(self, dn: str) -> Node:
        node = self._existing(dn)
        if any(other.endswith(f",{normalize(node.dn)}") for other in self._nodes):
            raise Refused(NOT_ALLOWED_ON_NON_LEAF, f"{dn} has entries below it")
        return node

    def _touch(self, node: Node) -> None:
        node.put("entryDN", [node.dn.encode()])
        node.put("modifyTimestamp", [self._now().encode()])

    def _follow(self, moved: dict[str, str | None]) -> None:
        """Let references follow entries to their new names; None is a removed entry."""
        for node in self._nodes.values():
            for name in REFERENCES:
                values = node.values(name)
                followed = []
                for value in values:
                    target = moved.get(str(comparable(name, value)), value.decode())
                    if target is not None:
                        followed.append(target.encode())
                if followed != values:
                    node.put(name, followed)
                    self._touch(node)


def _include(node: Node, attribute: str, value: bytes) -> None:
    held = node.values(attribute)
    if comparable(attribute, value) not in [comparable(attribute, other) for other in held]:
        node.put(attribute, [*held, value])


def _changed(node: Node, operation: int, name: str, values: Values) -> Values:
    held = node.values(name)
    if operation == 2:
        return values
    present = {comparable(name, value) for value in held}
    named = {comparable(name, value) for value in values}
    if operation == 0:
        if present & named:
            raise Refused(ATTRIBUTE_OR_VALUE_EXISTS, f"{name} has one of these values already")
        return [*held, *values]
    if not held or named - present:
        raise Refused(NO_SUCH_ATTRIBUTE, f"{name} has no such value")
    return [value for value in held if values and comparable(name, value) not in named]


def read_ldif(text: str) -> Iterator[tuple[str, dict[str, Values]]]:
    """Yield the entries of an LDIF text (RFC 2849, without changes and URLs).

    Text beyond ASCII may stand in it as it is, which LDIF proper would write in base64.
    """
    for record in text.replace("\n ", "").split("\n\n"):
        dn = ""
        attributes: dict[str, Values] = {}
        for line in record.splitlines():
            name, colon, value = line.partition(":")
            if not colon or line.startswith("#"):
                continue
            if value.startswith(":"):
                decoded = base64.b64decode(value[1:].strip())
            else:
                decoded = value.strip().encode()
            if name == "dn":
                dn = decoded.decode()
            else:
                attributes.setdefault(name, []).append(decoded)
        if dn:
            yield dn, attributes
