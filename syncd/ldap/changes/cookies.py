"""OpenLDAP's cookies: how far each server's changes have been seen.

A cookie is ``rid=000,csn=CSN;CSN``, one change sequence number for each server that ever wrote
(draft-chu-ldap-csn). The numbers of one server are ordered, those of two are not: the older number
of a lagging server may arrive later. So they are compared by server id and never as a whole.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from syncd.errors import ChangesUnavailable, DecodeError, cut
from syncd.ldap.clock import OVERLAP, minutes
from syncd.ldap.decode import decode_generalized_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

CSN: Final = re.compile(
    r"[0-9]{14}\.[0-9]{6}Z#[0-9a-f]{6}#(?P<server>[0-9a-f]{3})#[0-9a-f]{6}", re.IGNORECASE
)
# rid and sid say who consumes. We are no replica: of the rid nothing follows, and a sid would be
# the provider's own, from which some versions conclude that we made its changes.
RID: Final = "rid=000"

# Change sequence numbers by the id of the server that gave them.
Position = dict[str, str]


def position(values: Iterable[str]) -> Position:
    """Return the values of contextCSN by server id; ValueError when one cannot be read."""
    found: Position = {}
    for value in values:
        csn = CSN.fullmatch(value)
        if csn is None or _time(value) is None:
            raise ValueError(f"{cut(value)!r} is no change sequence number")
        server = csn["server"].lower()
        found[server] = max(found.get(server, ""), value)
    return found


def parse(cookie: str) -> Position:
    """Return what a cookie says; ValueError when it is none of OpenLDAP's."""
    for field in cookie.split(","):
        name, _, value = field.partition("=")
        if name == "csn":
            return position(value.split(";"))
    raise ValueError(f"{cut(cookie)!r} names no change sequence number")


def compose(known: Mapping[str, str]) -> str:
    """Return the cookie that stands for a position, always in the same order."""
    return f"{RID},csn=" + ";".join(csn for _, csn in sorted(known.items()))


def resumed(stored: Position, current: Position) -> Position:
    """Return where to go on, given what was stored and how far the directory is now.

    A directory that lags a little, such as another replica, is asked from where it is itself: a
    cookie ahead of its own would be answered with everybody.

    Raises:
        ChangesUnavailable: It is behind by more than a lag, or the cookie says nothing of one of
            its servers.

    """
    position_now: Position = {}
    for server, csn in stored.items():
        now = current.get(server)
        if now is None or _behind(csn, now) > OVERLAP:
            raise ChangesUnavailable(
                "clock_backwards",
                f"the directory knows changes of the server {server} up to {now or 'none'}, but "
                f"was read up to {csn} before; it was rebuilt or restored, or lags by more than "
                f"{minutes(OVERLAP)} minutes",
            )
        position_now[server] = min(csn, now)
    unknown = sorted(current.keys() - stored.keys())
    if unknown:
        raise ChangesUnavailable(
            "history_gap",
            f"the server {', '.join(unknown)} has written for the first time, and what it wrote "
            "cannot be told from the rest",
        )
    return position_now


def _behind(stored: str, now: str) -> timedelta:
    then, since = _time(now), _time(stored)
    # Two numbers of one second differ behind the time.
    return since - then if now < stored and then and since else timedelta(0)


def _time(csn: str) -> datetime | None:
    try:
        return decode_generalized_time(csn.partition("#")[0].encode())
    except DecodeError:
        return None
