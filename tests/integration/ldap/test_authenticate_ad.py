"""Whether somebody knows his directory password, asked of a real Active Directory domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from syncd.errors import SignInRefused
from syncd.ldap.authenticate import Authenticator
from syncd.ldap.ber import decode_entry
from syncd.ldap.connection import ConnectionOptions
from syncd.ldap.listings import UserSearch
from syncd.records import Scope
from tests.integration.ldap.samba_sources import ad_users
from tests.servers.samba import (
    ADMIN,
    PASSWORD,
    PEOPLE,
    READER,
    READER_PASSWORD,
    SUFFIX,
    dn_of,
    user,
)

if TYPE_CHECKING:
    from tests.servers.samba import SambaAD

REASONS = {
    "disabled": "disabled",
    "expired": "expired",
    "mustchange": "must_change_password",
    "locked": "locked",
}


@pytest.fixture(scope="module")
def ad(samba: SambaAD) -> SambaAD:
    """A domain with somebody who may come in, and accounts in trouble."""
    enabled = {"password": PASSWORD, "userAccountControl": "512"}
    samba.load([(dn_of(name), user(name, **enabled)) for name in ("ada", *REASONS)])
    samba.modify(dn_of("disabled"), {"userAccountControl": ["514"]})
    samba.modify(dn_of("expired"), {"accountExpires": ["1"]})
    samba.modify(dn_of("mustchange"), {"pwdLastSet": ["0"]})
    samba.modify(SUFFIX, {"lockoutThreshold": ["1"]})
    with pytest.raises(SignInRefused, match="data 52e"):
        authenticator(samba).authenticate("locked", "not this one")
    samba.modify(SUFFIX, {"lockoutThreshold": ["0"]})
    return samba


def authenticator(ad: SambaAD, *, users: UserSearch | None = None, **account: str) -> Authenticator:
    """Return who asks the domain, by StartTLS, as the reader unless told otherwise."""
    options = ConnectionOptions(
        urls=(ad.url,),
        bind_dn=account.get("bind_dn", READER),
        password=account.get("password", READER_PASSWORD),
        ca_pem=(ad.ca_pem,),
    )
    return Authenticator(options, users or ad_users())


def _refusal(ad: SambaAD, username: str, password: str = PASSWORD) -> str:
    with pytest.raises(SignInRefused) as refused:
        authenticator(ad).authenticate(username, password)
    return refused.value.reason


@pytest.mark.rule("H9", server="samba")
def test_the_right_password_brings_the_entry(ad: SambaAD) -> None:
    """The domain says who was bound in words of its own, and that is no objection."""
    found = authenticator(ad).authenticate("Ada", PASSWORD)
    assert found.dn == dn_of("ada")
    assert decode_entry(found.raw).values("sAMAccountName") == [b"ada"]
    assert _refusal(ad, "ada", "not this one") == "wrong_password"


@pytest.mark.rule("H12", server="samba")
@pytest.mark.rule("K47", server="samba")
@pytest.mark.rule("K48", server="samba")
@pytest.mark.parametrize("username", REASONS)
def test_why_an_account_is_not_let_in(ad: SambaAD, username: str) -> None:
    """The domain's sub-codes tell why, with the right password."""
    assert _refusal(ad, username) == REASONS[username]


@pytest.mark.rule("H7", server="samba")
@pytest.mark.parametrize(
    "username",
    ["*", "a*", ")(sAMAccountName=*", "ada)(|(x=", "nobody", "ad\u00e1", "a da"],
    ids=ascii,
)
def test_nobody_else_is_found(ad: SambaAD, username: str) -> None:
    """What is typed is a value and never a filter."""
    assert _refusal(ad, username) == "unknown_user"


def test_references_of_the_root_are_no_matter(ad: SambaAD) -> None:
    """Below the domain's root it refers to other parts of itself, for a search of anybody."""
    whole = UserSearch(
        base_dns=(SUFFIX,),
        scope=Scope.SUBTREE,
        filter="(objectClass=user)",
        username_attribute="sAMAccountName",
        uuid_attribute="objectGUID",
        attributes=("objectGUID", "sAMAccountName"),
    )
    asked = authenticator(ad, users=whole, bind_dn=ADMIN, password=PASSWORD)
    assert asked.authenticate("ada", PASSWORD).dn == f"CN=ada,{PEOPLE}"
    with pytest.raises(SignInRefused) as refused:
        asked.authenticate("nobody", PASSWORD)
    assert refused.value.reason == "unknown_user"
