"""What a synchronization search means once it has ended, from made-up answers."""

from __future__ import annotations

import pytest

from syncd.ldap import ber, results
from syncd.ldap.changes.refresh import Refresh
from syncd.ldap.changes.sync_messages import SYNC_DONE, SYNC_INFO, SYNC_STATE
from syncd.ldap.messages import Control, Intermediate, Result
from syncd.ldap.search import Page
from syncd.records import ListingOutcome, Verdict

COMPLETE = ListingOutcome("users", Verdict.COMPLETE, 0, 1, 9, 0)


def uuid(number: int) -> str:
    """Return the text of a numbered id."""
    return f"00000000-0000-0000-0000-{number:012x}"


def octets(number: int) -> bytes:
    """Return its bytes as an element."""
    return ber.encode(ber.OCTET_STRING, number.to_bytes(16, "big"))


def state(kind: int, number: int, cookie: bytes = b"") -> tuple[Control, ...]:
    """Return the controls of an entry."""
    value = ber.encode_integer(kind, ber.ENUMERATED) + octets(number) + cookie
    return (Control("1.2.3"), Control(SYNC_STATE, value=ber.encode(ber.SEQUENCE, value)))


def info(tag: int, contents: bytes) -> Intermediate:
    """Return a Sync Info message."""
    return Intermediate(SYNC_INFO, ber.encode(tag, contents), ())


def ids(*numbers: int, deletes: bool = False) -> Intermediate:
    """Return a set of ids."""
    flag = b"\x01\x01\xff" if deletes else b""
    return info(0xA3, flag + ber.encode(ber.SET, b"".join(map(octets, numbers))))


def done(value: bytes = b"", code: int = results.SUCCESS) -> Result:
    """Return the final message; ``value`` is what stands in the Sync Done control."""
    control = Control(SYNC_DONE, value=ber.encode(ber.SEQUENCE, value))
    return Result(code, "", "", (), None, None, (control,))


COOKIE = b"\x04\x03new"
DELETES = b"\x01\x01\xff"
PRESENT_ENDED = info(0xA2, b"\x01\x01\x00")


def test_only_new_and_changed_entries_are_handed_out() -> None:
    """An entry that is only named as present or deleted is a signal and no entry."""
    refresh = Refresh()
    page = Page(
        [b"add", b"modify", b"present", b"delete"],
        {0: state(1, 1), 1: state(2, 2), 2: state(0, 3), 3: state(3, 4)},
    )
    assert refresh.page(page) == [b"add", b"modify"]
    refresh.result(done(DELETES))
    assert refresh.sent == {uuid(1), uuid(2)}
    assert refresh.named_present == {uuid(3)}
    assert list(refresh.deleted) == [uuid(4)]
    assert refresh.end(COMPLETE).entries == 2


@pytest.mark.rule("2.6.2", server="pure")
@pytest.mark.parametrize(
    ("said", "end", "present", "deleted"),
    [
        pytest.param([], DELETES, None, [], id="nothing changed"),
        pytest.param([ids(1, deletes=True)], DELETES, None, [1], id="delete phase"),
        pytest.param([ids(1, 2)], b"", {1, 2}, [], id="present phase"),
        pytest.param([ids(1), ids(2)], b"", {1, 2}, [], id="present phase in parts"),
        pytest.param([], b"", set(), [], id="empty present phase"),
        pytest.param(
            [ids(1, 2), PRESENT_ENDED, ids(3, deletes=True)],
            DELETES,
            {1, 2},
            [3],
            id="present phase, then delete phase",
        ),
        pytest.param(
            [ids(1, 2), ids(3, deletes=True)],
            DELETES,
            None,
            [3],
            id="present ids of a delete phase",
        ),
        pytest.param(
            [Intermediate("1.2.3", b"nonsense", ())], DELETES, None, [], id="another's message"
        ),
    ],
)
def test_the_end_tells_the_phases_apart(
    said: list[Intermediate], end: bytes, present: set[int] | None, deleted: list[int]
) -> None:
    """Whether the unnamed are gone is what the last message says, and not what came before."""
    refresh = Refresh()
    for each in said:
        refresh.intermediate(each)
    refresh.result(done(end))
    assert refresh.end(COMPLETE).verdict is Verdict.COMPLETE
    assert refresh.present == (None if present is None else set(map(uuid, present)))
    assert list(refresh.deleted) == list(map(uuid, deleted))


