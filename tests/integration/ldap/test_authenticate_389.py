"""Whether somebody knows his directory password, asked of a real 389 Directory Server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from syncd.errors import SignInRefused
from syncd.ldap.authenticate import Authenticator
from tests.integration.ldap.sources_389 import options_for, uid, user_search
from tests.servers.ds389 import DS389
from tests.servers.slapd import person

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "correct horse battery"
REASONS = {
    "inactive": "disabled",
    "locked": "locked",
    "expired": "password_expired",
    "reset": "must_change_password",
    "nobody": "unknown_user",
}
POLICY = {
    "passwordLockout": ["on"],
    "passwordMaxFailure": ["1"],
    "passwordMustChange": ["on"],
    "passwordExp": ["on"],
}


@pytest.fixture(scope="module")
def server(ds389_template: Path) -> Iterator[DS389]:
    """A server with a password policy, and accounts in trouble."""
    names = ("ada", "inactive", "locked", "expired", "reset")
    ldif = "".join(person(name, userPassword=PASSWORD) for name in names)
    with DS389(ds389_template, ldif=ldif) as running:
        running.modify("cn=config", POLICY)
        running.modify(uid("inactive"), {"nsAccountLock": ["TRUE"]})
        running.modify(uid("expired"), {"passwordExpirationTime": ["20200101000000Z"]})
        running.modify(uid("reset"), {"userPassword": [PASSWORD]})
        assert _refusal(running, "locked", "not this one") in {"wrong_password", "locked"}
        yield running


def _refusal(server: DS389, username: str, password: str = PASSWORD) -> str:
    with pytest.raises(SignInRefused) as refused:
        Authenticator(options_for(server), user_search()).authenticate(username, password)
    return refused.value.reason


@pytest.mark.rule("H9", server="389ds")
def test_the_right_password_brings_the_entry(server: DS389) -> None:
    """The server says whose the bind was, with a space of its own in it."""
    asked = Authenticator(options_for(server), user_search())
    assert asked.authenticate("Ada", PASSWORD).dn.lower() == uid("ada")


@pytest.mark.rule("H12", server="389ds")
@pytest.mark.parametrize("username", REASONS)
def test_why_somebody_is_not_let_in(server: DS389, username: str) -> None:
    """The policy's control tells, and for an inactive account the server's words."""
    assert _refusal(server, username) == REASONS[username]
