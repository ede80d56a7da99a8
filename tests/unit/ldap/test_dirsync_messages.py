"""The control of DirSync, as bytes."""

from __future__ import annotations

import pytest

from syncd.ldap import ber
from syncd.ldap.changes.dirsync_messages import (
    DIRSYNC,
    DirSyncAnswer,
    decode_answer,
    dirsync_request,
)


def test_the_request_is_what_active_directory_takes() -> None:
    """Flags of four bytes, whose sign bit asks for changed values only; a size; the cookie."""
    control = dirsync_request(b"\x01\x02")
    assert (control.oid, control.critical) == (DIRSYNC, True)
    assert control.value == bytes.fromhex("300f020480000801020310000004020102")


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("300a02010102010004020102", DirSyncAnswer(more=True, cookie=b"\x01\x02")),
        ("30080201000201000400", DirSyncAnswer(more=False, cookie=b"")),
    ],
)
def test_an_answer_says_whether_there_is_more_and_where(value: str, answer: DirSyncAnswer) -> None:
    """The number between them means nothing."""
    assert decode_answer(bytes.fromhex(value)) == answer


@pytest.mark.parametrize("value", ["", "30", "3000", "3003020101", "3006020101020100", "0400"])
def test_nonsense_is_malformed(value: str) -> None:
    """Whatever ends early or is something else."""
    with pytest.raises(ber.Malformed):
        decode_answer(bytes.fromhex(value))
