"""An embedded LDAP directory for the demo: ``python -m demo.directory FOLDER LDIF``.

It speaks LDAPS on a free loopback port with a certificate that it makes in FOLDER, and plain LDAP
on a unix socket there. When it is ready it prints one JSON line ``{"url", "certificate",
"socket"}``; it ends when its standard input does, so that it never outlives the demo.

The wire format and the event loop are ldaptor's and Twisted's; entries and their rules are in
``demo.tree``. Whoever may bind may read; only ``cn=admin`` writes.
"""

from __future__ import annotations

import json
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ldaptor.protocols import pureber, pureldap
from ldaptor.protocols.ldap import ldaperrors, ldapserver
from twisted.internet import reactor as installed_reactor
from twisted.internet import ssl, stdio
from twisted.internet.protocol import Factory, Protocol

from demo.certificate import make_certificate
from demo.tree import (
    DN_SYNTAX,
    NO_SUCH_OBJECT,
    OPERATIONAL,
    Node,
    Refused,
    Tree,
    Values,
    comparable,
    read_ldif,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# A module that Twisted replaces by an object, which type checkers cannot see.
reactor: Any = installed_reactor

PAGED_RESULTS = b"1.2.840.113556.1.4.319"
SIZE_LIMIT = 500

SIZE_LIMIT_EXCEEDED = 4
UNAVAILABLE_CRITICAL_EXTENSION = 12
INVALID_CREDENTIALS = 49
INSUFFICIENT_ACCESS_RIGHTS = 50
UNWILLING_TO_PERFORM = 53

RESPONSES = {
    pureldap.LDAPSearchRequest: pureldap.LDAPSearchResultDone,
    pureldap.LDAPAddRequest: pureldap.LDAPAddResponse,
    pureldap.LDAPModifyRequest: pureldap.LDAPModifyResponse,
    pureldap.LDAPModifyDNRequest: pureldap.LDAPModifyDNResponse,
    pureldap.LDAPDelRequest: pureldap.LDAPDelResponse,
    pureldap.LDAPBindRequest: pureldap.LDAPBindResponse,
}


def now() -> str:
    """Return the time as GeneralizedTime."""
    return datetime.now(UTC).strftime("%Y%m%d%H%M%SZ")


def matches(condition: Any, node: Node, groups_of: Callable[[Node], Values]) -> bool:
    """Tell whether a decoded filter (RFC 4511 section 4.5.1.7) matches an entry."""
    if isinstance(condition, pureldap.LDAPFilter_and):
        return all(matches(part, node, groups_of) for part in condition)
    if isinstance(condition, pureldap.LDAPFilter_or):
        return any(matches(part, node, groups_of) for part in condition)
    if isinstance(condition, pureldap.LDAPFilter_not):
        return not matches(condition.value, node, groups_of)
    name, test = _assertion(condition)
    values = groups_of(node) if name == "memberof" else node.values(name)
    return any(test(comparable(name, value)) for value in values)


def _assertion(condition: Any) -> tuple[str, Callable[[Any], bool]]:
    """Return the attribute that a filter item is about, in lower case, and the test of a value."""
    if isinstance(condition, pureldap.LDAPFilter_present):
        return condition.value.decode().lower(), lambda _: True
    if isinstance(condition, pureldap.LDAPFilter_substrings):
        name = condition.type.decode().lower()
        return name, lambda value: _has_parts(str(value), condition.substrings, name)
    if not isinstance(condition, pureldap.LDAPAttributeValueAssertion):
        # An extensible match: undefined, as for any rule that a server does not know.
        return "", lambda _: False
    name = condition.attributeDesc.value.decode().lower()
    wanted = comparable(name, condition.assertionValue.value)
    if isinstance(condition, pureldap.LDAPFilter_greaterOrEqual):
        return name, lambda value: value >= wanted
    if isinstance(condition, pureldap.LDAPFilter_lessOrEqual):
        return name, lambda value: value <= wanted
    return name, lambda value: value == wanted


def _has_parts(value: str, parts: list[Any], name: str) -> bool:
    if name in DN_SYNTAX:
        # There is no substring match for DNs.
        return False
    position = 0
    for part in parts:
        text = part.value.decode("utf-8", "replace").casefold()
        if isinstance(part, pureldap.LDAPFilter_substrings_final):
            return value.endswith(text) and len(value) - len(text) >= position
        found = value.find(text, position)
        if found < 0 or (isinstance(part, pureldap.LDAPFilter_substrings_initial) and found):
            return False
        position = found + len(text)
    return True


class Session(ldapserver.BaseLDAPServer):
    """One client's connection."""

    def __init__(self, tree: Tree) -> None:
        super().__init__()
        self._tree = tree
        self._bound: str | None = None
        # Paged results: what is left to send under which cookie.
        self._left: dict[bytes, list[Node]] = {}

    def handle(self, message: Any) -> None:
        """Answer one request; a refusal is its result code."""
        request = message.value
        if isinstance(request, pureldap.LDAPUnbindRequest):
            self.transport.loseConnection()
            return
        if isinstance(request, pureldap.LDAPAbandonRequest):
            # Searches are answered whole before the next request is read: nothing is left to stop.
            return
        response = RESPONSES.get(type(request))
        if response is None:
            super().handle(message)
            return
        page = None
        try:
            page = self._page_asked(message.controls)
            if isinstance(request, pureldap.LDAPSearchRequest):
                self._search(message.id, request, page)
                return
            self._write(request)
        except Refused as refused:
            self._done(message.id, response, refused.code, str(refused))
        else:
            self._done(message.id, response, 0)

    def _done(
        self,
        message_id: int,
        response: Any,
        code: int,
        text: str = "",
        cookie: bytes | None = None,
    ) -> None:
        operation = response(resultCode=code, errorMessage=text.encode())
        controls = None
        if cookie is not None:
            parts = [pureber.BERInteger(0), pureber.BEROctetString(cookie)]
            controls = [(PAGED_RESULTS, False, pureber.BERSequence(parts).toWire())]
        reply = pureldap.LDAPMessage(operation, controls=controls, id=message_id)
        self.transport.write(reply.toWire())

    def _page_asked(self, controls: list[tuple[bytes, Any, bytes]] | None) -> Any:
        """Return (size, cookie) of a paged results control; refuse unknown critical ones."""
        page = None
        for oid, critical, value in controls or []:
            if oid == PAGED_RESULTS:
                size, cookie = pureber.berDecodeObject(pureber.BERDecoderContext(), value)[0]
                page = (size.value, cookie.value)
            elif critical:
                raise Refused(UNAVAILABLE_CRITICAL_EXTENSION, f"unknown control {oid.decode()}")
        return page

    def _write(self, request: Any) -> None:
        if isinstance(request, pureldap.LDAPBindRequest):
            self._bind(request)
            return
        if self._bound != f"cn=admin,{self._tree.suffix}":
            raise Refused(INSUFFICIENT_ACCESS_RIGHTS, "only cn=admin may write")
        if isinstance(request, pureldap.LDAPAddRequest):
            attributes = {
                name.value.decode(): [value.value for value in values]
                for name, values in request.attributes
            }
            self._tree.add(request.entry.decode(), attributes)
        elif isinstance(request, pureldap.LDAPModifyRequest):
            changes = [
                (operation.value, name.value.decode(), [value.value for value in values])
                for operation, (name, values) in request.modification
            ]
            self._tree.modify(request.object.decode(), changes)
        elif isinstance(request, pureldap.LDAPModifyDNRequest):
            self._tree.rename(
                request.entry.decode(),
                request.newrdn.decode(),
                delete_old=bool(request.deleteoldrdn),
                superior=request.newSuperior.decode() if request.newSuperior else None,
            )
        else:
            self._tree.delete(request.value.decode())

    def _bind(self, request: Any) -> None:
        self._bound = None
        if request.sasl or request.version != 3:
            raise Refused(ldaperrors.LDAPAuthMethodNotSupported.resultCode, "simple binds only")
        if not request.dn:
            return
        if not request.auth:
            raise Refused(UNWILLING_TO_PERFORM, "a name without a password is no bind")
        node = self._tree.get(request.dn.decode())
        if node is None or request.auth not in node.values("userPassword"):
            raise Refused(INVALID_CREDENTIALS, "")
        self._bound = node.dn

    def _search(self, message_id: int, request: Any, page: tuple[int, bytes] | None) -> None:
        base = request.baseObject.decode()
        if not base and request.scope == 0:
            self._send(message_id, "", self._root_dse(), request.attributes)
            self._done(message_id, pureldap.LDAPSearchResultDone, 0)
            return
        if self._bound is None:
            raise Refused(INSUFFICIENT_ACCESS_RIGHTS, "bind first")
        if page is not None and page[1]:
            if page[1] not in self._left:
                raise Refused(UNWILLING_TO_PERFORM, "unknown cookie")
            found = self._left.pop(page[1])
        else:
            found = list(self._found(base, request))
        size = page[0] if page else min(request.sizeLimit or SIZE_LIMIT, SIZE_LIMIT)
        for node in found[:size]:
            self._send(message_id, node.dn, self._attributes(node), request.attributes)
        left = found[size:]
        if page is None:
            code = SIZE_LIMIT_EXCEEDED if left else 0
            self._done(message_id, pureldap.LDAPSearchResultDone, code)
            return
        cookie = b""
        if left and size:
            cookie = secrets.token_bytes(8)
            self._left[cookie] = left
        self._done(message_id, pureldap.LDAPSearchResultDone, 0, cookie=cookie)

    def _found(self, base: str, request: Any) -> Iterator[Node]:
        if not base:
            raise Refused(NO_SUCH_OBJECT, "the naming context is in the root DSE")
        for node in self._tree.below(base, request.scope):
            if matches(request.filter, node, self._tree.groups_of):
                yield node

    def _attributes(self, node: Node) -> list[tuple[str, Values]]:
        found = [pair for name, pair in node.attributes.items() if name != "userpassword"]
        return [*found, ("memberOf", self._tree.groups_of(node))]

    def _send(
        self, message_id: int, dn: str, attributes: list[tuple[str, Values]], asked: list[bytes]
    ) -> None:
        wanted = {name.decode().lower() for name in asked}
        every_user_attribute = not wanted or "*" in wanted
        selected = [
            (name.encode(), values)
            for name, values in attributes
            if values
            and (
                name.lower() in wanted
                or ("+" in wanted if name.lower() in OPERATIONAL else every_user_attribute)
            )
        ]
        entry = pureldap.LDAPSearchResultEntry(objectName=dn.encode(), attributes=selected)
        self.transport.write(pureldap.LDAPMessage(entry, id=message_id).toWire())

    def _root_dse(self) -> list[tuple[str, Values]]:
        return [
            ("objectClass", [b"top"]),
            ("namingContexts", [self._tree.suffix.encode()]),
            ("supportedControl", [PAGED_RESULTS]),
            ("supportedLDAPVersion", [b"3"]),
            ("vendorName", [b"syncd demo directory"]),
        ]


class Directory(Factory):
    """Makes a session for each client."""

    noisy = False

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def buildProtocol(self, _address: object) -> Session:  # noqa: N802 - Twisted's name
        """Return the session of a new connection."""
        return Session(self._tree)


class UntilInputEnds(Protocol):
    """Ends the process when whoever started it is gone."""

    def connectionLost(self, _reason: object = None) -> None:  # noqa: N802 - Twisted's name
        """Stop: standard input is closed."""
        reactor.stop()


def load(ldif: Path) -> Tree:
    """Return the tree that an LDIF file describes; its first entry is the suffix."""
    entries = list(read_ldif(ldif.read_text(encoding="utf-8")))
    tree = Tree(entries[0][0], now)
    for dn, attributes in entries:
        tree.load(dn, attributes)
    return tree


def serve(folder: Path, ldif: Path) -> None:
    """Serve the LDIF's entries until standard input ends."""
    tree = load(ldif)
    certificate, key = make_certificate(folder)
    context = ssl.DefaultOpenSSLContextFactory(str(key), str(certificate))
    listening = reactor.listenSSL(0, Directory(tree), context, interface="127.0.0.1")
    socket = folder / "directory.socket"
    reactor.listenUNIX(str(socket), Directory(tree), mode=0o600)
    ready = {
        "url": f"ldaps://127.0.0.1:{listening.getHost().port}",
        "certificate": str(certificate),
        "socket": f"ldapi://{quote(str(socket), safe='')}",
    }
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    stdio.StandardIO(UntilInputEnds())
    reactor.run()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
