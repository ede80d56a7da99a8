"""What a directory does not say is no departure: on every directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.directories.company import told, users
from tests.servers.fault_proxy import FaultProxy, Faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.directories.company import Company

SIZE_LIMIT_EXCEEDED = 4
SEVEN = [f"p{number}" for number in range(7)]


@pytest.fixture
def proxy(company: Company) -> Iterator[FaultProxy]:
    """A proxy before the company's directory, by which it is reached."""
    address = urlsplit(company.directory.url)
    assert address.hostname is not None
    assert address.port is not None
    with FaultProxy(address.port, host=address.hostname) as before:
        company.url = before.url
        company.configure()
        yield before


def state(company: Company) -> tuple[Any, ...]:
    """Return everybody with his roles, and how far the directory was read."""
    return company.held(), company.watermarks(), company.journal()


@pytest.mark.rule("2.2.7", server="openldap samba 389ds")
@pytest.mark.rule("2.13.3", server="openldap samba 389ds")
@pytest.mark.rule("2.1.2", server="openldap samba 389ds")
def test_a_lost_right_takes_nobody_away(company: Company) -> None:
    """An account that may see nobody is told of success; the run is held, and its watermark too."""
    company.join("john", "mary")
    company.role("staff", "john", "mary")
    company.configure()
    company.full()
    before = state(company)
    with company.directory.unreadable(company.people):
        company.directory.modify(company.dn("staff", company.roles), description=["touched"])
        done = company.sync(3)
        assert (done["status"], done["users"]["read"]) == ("blocked", 0)
        assert any("empty" in why for why in done["reasons"]), done["reasons"]
        assert state(company) == before
    # Given back, the right brings everything that was touched meanwhile.
    assert users(company.full()) == {}
    held, watermarks, journal = state(company)
    assert (held, journal) == (before[0], before[2])
    assert watermarks != before[1]


@pytest.mark.rule("2.13.3", server="openldap samba 389ds")
def test_an_emptied_filter_takes_nobody_away(company: Company) -> None:
    """A filter that nobody meets is held, and once put right everything is as before."""
    company.join("john", "mary")
    company.role("staff", "john", "mary")
    company.full()
    before = company.held()
    company.configure(ldap={"user_search_filter": "(employeeType=nobody)"})
    assert company.sync(3)["status"] == "blocked"
    assert company.held() == before
    company.configure()
    company.full()
    assert company.held() == before


@pytest.mark.rule("2.2.4", server="openldap samba 389ds")
@pytest.mark.rule("2.1.2", server="openldap samba 389ds")
@pytest.mark.rule("2.16.2", server="openldap samba 389ds")
@pytest.mark.parametrize("base", ["people", "roles"])
def test_a_listing_that_is_cut_short_takes_nobody_away(
    company: Company, proxy: FaultProxy, base: str
) -> None:
    """A size limit in the middle: who is new arrives, nobody leaves, and the next run makes up."""
    company.join(*SEVEN)
    for number in range(8):
        company.role(f"role{number}", *SEVEN)
    company.full()
    held, watermarks, _ = state(company)
    company.directory.delete(company.dn("p3"))
    company.directory.leave(company.dn("role2", company.roles), company.dn("p1"))
    company.directory.delete(company.dn("role4", company.roles))
    proxy.faults = Faults(base=getattr(company, base), code_page=2, code=SIZE_LIMIT_EXCEEDED)
    done = company.sync(4)
    assert done["listing"] == "truncated"
    assert company.held() == held
    assert company.watermarks() == watermarks
    proxy.faults = Faults()
    done = company.json("sync", "acme", "--changed")
    assert (done["status"], users(done)["missing"]) == ("done", 1), told(done)
    done = company.full()
    assert company.held() == {
        name: roles - {"role4"} - ({"role2"} if name == "p1" else set())
        for name, roles in held.items()
        if name != "p3"
    }
