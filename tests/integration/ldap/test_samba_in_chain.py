"""Members of nested groups as Active Directory tells them, and containers anywhere in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from syncd.errors import UsageError
from syncd.ldap.decode import decode_external_id
from syncd.records import Verdict
from tests.integration.ldap.domains import Place
from tests.integration.ldap.samba_sources import (
    MAPPER,
    ad_groups,
    ad_options,
    ad_source,
    ad_users,
    entries,
    texts,
)
from tests.integration.ldap.sources import role_search, source_for
from tests.servers.ad_limits import AdLimits, Limits
from tests.servers.samba import (
    GROUPS,
    PEOPLE,
    READER,
    READER_PASSWORD,
    SUFFIX,
    SambaAD,
    dn_of,
    group,
    user,
)
from tests.servers.slapd import Slapd

if TYPE_CHECKING:
    from collections.abc import Iterator

# schemaIDGUID of memberOf.
MEMBER_OF_GUID = "bf967991-0de6-11d0-a285-00aa003049e2"
ANNA, BERT, CARL, DORA = (dn_of(name) for name in ("anna", "bert", "carl", "dora"))
# In the group, and not among the people that are listed.
STRANGER = dn_of("stranger", f"CN=Users,{SUFFIX}")
TOP, MIDDLE, BOTTOM = (dn_of(name, GROUPS) for name in ("top", "middle", "bottom"))
# Its name is full of what has a meaning in filters and DNs.
ODD = f"CN=odd (*)\\, one,{GROUPS}"
EMPTY, ROUND = dn_of("empty", GROUPS), dn_of("round", GROUPS)


@pytest.fixture(scope="module")
def ad(samba: SambaAD) -> SambaAD:
    """A domain with groups three deep and two that contain each other."""
    people = ((dn, user(dn[3:7])) for dn in (ANNA, BERT, CARL, DORA))
    samba.load(
        [
            *people,
            (STRANGER, user("stranger")),
            (BOTTOM, group("bottom", [ANNA, STRANGER])),
            (MIDDLE, group("middle", [BOTTOM, BERT])),
            (TOP, group("top", [MIDDLE, CARL, ANNA])),
            (ODD, group("odd", [BOTTOM])),
            (EMPTY, group("empty")),
            (ROUND, group("round", [BERT])),
        ]
    )
    samba.join(BOTTOM, ROUND)
    samba.join(ROUND, BOTTOM)
    return samba


@pytest.fixture
def limits(ad: SambaAD) -> Iterator[AdLimits]:
    """The domain behind limits, which notes the searches."""
    with AdLimits((ad.address, ad.port), Limits()) as proxy:
        yield proxy


@pytest.mark.rule("2.10.2", server="samba")
def test_the_people_of_nested_groups_are_the_members(limits: AdLimits) -> None:
    """Each group has all people of the listing who are in it by any path, for one search each."""
    with ad_source(limits.url, groups=ad_groups(in_chain=True)) as source:
        before = len(limits.counts.searches)
        listing = source.containers(MAPPER)
        found = {name: texts(entry, "member") for name, entry in entries(listing).items()}

        assert found == {
            "bottom": [ANNA, BERT],
            "empty": [],
            "middle": [ANNA, BERT],
            "odd (*), one": [ANNA, BERT],
            "round": [ANNA, BERT],
            "top": [ANNA, BERT, CARL],
        }
        assert listing.outcome.verdict is Verdict.COMPLETE
    asked = [base for base, _ in limits.counts.searches[before:]]
    # And one for the empty group, by which memberOf proves to be readable.
    assert asked.count(PEOPLE) == len(found) + 1


@pytest.mark.rule("2.10.2", server="samba")
def test_single_groups_are_read_with_their_nested_members(ad: SambaAD) -> None:
    """A group that is read by its name is as the listing has it."""
    with ad_source(ad.url, groups=ad_groups(in_chain=True)) as source:
        found = entries([source.read_containers(MAPPER, [TOP])])

    assert texts(found["top"], "member") == [ANNA, BERT, CARL]


@pytest.mark.rule("2.10.2", server="samba")
def test_a_group_whose_nested_members_cannot_be_told_counts_as_known_in_part(
    limits: AdLimits,
) -> None:
    """An answer that stops early marks the group as the server's own ranges do."""
    limits.limits.page = 2
    users = ad_users(page_size=None)
    with ad_source(limits.url, users=users, groups=ad_groups(in_chain=True)) as source:
        found = entries(source.containers(MAPPER))

    assert "member" not in found["top"].attributes
    assert len(texts(found["top"], "member;range=0-2")) == 2
    assert texts(found["middle"], "member") == [ANNA, BERT]


