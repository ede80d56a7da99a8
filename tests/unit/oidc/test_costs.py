"""What strangers send costs as much as it is long: else these run into the tests' time limit."""

from __future__ import annotations

import contextlib

import pytest

from syncd.errors import ProviderUnavailable
from syncd.oidc.compact import read_object
from syncd.oidc.keys import KeySet
from syncd.oidc.outcome import Reason, Refusal
from tests.minting import json_bytes

# A key set may be so long; a token has a sixteenth of it.
LONG = 500_000


def _repeated(start: bytes, more: bytes, end: bytes = b"") -> bytes:
    return start + more * ((LONG - len(start) - len(end)) // len(more)) + end


BODIES = {
    "a text without an end": _repeated(b'{"keys":["', b'\\"[{'),
    "texts without an end": _repeated(b'{"keys":[', b'"['),
    "backslashes": _repeated(b'{"keys":["', b"\\"),
    "lists in lists": _repeated(b'{"keys":', b"["),
    "colons": _repeated(b'{"keys":[{', b'"":'),
    "one number": _repeated(b'{"keys":[', b"9", b"]}"),
    "one fraction": _repeated(b'{"keys":[0.', b"9", b"]}"),
    "many numbers": _repeated(b'{"keys":[', b"1,", b"1]}"),
    "spaces": _repeated(b'{"keys":[', b" ", b"]}"),
    "halves of characters": _repeated(b'{"keys":["', b"\\ud800", b'"]}'),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_is_judged_in_one_go(body: bytes) -> None:
    """Nothing is looked for again from each of many places."""
    found = read_object(body)
    assert isinstance(found, dict) or found.reason is Reason.MALFORMED
    with contextlib.suppress(ProviderUnavailable):
        assert not len(KeySet.parse(body))


def test_a_key_with_very_many_operations_is_not_used() -> None:
    """Operations are not compared each with all others."""
    jwk = {"kty": "RSA", "key_ops": ["verify", *map(str, range(60_000))]}
    with contextlib.suppress(ProviderUnavailable):
        assert not len(KeySet.parse(json_bytes({"keys": [jwk]})))
    assert isinstance(read_object(b"[" * LONG), Refusal)
