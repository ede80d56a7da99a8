"""What a directory says of its own time, and where its clock and its change numbers stand.

Times come from the directory and never from this machine, whose clock is another.
"""

from __future__ import annotations

import re
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final

from syncd.errors import DecodeError, SearchRejected
from syncd.ldap import dn
from syncd.ldap.decode import decode_generalized_time
from syncd.ldap.search import SearchRequest
from syncd.ldap.vendors import vendor_of
from syncd.records import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from syncd.ldap.connection import Connection
    from syncd.records import Entry

EVERYTHING: Final = "(objectClass=*)"
# A change sequence number starts with the directory's time: 20260131120000.123456Z#…
CSN_TIME: Final = re.compile(rb"[0-9]{14}(?:\.[0-9]+)?Z")
GENERALIZED_TIME: Final = "%Y%m%d%H%M%SZ"
# How far behind the watermark changes are looked for again. It has to cover the replicas' lag, the
# difference between their clocks, and the longest write, which bears the time of its beginning.
# Five to ten minutes do in practice; asking again for what is known costs next to nothing.
OVERLAP: Final = timedelta(minutes=10)


def minutes(span: timedelta) -> int:
    """Return whole minutes, for sentences."""
    return int(span.total_seconds() // 60)


def read_time(connection: Connection, root_dse: Entry, base_dns: Sequence[str]) -> str:
    """Return the directory's own time as GeneralizedTime in whole seconds of UTC.

    ``currentTime`` of the root DSE or of the product's own entry, else the newest ``contextCSN`` of
    the bases' naming contexts (syncprov), else empty.
    """
    stamps = root_dse.values("currentTime") or _told_elsewhere(connection, root_dse)
    if not stamps:
        numbers = [
            csn
            for context in contexts(root_dse, base_dns)
            for csn in read_context_csn(connection, context)
        ]
        stamps = [found[0] for csn in numbers if (found := CSN_TIME.match(csn))]
    try:
        newest = max(decode_generalized_time(stamp) for stamp in stamps)
    except (ValueError, DecodeError):
        return ""
    return newest.astimezone(UTC).strftime(GENERALIZED_TIME)


def _told_elsewhere(connection: Connection, root_dse: Entry) -> list[bytes]:
    name = vendor_of(root_dse).clock_entry
    entry = read_entry(connection, name, ("currentTime",)) if name else None
    return entry.values("currentTime") if entry else []


def read_context_csn(connection: Connection, context: str) -> list[bytes]:
    """Return the change sequence numbers of a naming context; none where they cannot be read."""
    entry = read_entry(connection, context, ("contextCSN",))
    return entry.values("contextCSN") if entry else []


def contexts(root_dse: Entry, base_dns: Iterable[str]) -> list[str]:
    """Return the naming contexts that hold these bases, each once."""
    return sorted({naming_context(root_dse, base_dn) for base_dn in base_dns})


def naming_context(root_dse: Entry, base_dn: str) -> str:
    """Return the naming context that holds a base; the base itself when the server names none."""
    names = [value.decode("utf-8", "replace") for value in root_dse.values("namingContexts")]
    wanted = dn.normalize(base_dn)
    around = [
        name
        for name in names
        if name and (dn.normalize(name) == wanted or dn.is_below(base_dn, name))
    ]
    return max(around, key=len, default=base_dn)


def read_entry(connection: Connection, name: str, attributes: tuple[str, ...]) -> Entry | None:
    """Return an entry if the account may read it."""
    request = SearchRequest(
        base_dn=name,
        scope=Scope.BASE,
        filter=EVERYTHING,
        attributes=attributes,
        page_size=None,
    )
    try:
        entries = connection.search(request)
    except SearchRejected:
        return None
    return entries[0] if entries else None
