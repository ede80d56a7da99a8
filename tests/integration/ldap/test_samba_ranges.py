"""Attributes of more values than Active Directory sends at once, read from a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from syncd.ldap.ber import decode_entry
from syncd.ldap.decode import decode_external_id
from syncd.records import Verdict
from tests.integration.ldap.samba_sources import (
    MAPPER,
    ad_groups,
    ad_source,
    ad_users,
    entries,
    texts,
)
from tests.servers.ad_limits import AdLimits, Limits
from tests.servers.samba import GROUPS, PEOPLE, SambaAD, dn_of, group, user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from syncd.ldap.changes.feed import Changes
    from syncd.ldap.source import LdapSource

NAMES = [f"p{number:02}" for number in range(12)]
MEMBERS = [dn_of(name) for name in NAMES]
# Somebody who is in as many groups as a group has members.
JOINER = dn_of("joiner")
JOINED = [dn_of(f"g{number:02}", GROUPS) for number in range(12)]
BIG, SMALL = dn_of("big", GROUPS), dn_of("small", GROUPS)
CROWD = 1510


@pytest.fixture(scope="module")
def ad(samba: SambaAD) -> SambaAD:
    """A domain with a group of twelve and a person in twelve groups."""
    samba.load(
        [
            *((dn_of(name), user(name)) for name in [*NAMES, "joiner"]),
            *((dn, group(dn[3:6], [JOINER])) for dn in JOINED),
            (SMALL, group("small", MEMBERS[:2])),
        ]
    )
    return samba


@pytest.fixture
def limits(ad: SambaAD) -> Iterator[AdLimits]:
    """The domain behind limits of 5 values and 4 entries, with a group of twelve members."""
    ad.add(BIG, **group("big", MEMBERS))
    with AdLimits((ad.address, ad.port), Limits(page=4, values=5)) as proxy:
        yield proxy
    ad.delete(BIG)


def located(source: LdapSource) -> list[bytes]:
    """Return the joiner's entry as a look-up by id brings it."""
    identity = decode_entry(source.find("joiner")[0]).values("objectGUID")[0]
    id_ = decode_external_id("objectGUID")(identity)
    found = source.locate([(id_, JOINER)])[id_].entry
    return [found] if found else []


def found_anywhere(source: LdapSource) -> list[bytes]:
    """Return the joiner's entry as a look-up by name in the whole directory brings it."""
    found = source.find_anywhere("joiner")
    return found if isinstance(found, list) else []


def changes(source: LdapSource) -> Changes:
    """Return what changed in the last minutes, which is everything."""
    return source.changes(source.watermark())


OF_GROUPS: dict[str, Callable[[LdapSource], Iterable[list[bytes]]]] = {
    "containers": lambda source: source.containers(MAPPER),
    "changed containers": lambda source: changes(source).containers(MAPPER),
    "read_containers": lambda source: [source.read_containers(MAPPER, [BIG, SMALL])],
    "read_outside": lambda source: [source.read_outside(MAPPER, [BIG, SMALL])],
}
OF_PEOPLE: dict[str, Callable[[LdapSource], Iterable[list[bytes]]]] = {
    "users": lambda source: source.users(),
    "changed users": lambda source: changes(source).users(),
    "read_people": lambda source: [source.read_people([JOINER, MEMBERS[0]])],
    "find": lambda source: [source.find("joiner")],
    "find_anywhere": lambda source: [found_anywhere(source)],
    "locate": lambda source: [located(source)],
}


@pytest.mark.rule("2.10.1", server="samba")
@pytest.mark.parametrize("way", OF_GROUPS)
def test_a_group_has_all_its_members_whichever_way_it_is_read(limits: AdLimits, way: str) -> None:
    """The ranges of a group's members are read to their end, and nothing of them is left."""
    with ad_source(limits.url) as source:
        found = entries(OF_GROUPS[way](source))

    assert sorted(texts(found["big"], "member")) == MEMBERS
    assert [name for name in found["big"].attributes if name.startswith("member")] == ["member"]
    assert sorted(texts(found["small"], "member")) == MEMBERS[:2]
    assert limits.counts.ranged > 0


@pytest.mark.rule("2.10.1", server="samba")
@pytest.mark.parametrize("way", OF_PEOPLE)
def test_a_person_has_all_his_groups_whichever_way_he_is_read(limits: AdLimits, way: str) -> None:
    """The ranges of a person's memberOf are read to their end as those of a group's members are."""
    with ad_source(limits.url) as source:
        found = entries(OF_PEOPLE[way](source))["joiner"]

    assert sorted(texts(found, "memberOf")) == JOINED
    assert limits.counts.ranged > 0


@pytest.mark.rule("2.10.1", server="samba")
@pytest.mark.parametrize(
    "broken",
    [pytest.param({"busy_from": 8}, id="busy"), pytest.param({"cut_from": 8}, id="cut")],
)
def test_a_group_that_cannot_be_read_to_its_end_stays_marked(
    limits: AdLimits, broken: dict[str, int]
) -> None:
    """A failure midway leaves the first range marked as such, and the rest of the listing whole."""
    for name, value in broken.items():
        setattr(limits.limits, name, value)

    with ad_source(limits.url) as source:
        listing = source.containers(MAPPER)
        found = entries(listing)

        assert "member;range=0-4" in found["big"].attributes
        assert len(found) == len([BIG, SMALL, *JOINED])
        assert listing.outcome.verdict is Verdict.COMPLETE
        assert sorted(texts(found["small"], "member")) == MEMBERS[:2]

        limits.limits.busy_from = limits.limits.cut_from = None
        again = entries(source.containers(MAPPER))
        assert sorted(texts(again["big"], "member")) == MEMBERS


