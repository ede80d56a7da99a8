"""Who may use his account, as each directory says it in its own words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.directories.company import STATE, users

if TYPE_CHECKING:
    from tests.directories.company import Company

# Of each directory: what says that an account ends, beside its own attributes.
ENDING = {"389ds": {"attributes": ["nsAccountLock", "accountUnlockTime", "shadowExpire"]}}


def state(company: Company) -> dict[str, object]:
    """Return the mapper of account states."""
    locked = {} if company.directory.name == "389ds" else {"lockout_duration": "30m"}
    return {**STATE, **locked, **ENDING.get(company.directory.name, {})}


@pytest.mark.rule("2.12.1", server="samba")
@pytest.mark.rule("2.12.2", server="samba")
@pytest.mark.rule("2.12.3", server="389ds")
@pytest.mark.rule("2.12.4", server="openldap")
@pytest.mark.rule("2.12.5", server="openldap 389ds")
@pytest.mark.rule("K47", server="samba")
def test_an_account_is_disabled_expires_is_locked_and_opens_again(company: Company) -> None:
    """Each is a reason of its own, comes with a changed sync, and goes as it came."""
    directory = company.directory
    people = company.join("anna", "bob", "joe", "pat")
    for dn in people:
        directory.prepare(dn)
    anna, bob, joe, _ = people
    company.configure(mappers=(state(company),))
    company.full()
    directory.disable(anna)
    directory.expire(bob, datetime(2020, 1, 1, tzinfo=UTC))
    directory.lock(joe)
    done = company.changed()
    assert users(done)["disabled"] >= 2
    assert [company.why(name) for name in ("anna", "bob", "joe", "pat")] == [
        ["disabled"],
        ["expired"],
        ["locked"],
        [],
    ]
    (lock,) = company.user("joe")["disabled_because"]
    left = datetime.fromisoformat(lock["until"]) - datetime.now(UTC)
    assert timedelta(minutes=25) < left <= timedelta(minutes=30)
    journal = company.journal()
    company.full()
    assert company.journal() == journal

    directory.enable(anna)
    directory.expire(bob, None)
    directory.unlock(joe)
    company.changed()
    assert [company.why(name) for name in ("anna", "bob", "joe")] == [[], [], []]
    assert company.plan(code=0)["changes"] == []


@pytest.mark.rule("2.12.5", server="openldap samba 389ds")
def test_reasons_add_up(company: Company) -> None:
    """Somebody who is disabled and expired needs both to be over; a departure is a third."""
    directory = company.directory
    (anna,) = company.join("anna")
    company.join("bob")
    directory.prepare(anna)
    directory.disable(anna)
    directory.expire(anna, datetime(2020, 1, 1, tzinfo=UTC))
    company.configure(mappers=(state(company),))
    company.full()
    assert sorted(company.why("anna")) == ["disabled", "expired"]
    directory.enable(anna)
    company.changed()
    assert company.why("anna") == ["expired"]
    directory.expire(anna, datetime(2099, 1, 1, tzinfo=UTC))
    company.changed()
    assert company.why("anna") == []