@pytest.mark.rule("2.10.2", server="samba")
def test_an_account_that_may_not_read_member_of_takes_nobody_out(samba: SambaAD) -> None:
    """Nobody is found in any group then, which the groups' own members belie."""
    place = Place(samba, "a", "b", "c")
    inner, outer = place.group("inner", "a"), place.group("outer")
    samba.join(outer, inner)
    reader = ad_options(samba.url, READER, READER_PASSWORD)
    users = ad_users(place.people)
    groups = replace(ad_groups(in_chain=True), base_dn=place.groups)

    def read() -> dict[str, dict[str, list[str]]]:
        with ad_source(samba.url, users=users, groups=groups, options=reader) as source:
            found = entries(source.containers(MAPPER))
        return {
            place.bare(name): {
                each: texts(entry, each) for each in entry.attributes if each.startswith("member")
            }
            for name, entry in found.items()
        }

    assert read() == {"inner": {"member": [place.dn("a")]}, "outer": {"member": [place.dn("a")]}}
    place.deny(MEMBER_OF_GUID)
    # Known in part: whoever was in it stays in it.
    in_part: dict[str, list[str]] = {"member;range=0-0": []}
    assert read() == {"inner": in_part, "outer": in_part}
    samba.leave(inner, place.dn("a"))
    assert read() == {"inner": {"member": []}, "outer": {"member": []}}


@pytest.mark.rule("2.10.2", server="samba")
@pytest.mark.parametrize("kind", ["modify_timestamp", "usn_changed"])
def test_a_change_below_shows_in_the_group_above(ad: SambaAD, kind: str) -> None:
    """What changed of nested groups leaves no trace on those above, so all of them are read."""
    groups = ad_groups(in_chain=True)
    with ad_source(ad.url, groups=groups, change_detection=kind) as source:
        since = source.watermark()
        ad.join(BOTTOM, DORA)
        try:
            changes = source.changes(since)
            list(changes.users())
            listing = changes.containers(MAPPER)
            found = entries(listing)

            assert texts(found["top"], "member") == [ANNA, BERT, CARL, DORA]
            assert len(found) == 6
            decode = decode_external_id("objectGUID")
            ids = {decode(entry.values("objectGUID")[0]) for entry in found.values()}
            assert changes.signals(MAPPER).present == frozenset(ids)
        finally:
            ad.leave(BOTTOM, DORA)


@pytest.mark.rule("2.10.2", server="openldap")
def test_a_directory_without_the_rule_is_refused() -> None:
    """Elsewhere the rule finds nobody without an error, so the source does not open."""
    with Slapd() as slapd:
        roles = replace(role_search(), in_chain=True)
        with pytest.raises(UsageError, match=r"import roles: .*OpenLDAP.*nested_membership"):
            source_for(slapd, roles=roles).open()


@pytest.mark.rule("2.10.3", server="samba")
def test_groups_are_found_wherever_they_lie(ad: SambaAD) -> None:
    """Of all DNs those that name a group come back; nobody else, nothing missing, no nonsense."""
    elsewhere = f"CN=Domain Users,CN=Users,{SUFFIX}"
    dns = [
        elsewhere,
        TOP,
        ODD,
        ANNA,
        dn_of("gone", GROUPS),
        "no name at all",
        "CN=other,DC=elsewhere,DC=test",
        f"CN=Configuration,{SUFFIX}",
    ]
    groups = ad_groups(filter="(&(objectClass=group)(cn=top))", class_filter="(objectClass=group)")
    with ad_source(ad.url, groups=groups) as source:
        found = entries([source.read_outside(MAPPER, dns)])

    assert sorted(found) == ["Domain Users", "odd (*), one", "top"]
    assert sorted(texts(found["top"], "member")) == sorted([MIDDLE, CARL, ANNA])


@pytest.mark.rule("2.10.3", server="samba")
def test_many_groups_are_found_with_few_searches(limits: AdLimits) -> None:
    """Hundreds of names, most of which are people's, cost no search each."""
    dns = [dn_of(f"somebody{number}") for number in range(250)]
    with ad_source(limits.url) as source:
        before = len(limits.counts.searches)
        found = entries([source.read_outside(MAPPER, [*dns, TOP])])

    assert sorted(found) == ["top"]
    assert len(limits.counts.searches) - before < 10
