"""Reading the retro changelog: its entries, its marks and its cookies, without a server."""

from __future__ import annotations

import pytest

from syncd.errors import ChangesUnavailable
from syncd.ldap.changes.changelog import Change, Position, any_of, change_of, concerns, reach
from syncd.ldap.changes.changelog_sync import Cookie, ns_unique_id
from syncd.ldap.search import SearchRequest
from syncd.records import Entry, Scope

ID = "4a04328b-e62a11f1-8003b2b8-30a21962"
PEOPLE = "ou=people,dc=example,dc=test"


def entry(**values: str) -> Entry:
    """Return an entry of a changelog."""
    whole = {
        "changenumber": "9223372036854775807",
        "changetime": "20260102030405Z",
        "targetdn": f"uid=alice,{PEOPLE}",
        "targetuniqueid": ID,
        **values,
    }
    attributes = {name: [value.encode()] for name, value in whole.items() if value}
    return Entry("changenumber=7,cn=changelog", attributes)


@pytest.mark.rule("2.8.5", server="pure")
@pytest.mark.parametrize(
    ("values", "new_name"),
    [
        ({}, None),
        ({"newrdn": "uid=bob"}, f"uid=bob,{PEOPLE}"),
        ({"newrdn": "uid=bob", "newsuperior": "ou=x,dc=example"}, "uid=bob,ou=x,dc=example"),
        ({"newrdn": "cn=a\\,b", "targetdn": "cn=x\\,y,ou=u"}, "cn=a\\,b,ou=u"),
        ({"newrdn": "uid=bob", "targetdn": "no name"}, "uid=bob,"),
    ],
    ids=["changed", "renamed", "moved", "commas", "unreadable"],
)
def test_a_move_has_name_and_superior(values: dict[str, str], new_name: str | None) -> None:
    """A renamed entry's new name is its new RDN below the new superior, or below the old one."""
    change = change_of(entry(**values))
    assert change.new_name == new_name
    # 64 bits.
    assert change.number == 2**63 - 1
    assert change.external_id == ID
    assert change.mark == f"20260102030405Z {ID}"


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("changenumber", "no number"),
        ("targetdn", "no number or target"),
        ("targetuniqueid", "nsslapd-attribute: nsuniqueid:targetUniqueId"),
    ],
)
def test_an_entry_without_number_or_target_needs_a_full_sync(missing: str, said: str) -> None:
    """Whose entry was changed has to be known."""
    with pytest.raises(ChangesUnavailable) as raised:
        change_of(entry(**{missing: ""}))
    assert raised.value.reason == "history_gap"
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("name", "new_name", "scope", "concerned"),
    [
        (f"uid=a,{PEOPLE}", None, Scope.SUBTREE, True),
        ("uid=a,OU=People , dc=example,dc=test", None, Scope.SUBTREE, True),
        ("uid=a,ou=gone,dc=example,dc=test", None, Scope.SUBTREE, False),
        ("uid=a,ou=gone,dc=example,dc=test", f"uid=a,{PEOPLE}", Scope.SUBTREE, True),
        (f"uid=a,{PEOPLE}", "uid=a,ou=gone,dc=example,dc=test", Scope.SUBTREE, True),
        (f"uid=a,ou=deep,{PEOPLE}", None, Scope.ONE_LEVEL, False),
        (f"uid=a,{PEOPLE}", None, Scope.ONE_LEVEL, True),
        ("no name", None, Scope.SUBTREE, True),
    ],
)
def test_a_change_concerns_a_search_by_either_name(
    name: str, new_name: str | None, scope: Scope, *, concerned: bool
) -> None:
    """Where an entry was and where it is count alike; a name that cannot be read counts, too."""
    request = SearchRequest(base_dn=PEOPLE, scope=scope, filter="(uid=*)")
    assert concerns(Change(1, "", ID, name, new_name), request) is concerned


def test_a_position_is_read_as_it_was_written() -> None:
    """The value of a watermark comes back, and nothing else does."""
    position = Position(7, "cn=ldap://dc=host:389", "20260102030405Z id")
    assert Position.read(position.text) == position
    for text in ("", "{}", "[]", '{"number": "7", "server": "", "mark": ""}'):
        with pytest.raises(ValueError, match=r"no place in a changelog|Expecting value"):
            Position.read(text)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"changelog": "cn=changelog", "firstchangenumber": "3", "lastchangenumber": "9"}, (3, 9)),
        ({"changelog": "cn=changelog", "firstchangenumber": "x", "lastchangenumber": "9"}, None),
        ({"changelog": "cn=changelog", "lastchangenumber": "9"}, None),
        ({"firstchangenumber": "3", "lastchangenumber": "9"}, None),
        ({}, None),
    ],
)
def test_a_root_dse_tells_how_far_the_changelog_reaches(
    attributes: dict[str, str], expected: tuple[int, int] | None
) -> None:
    """Without its name and both numbers there is none."""
    found = reach(Entry("", {name: [value.encode()] for name, value in attributes.items()}))
    assert (found and (found.first, found.last)) == expected


def test_many_ids_are_asked_for_some_at_a_time() -> None:
    """A filter has a hundred clauses at most, and none is lost."""
    ids = [f"id{number:04}" for number in range(250)]
    clauses = list(any_of(ids))
    assert [clause.count("nsUniqueId=") for clause in clauses] == [100, 100, 50]
    assert all(any(f"(nsUniqueId={each})" in clause for clause in clauses) for each in ids)


@pytest.mark.rule("2.8.2", server="pure")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h:389#cn=a:ou=b:(c=d)#7", ("h:389", "cn=a:ou=b:(c=d)", 7)),
        ("h:389#cn=a:ou=b:(c=#)#0", ("h:389", "cn=a:ou=b:(c=#)", 0)),
        ("rid=000,csn=20260102030405.000000Z#000000#001#000000", None),
        ("h:389#cn=a:ou=b:(c=d)#", None),
        ("h:389#7", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_a_cookie_has_server_search_and_number(
    text: str, expected: tuple[str, str, int] | None
) -> None:
    """A cookie of another form, such as OpenLDAP's, is refused before it is sent."""
    if expected is None:
        with pytest.raises(ValueError, match="is no cookie"):
            Cookie.read(text)
    else:
        assert Cookie.read(text)[1:] == expected


@pytest.mark.rule("2.8.4", server="pure")
def test_the_id_of_a_sync_state_is_an_ns_unique_id() -> None:
    """The same 16 bytes, with dashes in other places."""
    assert ns_unique_id("4a04328b-e62a-11f1-8003-b2b830a21962") == ID
