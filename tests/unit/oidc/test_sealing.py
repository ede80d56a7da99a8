"""What a store has of a provider's tokens, and what a session has of them."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.oidc.exchange import TokenAnswer
from syncd.oidc.kept import Kept, renewed
from syncd.oidc.outcome import Reason, Refusal
from syncd.oidc.sealing import NONCE_BYTES, Sealing
from syncd.oidc.tokens import IdToken
from tests.minting import CLIENT, NOW, claims, encoded, signer
from tests.unit.oidc.judging import validator

RS256 = signer()
SECRET = "client secret of at least thirty-two bytes"
PLAIN = b"a refresh token"


@pytest.mark.rule("H14", server="pure")
def test_only_the_same_secret_and_organization_open() -> None:
    """What was sealed is nothing to anybody else, and nothing once a bit of it is another."""
    ours = Sealing(SECRET, "acme")
    sealed = ours.seal(PLAIN)
    assert Sealing(SECRET, "acme").open(sealed) == PLAIN
    assert PLAIN not in sealed
    assert ours.seal(PLAIN) != sealed
    assert Sealing(SECRET + "!", "acme").open(sealed) is None
    assert Sealing(SECRET, "bolt").open(sealed) is None
    for place in range(len(sealed)):
        hurt = bytearray(sealed)
        hurt[place] ^= 1
        assert ours.open(bytes(hurt)) is None, place


@pytest.mark.parametrize("length", [0, 1, NONCE_BYTES, NONCE_BYTES + 1, NONCE_BYTES + 16])
def test_what_is_too_short_is_nothing(length: int) -> None:
    """A value that was cut opens nothing and raises nothing."""
    ours = Sealing(SECRET, "acme")
    assert ours.open(ours.seal(b"")[:length]) is None


def signed_in(nonce: str | None = "n", **more: Any) -> Kept:
    """Return what is kept of a sign-in."""
    text = RS256.token(claims(nonce=nonce, **more))
    token = validator().id_token(text, now=NOW, nonce=nonce)
    assert isinstance(token, IdToken)
    return Kept.of(answer(text, "first"), token)


def answer(id_token: str | None, refresh_token: str | None) -> TokenAnswer:
    """Return an answer of the token endpoint."""
    return TokenAnswer(
        access_token="planted-access",
        id_token=id_token,
        refresh_token=refresh_token,
        expires_in=None,
    )


def test_what_is_kept_comes_back_as_it_was() -> None:
    """Packed and unpacked it is the same, and it shows nothing of itself."""
    kept = signed_in(aud=[CLIENT], azp=CLIENT, auth_time=NOW - 5)
    assert Kept.unpack(kept.pack()) == kept
    assert kept.identified.audiences == {CLIENT}
    assert kept.id_token not in repr(kept)
    assert "first" not in repr(kept)
    assert "planted" not in repr(answer("planted", "planted"))


@pytest.mark.parametrize("packed", [b"", b"{}", b"[]", b"null", b'{"identified":{}}', b"\xff"])
def test_what_another_version_packed_is_nothing(packed: bytes) -> None:
    """It costs a refresh, and no error."""
    assert Kept.unpack(packed) is None


def test_a_new_refresh_token_takes_the_place_of_the_old_one() -> None:
    """Without one in the answer the old one goes on; the first ID token stays."""
    kept = signed_in()
    assert kept.after(answer(None, "second")).refresh_token == "second"
    assert kept.after(answer(None, None)) == kept
    assert kept.after(answer("other", None)).id_token == kept.id_token


@pytest.mark.rule("I19", server="pure")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"nonce": None}, None),
        ({"nonce": "n"}, None),
        ({"nonce": "m"}, Reason.WRONG_NONCE),
        ({"sub": "mallory"}, Reason.CHANGED_IDENTITY),
        ({"aud": [CLIENT, "other"]}, Reason.WRONG_AUDIENCE),
        ({"azp": CLIENT}, Reason.CHANGED_IDENTITY),
        ({"iss": "https://other.example.org/"}, Reason.WRONG_ISSUER),
        ({"at_hash": encoded(b"x" * 16)}, Reason.WRONG_HASH),
    ],
)
def test_a_refreshed_token_is_the_same_person_s(
    changes: dict[str, Any], expected: Reason | None
) -> None:
    """Held against what was kept of the sign-in, which had gone through the store."""
    kept = Kept.unpack(signed_in().pack())
    assert kept is not None
    text = RS256.token(claims(**{"nonce": None} | changes))
    found = renewed(validator(), kept, answer(text, None), now=NOW)
    if expected is None:
        assert isinstance(found, IdToken)
    else:
        assert isinstance(found, Refusal)
        assert found.reason is expected


def test_a_refresh_without_an_id_token_says_nothing_of_anybody() -> None:
    """It is no fault (Core section 12.2)."""
    assert renewed(validator(), signed_in(), answer(None, "second"), now=NOW) is None