@pytest.mark.rule("2.6.4", server="pure")
@pytest.mark.parametrize(
    ("said", "end", "cookie"),
    [
        pytest.param([], DELETES, None, id="none"),
        pytest.param([], b"\x04\x00" + DELETES, None, id="an empty one"),
        pytest.param([], COOKIE + DELETES, "new", id="at the end"),
        pytest.param([info(0x80, b"mid")], DELETES, "mid", id="in a message"),
        pytest.param([info(0x80, b"mid")], COOKIE + DELETES, "new", id="in both"),
        pytest.param([info(0xA1, b"\x04\x03mid")], DELETES, "mid", id="at the end of a phase"),
    ],
)
def test_the_newest_cookie_counts(said: list[Intermediate], end: bytes, cookie: str | None) -> None:
    """No cookie, or one that would ask for everybody, leaves the old one."""
    refresh = Refresh()
    for each in said:
        refresh.intermediate(each)
    refresh.result(done(end))
    assert refresh.cookie == cookie


@pytest.mark.rule("2.6.3", server="pure")
@pytest.mark.parametrize(
    ("controls", "said", "last", "because"),
    [
        pytest.param(state(1, 1), None, None, "no Sync Done control", id="no end"),
        pytest.param(
            state(1, 1),
            None,
            Result(0, "", "", (), None, None, ()),
            "no Sync Done control",
            id="an end of another kind",
        ),
        pytest.param((), None, done(DELETES), "without a Sync State control", id="no state"),
        pytest.param(
            (Control(SYNC_STATE, value=b"\x30\x00"),),
            None,
            done(DELETES),
            "Sync State control cannot be read",
            id="unreadable state",
        ),
        pytest.param(
            (Control(SYNC_STATE),),
            None,
            done(DELETES),
            "Sync State control cannot be read",
            id="state without a value",
        ),
        pytest.param(
            state(1, 1),
            Intermediate(SYNC_INFO, b"\xa3\x00", ()),
            done(DELETES),
            "Sync Info message cannot be read",
            id="unreadable message",
        ),
        pytest.param(
            state(1, 1),
            None,
            Result(0, "", "", (), None, None, (Control(SYNC_DONE, value=b"\x31\x00"),)),
            "Sync Done control cannot be read",
            id="unreadable end",
        ),
    ],
)
def test_an_answer_that_is_no_synchronization_proves_nothing(
    controls: tuple[Control, ...], said: Intermediate | None, last: Result | None, because: str
) -> None:
    """What came is handed out, and the listing is truncated, so nobody is taken away by it."""
    refresh = Refresh()
    assert refresh.page(Page([b"entry"], {0: controls})) == [b"entry"]
    if said is not None:
        refresh.intermediate(said)
    if last is not None:
        refresh.result(last)
    outcome = refresh.end(COMPLETE)
    assert outcome.verdict is Verdict.TRUNCATED
    assert because in str(outcome.because)


def test_a_truncated_answer_keeps_its_own_reason() -> None:
    """The server's word for why it stopped is more use than that something is missing."""
    cut = ListingOutcome("users", Verdict.TRUNCATED, 51, 0, 7, 0, "busy")
    refresh = Refresh()
    refresh.result(done(COOKIE, code=results.BUSY))
    assert refresh.end(cut) == ListingOutcome("users", Verdict.TRUNCATED, 51, 0, 0, 0, "busy")
    assert refresh.cookie is None