def removing(ad: SambaAD, dn: str, *, times: int) -> Callable[[str, str], None]:
    """Return what takes the first member of a group away before a further range is asked for."""
    left = iter(range(times))

    def before_range(base: str, description: str) -> None:
        del base, description
        if next(left, None) is not None:
            ad.leave(dn, ad.read(dn, "member")["member"][0].decode())

    return before_range


@pytest.mark.rule("2.10.1", server="samba")
def test_values_that_move_between_ranges_are_read_again(ad: SambaAD, limits: AdLimits) -> None:
    """Who leaves a group while it is read moves everybody behind, and none of those is lost."""
    limits.limits.before_range = removing(ad, BIG, times=1)

    with ad_source(limits.url) as source:
        found = entries(source.containers(MAPPER))["big"]

    expected = [value.decode() for value in ad.read(BIG, "member")["member"]]
    assert len(expected) == len(MEMBERS) - 1
    assert sorted(texts(found, "member")) == sorted(expected)


@pytest.mark.rule("2.10.1", server="samba")
def test_a_group_that_keeps_changing_is_left_for_the_next_run(
    ad: SambaAD, limits: AdLimits
) -> None:
    """Reading again has an end; the group then counts as known in part."""
    limits.limits.before_range = removing(ad, BIG, times=5)

    with ad_source(limits.url) as source:
        found = entries(source.containers(MAPPER))["big"]

    assert "member;range=0-4" in found.attributes


@pytest.mark.rule("2.10.1", server="samba")
def test_memberships_that_move_are_noticed_although_the_person_does_not_change(
    ad: SambaAD, limits: AdLimits
) -> None:
    """A person's own stamps do not move with memberOf, but the place of its values does."""
    before = ad.read(JOINER, "memberOf", "uSNChanged")
    first = before["memberOf"][0].decode()
    once = iter([None])

    def before_range(base: str, description: str) -> None:
        del base, description
        if next(once, 1) is None:
            ad.leave(first, JOINER)

    limits.limits.before_range = before_range
    try:
        with ad_source(limits.url) as source:
            found = entries(source.users())["joiner"]
        assert ad.read(JOINER, "uSNChanged")["uSNChanged"] == before["uSNChanged"]
        assert sorted(texts(found, "memberOf")) == sorted({*JOINED} - {first})
    finally:
        ad.join(first, JOINER)


@pytest.mark.rule("2.10.1", server="samba")
def test_a_group_that_is_renamed_meanwhile_is_found_by_its_id(
    ad: SambaAD, limits: AdLimits
) -> None:
    """Ranges are asked for by objectGUID, so a new name in between loses nothing."""
    once = iter([None])

    def before_range(base: str, description: str) -> None:
        del base, description
        if next(once, 1) is None:
            ad.rename(BIG, "CN=bigger")

    limits.limits.before_range = before_range
    try:
        with ad_source(limits.url) as source:
            found = entries(source.containers(MAPPER))["big"]
        assert sorted(texts(found, "member")) == MEMBERS
    finally:
        ad.rename(dn_of("bigger", GROUPS), "CN=big")


@pytest.mark.rule("2.10.1", server="samba")
@pytest.mark.rule("2.2.1", server="samba")
def test_a_crowd_is_read_through_a_real_directorys_limits(samba_template: Path) -> None:
    """1,510 entries come in pages of 1,000 and as members of a group in ranges of 1,500."""
    names = [f"c{number:04}" for number in range(CROWD)]
    crowd = [dn_of(name) for name in names]
    with SambaAD(samba_template) as server:
        server.load(
            [
                *((dn, {"objectClass": ["contact"]}) for dn in crowd),
                (BIG, group("big", crowd)),
            ]
        )
        with AdLimits((server.address, server.port)) as proxy:
            contacts = ad_users(PEOPLE, filter="(objectClass=contact)", page_size=5000)
            with ad_source(proxy.url, users=contacts, groups=ad_groups()) as source:
                listing = source.users()
                assert sorted(entries(listing)) == names
                outcome = listing.outcome
                assert (outcome.verdict, outcome.pages) == (Verdict.COMPLETE, 2)
                members = texts(entries(source.containers(MAPPER))["big"], "member")
                assert sorted(members) == crowd

            unpaged = ad_users(PEOPLE, filter="(objectClass=contact)", page_size=None)
            with ad_source(proxy.url, users=unpaged) as source:
                listing = source.users()
                assert len(entries(listing)) == 1000
                assert listing.outcome.verdict is Verdict.TRUNCATED


def test_entries_that_fit_are_passed_as_they_are(ad: SambaAD, limits: AdLimits) -> None:
    """An entry without ranges keeps the bytes that the server sent."""
    with ad_source(limits.url) as source, ad_source(ad.url) as plain:
        through = {decode_entry(raw).dn: raw for page in source.containers(MAPPER) for raw in page}
        direct = {decode_entry(raw).dn: raw for page in plain.containers(MAPPER) for raw in page}

    assert {dn: decode_entry(raw) for dn, raw in through.items() if dn != BIG} == {
        dn: decode_entry(raw) for dn, raw in direct.items() if dn != BIG
    }
    assert decode_entry(through[BIG]) == decode_entry(direct[BIG])
