"""Cookies and standings: where a poll goes on, and when it cannot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import ChangesUnavailable
from syncd.ldap.changes import cookies
from syncd.ldap.changes.standing import Standing


def csn(time: str, server: str = "001", count: int = 0) -> str:
    """Return a change sequence number of 2026-01-31."""
    return f"20260131{time}.000000Z#{count:06x}#{server}#000000"


NOON = csn("120000")
BEFORE = csn("115959")
OTHER = csn("110000", "002")


@pytest.mark.parametrize(
    "cookie",
    [
        f"rid=000,sid=001,csn={OTHER};{NOON}",
        f"rid=000,csn={NOON};{OTHER}",
        f"rid=123,csn={NOON};{OTHER};{BEFORE}",
    ],
)
def test_a_cookie_has_one_form(cookie: str) -> None:
    """Neither the order of the numbers nor who is said to consume is a part of it."""
    assert cookies.compose(cookies.parse(cookie)) == f"rid=000,csn={NOON};{OTHER}"


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        "garbage",
        "rid=000",
        "rid=000,csn=",
        "rid=000,csn=foo",
        f"rid=000,csn={NOON};foo",
        f"rid=000,csn={NOON.replace('20260131', '20261331')}",
        "server#cn=reader:dc=example:(objectClass=*)#1234",
    ],
)
def test_what_is_no_cookie_is_refused(cookie: str) -> None:
    """OpenLDAP answers nonsense with everybody and says that nobody was deleted."""
    with pytest.raises(ValueError, match="change sequence number"):
        cookies.parse(cookie)


@pytest.mark.rule("2.6.11", server="pure")
@pytest.mark.rule("2.6.7", server="pure")
@pytest.mark.parametrize(
    ("stored", "now", "expected"),
    [
        pytest.param([NOON], [NOON], [NOON], id="unchanged"),
        pytest.param([BEFORE], [NOON], [BEFORE], id="later"),
        pytest.param([NOON], [BEFORE], [BEFORE], id="lagging"),
        pytest.param([NOON], [csn("115000")], [csn("115000")], id="lagging by ten minutes"),
        pytest.param(
            [NOON, OTHER], [BEFORE, csn("120001", "002")], [BEFORE, OTHER], id="one ahead, one back"
        ),
        pytest.param([csn("120000", count=2)], [NOON], [NOON], id="lagging within a second"),
    ],
)
def test_each_server_is_compared_with_itself(
    stored: list[str], now: list[str], expected: list[str]
) -> None:
    """A directory that lags a little is asked from where it is itself."""
    found = cookies.resumed(cookies.position(stored), cookies.position(now))
    assert found == cookies.position(expected)


@pytest.mark.rule("2.6.11", server="pure")
@pytest.mark.parametrize(
    ("stored", "now", "reason"),
    [
        pytest.param([NOON], [csn("114959")], "clock_backwards", id="restored"),
        pytest.param([NOON, OTHER], [csn("130000")], "clock_backwards", id="a server is missing"),
        pytest.param(
            [NOON, OTHER],
            [csn("130000"), csn("100000", "002")],
            "clock_backwards",
            id="a newer number of one server does not hide the older one of another",
        ),
        pytest.param([NOON], [NOON, OTHER], "history_gap", id="a new server"),
    ],
)
def test_what_cannot_be_gone_on_from_needs_a_full_sync(
    stored: list[str], now: list[str], reason: str
) -> None:
    """A directory that went backwards, or has a server that the cookie does not know."""
    with pytest.raises(ChangesUnavailable) as raised:
        cookies.resumed(cookies.position(stored), cookies.position(now))
    assert raised.value.reason == reason


TEXT = st.text(min_size=1, max_size=20)


@given(st.dictionaries(TEXT, TEXT, max_size=5), st.frozensets(TEXT, max_size=5))
def test_a_standing_comes_back_from_its_text(known: dict[str, str], empty: frozenset[str]) -> None:
    """Equal standings are equal text, in characters that every database keeps."""
    standing = Standing(known, empty)
    assert Standing.read(standing.text) == standing
    assert Standing(dict(reversed(known.items())), empty).text == standing.text
    assert standing.text.isascii()


@pytest.mark.parametrize(
    "text", ["", "20260131120000Z", "[]", "{}", '{"cookies": {"a": 1}, "empty": []}', '"x"']
)
def test_another_text_is_no_standing(text: str) -> None:
    """The watermark of another kind, or a damaged one, is not read as cookies."""
    with pytest.raises(ValueError, match=r"standing|Expecting|Extra"):
        Standing.read(text)
