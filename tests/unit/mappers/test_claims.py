"""What becomes of a token's claims: fields, roles and groups, and who is not let in."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from syncd.errors import SignInRefused
from syncd.mappers.claim_options import (
    ClaimToAttributeOptions,
    ClaimToGroupOptions,
    ClaimToRoleOptions,
    ConditionOptions,
    EssentialClaimOptions,
    UsernameTemplateOptions,
)
from syncd.mappers.claims import Finding, compile_claims
from syncd.mappers.fingerprints import fingerprint
from syncd.mappers.options import (
    HardcodedAttributeOptions,
    HardcodedGroupOptions,
    HardcodedRoleOptions,
    NamePatternOptions,
    RoleImportOptions,
)
from syncd.mappers.origins import FieldOrigin
from syncd.records import Arrival, Claims, Granted
from tests.unit.mappers.signing_in import ISSUER, OVERAGE, claims, mapping

AUDITORS = ClaimToRoleOptions(name="auditors", claim="groups", contains="audit", role="Auditors")
KEEPING = ClaimToRoleOptions(
    name="auditors", claim="groups", contains="audit", role="Auditors", when_absent="keep"
)


def refusal(
    values: dict[str, Any],
    *mappers: Any,
    newcomer: bool = True,
    without: tuple[str, ...] = (),
) -> str:
    """Return the reason for which a person is not let in."""
    with pytest.raises(SignInRefused) as caught:
        mapping(*mappers, without=without)(Claims(ISSUER, "s1", values), newcomer=newcomer)
    assert str(caught.value)
    return caught.value.reason


def test_a_token_without_mappers_makes_a_person() -> None:
    """The claims of OpenID Connect fill the properties of the same meaning."""
    made = mapping()(
        claims(email="Anna@Example.org", email_verified=True, given_name=" Anna ", family_name="B"),
        newcomer=True,
    )
    assert made == Arrival(
        source=ISSUER,
        external_id="s1",
        newcomer=True,
        username="anna",
        fields={
            "email": "anna@example.org",
            "email_verified": True,
            "first_name": "Anna",
            "last_name": "B",
        },
        attributes={},
        granted=(),
        speaking=frozenset(),
        mappers=frozenset(),
    )


# --- conditions ---------------------------------------------------------------------------


def equal(value: Any, claim: str = "x") -> ConditionOptions:
    """Return a condition of equality."""
    return ConditionOptions(claim=claim, equals=value)


def contains(value: Any, claim: str = "x") -> ConditionOptions:
    """Return a condition of containing."""
    return ConditionOptions(claim=claim, contains=value)


def matches(pattern: str, claim: str = "x") -> ConditionOptions:
    """Return a condition of matching."""
    return ConditionOptions(claim=claim, matches=pattern)


CONDITIONS: list[tuple[ConditionOptions, dict[str, Any], str]] = [
    # By type, as JSON has it.
    (equal("a"), {"x": "a"}, "matches"),
    (equal("a"), {"x": "A"}, "no_match"),
    (equal("a"), {"x": "a b"}, "no_match"),
    (equal(True), {"x": True}, "matches"),
    (equal(True), {"x": 1}, "no_match"),
    (equal(True), {"x": "true"}, "no_match"),
    (equal(False), {"x": 0}, "no_match"),
    (equal(1), {"x": 1.0}, "matches"),
    (equal(1), {"x": True}, "no_match"),
    (equal(1), {"x": "1"}, "no_match"),
    (equal("1"), {"x": 1}, "no_match"),
    (equal("null"), {"x": None}, "no_match"),
    (equal(0), {"x": None}, "no_match"),
    (equal(""), {"x": ""}, "matches"),
    # Any element.
    (equal("a"), {"x": ["b", "a"]}, "matches"),
    (equal(1), {"x": [True, "1"]}, "no_match"),
    (equal("a"), {"x": []}, "no_match"),
    (equal("a"), {"x": [["a"]]}, "no_match"),
    (equal("a"), {"x": {"a": "a"}}, "no_match"),
    (equal("a"), {}, "absent"),
    # An element of a list, or a word as in a scope.
    (contains("b"), {"x": ["a", "b"]}, "matches"),
    (contains("b c"), {"x": ["a", "b c"]}, "matches"),
    (contains("b"), {"x": ["a b"]}, "no_match"),
    (contains("b"), {"x": "a b c"}, "matches"),
    (contains("b"), {"x": "abc"}, "no_match"),
    (contains("b"), {"x": "a\u00a0b"}, "no_match"),
    (contains("b c"), {"x": "b c"}, "no_match"),
    (contains(1), {"x": [1]}, "matches"),
    (contains(1), {"x": [True]}, "no_match"),
    (contains(1), {"x": 1}, "no_match"),
    (contains("a"), {"x": {"a": 1}}, "no_match"),
    (contains("a"), {"x": None}, "no_match"),
    (contains("a"), {}, "absent"),
    # The whole text.
    (matches("a+"), {"x": "aaa"}, "matches"),
    (matches("a+"), {"x": "aab"}, "no_match"),
    (matches("a|b"), {"x": "ab"}, "no_match"),
    (matches("a"), {"x": "a\n"}, "no_match"),
    (matches("A"), {"x": "a"}, "no_match"),
    (matches("(?i)A"), {"x": "a"}, "matches"),
    (matches("team-.+"), {"x": ["x", "team-it"]}, "matches"),
    (matches("1"), {"x": 1}, "no_match"),
    (matches("true"), {"x": True}, "no_match"),
    (matches(".*"), {"x": None}, "no_match"),
    (matches(".*"), {}, "absent"),
    # Paths.
    (equal("r", "a.b"), {"a": {"b": "r"}}, "matches"),
    (equal("r", "a.b"), {"a.b": "r"}, "absent"),
    (equal("r", r"a\.b"), {"a.b": "r"}, "matches"),
    (equal("r", r"a\.b"), {"a": {"b": "r"}}, "absent"),
    (equal("r", "a.b"), {"a": "r"}, "absent"),
    (equal("r", "a.b"), {"a": None}, "absent"),
    (equal("r", "a[1]"), {"a": ["q", "r"]}, "matches"),
    (equal("r", "a[1]"), {"a": ["r"]}, "absent"),
    (equal("r", "a[0]"), {"a": "r"}, "absent"),
    (equal("r", "a.0"), {"a": ["r"]}, "absent"),
    (equal("r", "a.n"), {"a": [{"n": "q"}, {"n": "r"}]}, "matches"),
    (equal("r", "a.n"), {"a": [{"n": ["q", "r"]}]}, "matches"),
    (equal("r", "a.n"), {"a": [{"n": "q"}, "r"]}, "no_match"),
    (equal("r", "a.n"), {"a": []}, "no_match"),
    (equal("r", "a.n"), {"a": ["r"]}, "absent"),
    (equal("s1", "sub"), {"sub": "another"}, "matches"),
    (equal(ISSUER, "iss"), {}, "matches"),
]


@pytest.mark.rule("K50", server="pure")
@pytest.mark.parametrize(
    ("condition", "values", "outcome"), CONDITIONS, ids=[str(i) for i in range(len(CONDITIONS))]
)
def test_what_the_claims_say_of_a_condition(
    condition: ConditionOptions, values: dict[str, Any], outcome: str
) -> None:
    """Values are compared by type, lists by element, patterns with the whole text."""
    mapper = ClaimToRoleOptions(name="m", all_of=(condition,), role="R")
    (found,) = mapping(mapper).findings(claims(values))
    assert found.outcome == outcome
    assert found.gives == (outcome == "matches")


A, B = equal(1, "a"), equal(1, "b")


@pytest.mark.parametrize(
    ("values", "taking", "keeping"),
    [
        ({"a": 1, "b": 1}, True, True),
        ({"a": 1, "b": 2}, False, False),
        ({"a": 1}, False, None),
        ({"b": 1}, False, None),
        ({"a": 2}, False, False),
        ({"b": 2}, False, False),
        ({}, False, None),
        ({"a": 1, "_claim_names": {"b": "s"}}, None, None),
        ({"a": 2, "_claim_names": {"b": "s"}}, False, False),
        ({"b": 2, "_claim_names": {"a": "s"}}, False, False),
        ({"_claim_names": {"a": "s"}}, False, None),
        ({"_claim_names": {"a": "s", "b": "s"}}, None, None),
        ({"a": 2, "b": 1, "_claim_names": {"a": "s"}}, None, None),
    ],
)
def test_several_conditions_hold_together(
    values: dict[str, Any], *, taking: bool | None, keeping: bool | None
) -> None:
    """One that does not hold decides; without such a one, what nobody knows decides nothing."""
    role = ClaimToRoleOptions(name="m", all_of=(A, B), role="R")
    kept = ClaimToRoleOptions(name="m", all_of=(A, B), role="R", when_absent="keep")
    assert [mapping(each).findings(claims(values))[0].gives for each in (role, kept)] == [
        taking,
        keeping,
    ]


@pytest.mark.parametrize("conditions", [(A, B), (B, A)], ids=["ab", "ba"])
def test_what_stands_elsewhere_outweighs_what_is_absent(
    conditions: tuple[ConditionOptions, ...],
) -> None:
    """A newcomer is refused although the absent claim would be left alone, in either order."""
    kept = ClaimToRoleOptions(name="m", all_of=conditions, role="R", when_absent="keep")
    token = {"preferred_username": "a", "_claim_names": {"b": "s"}}
    assert mapping(kept).findings(claims(token))[0].outcome == "elsewhere"
    assert refusal(token, kept) == "groups_overage"


# --- roles and groups ---------------------------------------------------------------------


def gains(made: Arrival) -> tuple[list[str], list[str]]:
    """Return what an arrival gives, and which mappers speak."""
    return [each.name for each in made.granted], sorted(made.speaking)


@pytest.mark.rule("K49", server="pure")
@pytest.mark.parametrize(
    ("mapper", "values", "expected"),
    [
        (AUDITORS, {"groups": ["audit"]}, (["Auditors"], ["auditors"])),
        (AUDITORS, {"groups": ["x"]}, ([], ["auditors"])),
        (AUDITORS, {"groups": []}, ([], ["auditors"])),
        (AUDITORS, {"groups": None}, ([], ["auditors"])),
        (AUDITORS, {}, ([], ["auditors"])),
        (KEEPING, {}, ([], [])),
        (KEEPING, {"groups": []}, ([], ["auditors"])),
        (KEEPING, {"groups": None}, ([], ["auditors"])),
        (KEEPING, {"groups": ["audit"]}, (["Auditors"], ["auditors"])),
    ],
)
def test_a_role_goes_with_the_claim_that_gave_it(
    mapper: ClaimToRoleOptions, values: dict[str, Any], expected: tuple[list[str], list[str]]
) -> None:
    """A mapper that speaks and does not give takes back; an absent claim may be told to keep."""
    for newcomer in (True, False):
        assert gains(mapping(mapper)(claims(values), newcomer=newcomer)) == expected


def test_who_gives_what_stands_with_the_gift() -> None:
    """Kind, name and mapper go along, and whether the role or group may be made for it."""
    made = mapping(
        AUDITORS,
        ClaimToRoleOptions(
            name="owners", claim="o", equals=True, role="Owner", may_grant_privileged=True
        ),
        ClaimToRoleOptions(name="new", claim="o", equals=True, role="New", unknown_role="create"),
        ClaimToGroupOptions(name="it", claim="groups", matches="au.*", group="/Staff/IT"),
        HardcodedRoleOptions(name="all", role="Staff"),
        HardcodedGroupOptions(name="everybody", group="Everybody"),
    )(claims(groups=["audit"], o=True), newcomer=False)
    assert made.granted == (
        Granted("auditors", "role", "Auditors", create=False),
        Granted("owners", "role", "Owner", create=False),
        Granted("new", "role", "New", create=True),
        Granted("it", "group", "/Staff/IT", create=True),
        Granted("all", "role", "Staff", create=True),
        Granted("everybody", "group", "Everybody", create=True),
    )
    assert made.speaking == {"auditors", "owners", "new", "it", "all", "everybody"}
    assert made.privileged == {"owners"}


def test_names_of_mappers_go_along() -> None:
    """What former mappers gave is told apart, also where only the type is another one by now."""
    made = compile_claims(
        organization_id="acme",
        trust_email=False,
        sync_mode="force",
        mappers=[UsernameTemplateOptions(name="username", template="${SUB}"), AUDITORS],
        configured=frozenset({"departments", "username"}),
        renamed={"revisors": "auditors"},
    )(claims(), newcomer=True)
    assert made.mappers == {"auditors", "departments"}
    assert made.renamed == {"revisors": "auditors"}


@pytest.mark.rule("K50", server="pure")
@pytest.mark.parametrize(
    ("mode", "own", "speaks"),
    [
        ("force", "inherit", True),
        ("force", "force", True),
        ("force", "import", False),
        ("import", "inherit", False),
        ("import", "import", False),
        ("import", "force", True),
    ],
)
def test_import_mappers_speak_of_newcomers_only(
    mode: Literal["import", "force"],
    own: Literal["import", "force", "inherit"],
    *,
    speaks: bool,
) -> None:
    """At a second sign-in they say nothing: what is stored stays, whatever the claims are now."""
    made = mapping(
        ClaimToRoleOptions(name="r", claim="g", contains="a", role="R", sync_mode=own),
        ClaimToAttributeOptions(name="d", claim="d", user_attribute="dept", sync_mode=own),
        ClaimToAttributeOptions(name="email", claim="m", user_attribute="email", sync_mode=own),
        HardcodedGroupOptions(name="h", group="All", sync_mode=own),
        HardcodedAttributeOptions(name="c", user_attribute="site", value="B", sync_mode=own),
        UsernameTemplateOptions(name="username", template="x-${SUB}", sync_mode=own),
        mode=mode,
        without=("email", "username", "first name", "last name"),
    )
    token = claims(g=["a"], d="IT", m="a@b.org")
    first, second = made(token, newcomer=True), made(token, newcomer=False)
    assert gains(first) == (["R", "All"], ["h", "r"])
    assert (first.username, first.fields["email"]) == ("x-s1", "a@b.org")
    assert first.attributes == {"dept": ("IT",), "site": ("B",)}
    if speaks:
        assert gains(second) == gains(first)
        assert (second.username, second.fields) == (first.username, first.fields)
        assert second.attributes == first.attributes
    else:
        assert gains(second) == ([], [])
        assert (second.username, second.fields, second.attributes) == (None, {}, {})
        assert {each.outcome for each in made.findings(token, newcomer=False)} == {"not_now"}


OVERAGES: list[dict[str, Any]] = [
    OVERAGE,
    {"hasgroups": True},
    {"hasgroups": "true"},
    {"groups:src1": {"endpoint": "https://graph.example.org/me"}},
    {"_claim_names": {"groups": "src1"}, "groups": ["x"]},
]


@pytest.mark.parametrize("values", OVERAGES, ids=[str(i) for i in range(len(OVERAGES))])
def test_groups_that_were_left_out_are_never_no_groups(values: dict[str, Any]) -> None:
    """Somebody known keeps what he had; of a newcomer nobody could tell, so he does not come in."""
    for mapper in (
        AUDITORS,
        KEEPING,
        ClaimToGroupOptions(name="g", claim="groups", matches="a.*", group="G"),
        ClaimToRoleOptions(name="n", claim="groups.name", equals="a", role="R"),
    ):
        assert gains(mapping(mapper)(claims(values), newcomer=False)) == ([], [])
        assert refusal({"preferred_username": "a", **values}, mapper) == "groups_overage"
        (found,) = mapping(mapper).findings(claims(values))
        assert (found.outcome, found.gives) == ("elsewhere", None)


def test_a_group_that_is_in_the_token_counts_though_others_were_left_out() -> None:
    """What is there is true, whatever else there may be."""
    token = claims(OVERAGE, groups=["audit"])
    assert gains(mapping(AUDITORS)(token, newcomer=True)) == (["Auditors"], ["auditors"])


@pytest.mark.parametrize(
    "values",
    [
        {"_claim_names": {"address": "src1"}},
        {"_claim_names": ["groups"]},
        {"_claim_names": None},
        {"hasgroups": False},
        {"groups:source": {}},
        {":src1": {}},
    ],
)
def test_what_is_no_sign_of_left_out_groups_is_none(values: dict[str, Any]) -> None:
    """Other claims that stand elsewhere say nothing of the groups."""
    assert gains(mapping(AUDITORS)(claims(values), newcomer=True)) == ([], ["auditors"])


def test_left_out_groups_fill_no_attribute() -> None:
    """Neither the default nor emptiness takes the place of what is not known."""
    mapper = ClaimToAttributeOptions(
        name="g", claim="groups", user_attribute="teams", default_value="none"
    )
    must = ClaimToAttributeOptions(name="g", claim="groups", user_attribute="teams", mandatory=True)
    for newcomer in (True, False):
        assert mapping(mapper)(claims(OVERAGE), newcomer=newcomer).attributes == {}
    assert mapping(must)(claims(OVERAGE), newcomer=False).attributes == {}
    assert refusal({"preferred_username": "a", **OVERAGE}, must) == "groups_overage"


# --- attributes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "values"),
    [
        ("IT", ("IT",)),
        ("  IT ", ("IT",)),
        (["b", "a", "b", " "], ("a", "b")),
        (7, ("7",)),
        (1.5, ("1.5",)),
        (True, ("true",)),
        ([1, False, None], ("1", "false")),
        ("", ()),
        ("  ", ()),
        (None, ()),
        ([], ()),
        ([None, ""], ()),
    ],
    ids=str,
)
def test_a_claim_fills_an_attribute(value: Any, values: tuple[str, ...]) -> None:
    """Texts, numbers and booleans, each once and sorted; what is empty takes the values away."""
    mapper = ClaimToAttributeOptions(name="m", claim="d", user_attribute="dept")
    for newcomer in (True, False):
        assert mapping(mapper)(claims(d=value), newcomer=newcomer).attributes == {"dept": values}


def test_an_absent_claim_says_nothing_of_an_attribute() -> None:
    """What is stored stays."""
    mapper = ClaimToAttributeOptions(name="m", claim="d", user_attribute="dept")
    assert mapping(mapper)(claims(), newcomer=False).attributes == {}


@pytest.mark.parametrize("values", [{}, {"d": ""}, {"d": []}, {"d": None}], ids=str)
def test_a_default_stands_in_and_a_mandatory_claim_must_be_there(values: dict[str, Any]) -> None:
    """Absent and empty are alike for both."""
    default = ClaimToAttributeOptions(
        name="m", claim="d", user_attribute="dept", default_value="none", mandatory=True
    )
    must = ClaimToAttributeOptions(name="m", claim="d", user_attribute="dept", mandatory=True)
    made = mapping(default)(claims(values), newcomer=False)
    assert made.attributes == {"dept": ("none",)}
    for newcomer in (True, False):
        found = refusal({"preferred_username": "a", **values}, must, newcomer=newcomer)
        assert found == "missing_mandatory"


def test_how_many_values_are_kept() -> None:
    """All for an attribute, the first in the token for a property, unless said otherwise."""
    made = mapping(
        ClaimToAttributeOptions(name="a", claim="d", user_attribute="a"),
        ClaimToAttributeOptions(name="b", claim="d", user_attribute="b", multivalued=False),
        ClaimToAttributeOptions(name="last name", claim="d", user_attribute="lastName"),
        without=("last name",),
    )(claims(d=["z", "a"]), newcomer=True)
    assert made.attributes == {"a": ("a", "z"), "b": ("z",)}
    assert made.fields == {"last_name": "z"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"a": 1}, "not_text"),
        ([{"a": 1}], "not_text"),
        ([["a"]], "not_text"),
        ("a\0b", "not_text"),
        ("\ud800", "not_text"),
        (float("inf"), "not_text"),
        (10**5000, "not_text"),
        ("x" * 4097, "too_long"),
    ],
    ids=["object", "objects", "lists", "nul", "half a pair", "infinity", "huge", "long"],
)
def test_what_cannot_be_stored_is_refused(value: Any, reason: str) -> None:
    """Nothing is cut or made up; other claims of the kind that nobody maps do no harm."""
    mapper = ClaimToAttributeOptions(name="m", claim="d", user_attribute="dept")
    assert refusal({"preferred_username": "a", "d": value}, mapper) == reason
    assert mapping()(claims(d=value), newcomer=True).username == "anna"


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"given_name": "A", "family_name": "B", "name": "X Y"}, ("A", "B")),
        ({"given_name": "A", "name": "X Y"}, ("A", ...)),
        ({"family_name": "", "name": "X Y"}, (..., None)),
        ({"name": "Anna Maria  Berg"}, ("Anna Maria", "Berg")),
        ({"name": "Madonna"}, (None, "Madonna")),
        ({"name": ""}, (None, None)),
        ({}, (..., ...)),
        ({"given_name": None, "family_name": ["B"]}, (None, "B")),
    ],
    ids=str,
)
def test_names_come_from_their_claims_or_from_the_whole_name(
    values: dict[str, Any], fields: tuple[object, object]
) -> None:
    """The whole name is parted only where the token has neither of its parts."""
    made = mapping()(claims(values), newcomer=False)
    keys = ("first_name", "last_name")
    assert tuple(made.fields.get(key, ...) for key in keys) == fields


VERIFIED: list[tuple[dict[str, Any], bool, object]] = [
    ({"email": "A@b.org", "email_verified": True}, False, True),
    ({"email": "a@b.org", "email_verified": "True"}, False, True),
    ({"email": "a@b.org", "email_verified": False}, True, False),
    ({"email": "a@b.org", "email_verified": "false"}, True, False),
    ({"email": "a@b.org", "email_verified": 1}, True, False),
    ({"email": "a@b.org", "email_verified": "yes"}, True, False),
    ({"email": "a@b.org"}, True, True),
    ({"email": "a@b.org"}, False, False),
    ({"email": "a@b.org", "email_verified": None}, True, True),
    # Of an address that is not there nothing is verified.
    ({"email": "", "email_verified": True}, True, False),
    ({"email": "nobody", "email_verified": True}, True, False),
    ({"email_verified": True}, True, ...),
]


@pytest.mark.parametrize(
    ("values", "trust", "verified"), VERIFIED, ids=[str(i) for i in range(len(VERIFIED))]
)
def test_an_address_is_verified_as_the_token_says_or_else_by_trust(
    values: dict[str, Any], *, trust: bool, verified: object
) -> None:
    """Only true is true; trust_email decides where the token says nothing."""
    made = mapping(trust_email=trust)(claims(values), newcomer=False)
    assert made.fields.get("email_verified", ...) == verified


def test_what_the_token_verifies_is_its_own_address() -> None:
    """An address from another claim is not verified by what is said of ``email``."""
    other = ClaimToAttributeOptions(name="email", claim="upn", user_attribute="email")
    made = mapping(other, without=("email",))
    token = claims(upn="boss@b.org", email="a@b.org", email_verified=True)
    assert made(token, newcomer=True).fields["email_verified"] is False
    same = claims(upn="A@B.org", email="a@b.org", email_verified=True)
    assert made(same, newcomer=True).fields["email_verified"] is True


@pytest.mark.parametrize(("value", "verified"), [("true", True), (False, False), ("", False)])
def test_a_mapper_may_say_what_is_verified(value: object, *, verified: bool) -> None:
    """A claim of its own (such as who owns the domain) takes the place of email_verified."""
    mapper = ClaimToAttributeOptions(name="v", claim="edov", user_attribute="emailVerified")
    token = claims(email="a@b.org", email_verified=not verified, edov=value)
    assert mapping(mapper)(token, newcomer=True).fields["email_verified"] is verified
    plain = claims(email="a@b.org", email_verified=True)
    assert mapping(mapper)(plain, newcomer=True).fields["email_verified"] is True


@pytest.mark.parametrize(
    ("values", "email"),
    [({"email": ""}, None), ({"email": None}, None), ({"email": "x y"}, None), ({}, ...)],
    ids=str,
)
def test_an_address_is_emptied_by_a_statement_only(values: dict[str, Any], email: object) -> None:
    """Without the claim it stays; a claim that is empty or no address takes it away."""
    made = mapping()(claims(values), newcomer=False)
    assert made.fields.get("email", ...) == email


# --- usernames ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "username", "later"),
    [
        ({"preferred_username": "Anna", "email": "a@b.org"}, "Anna", "Anna"),
        ({"preferred_username": "", "email": "A@b.org"}, "A@b.org", None),
        ({"preferred_username": None}, "s1", None),
        ({"email": "a@b.org"}, "a@b.org", None),
        ({}, "s1", None),
    ],
    ids=str,
)
def test_a_username_is_found_once_and_renamed_by_its_claim_only(
    values: dict[str, Any], username: str, later: str | None
) -> None:
    """A claim that a provider leaves out once renames nobody."""
    token = Claims(ISSUER, "s1", values)
    assert mapping()(token, newcomer=True).username == username
    assert mapping()(token, newcomer=False).username == later


@pytest.mark.parametrize(
    ("template", "values", "username"),
    [
        ("${CLAIM.upn}", {"upn": "anna"}, "anna"),
        ("${ALIAS}.${SUB}", {}, "acme.s1"),
        ("${CLAIM.upn | local_part | upper}", {"upn": "Anna@x.org"}, "ANNA"),
        ("${CLAIM.upn|localpart}", {"upn": "anna"}, "anna"),
        (r"${CLAIM.a\.b.c[0] | lower}", {"a.b": {"c": ["X"]}}, "x"),
        ("u${CLAIM.n}", {"n": 7}, "u7"),
        ("${CLAIM.n}", {"n": ["one"]}, "one"),
        ("${CLAIM.a} ${CLAIM.b}", {"a": " x ", "b": "y"}, "x y"),
        ("${alias | upper}-${claim.a}", {"a": "x"}, "ACME-x"),
    ],
)
def test_a_template_is_filled(template: str, values: dict[str, Any], username: str) -> None:
    """Texts stay, variables become what they stand for."""
    made = mapping(UsernameTemplateOptions(name="t", template=template), without=("username",))
    assert made(claims(values), newcomer=True).username == username


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "missing_username"),
        ({"u": ""}, "missing_username"),
        ({"u": None}, "missing_username"),
        ({"u": []}, "missing_username"),
        ({"u": {}}, "not_text"),
        ({"u": ["a", "b"]}, "bad_username"),
        ({"u": "a\nb"}, "bad_username"),
        ({"u": "\u202ea"}, "bad_username"),
        ({"u": "x" * 256}, "bad_username"),
    ],
    ids=str,
)
def test_a_newcomer_has_a_name_or_does_not_come_in(values: dict[str, Any], reason: str) -> None:
    """No name is empty, cut or chosen among several, whichever mapper makes it."""
    for mapper in (
        ClaimToAttributeOptions(name="n", claim="u", user_attribute="username"),
        UsernameTemplateOptions(name="n", template="${CLAIM.u}"),
        UsernameTemplateOptions(name="n", template="x${CLAIM.u}"),
    ):
        assert refusal(values, mapper, without=("username",)) == reason
        if reason == "missing_username":
            known = mapping(mapper, without=("username",))(claims(values), newcomer=False)
            assert known.username is None


def test_without_any_mapper_of_the_username_nobody_new_comes_in() -> None:
    """The configuration refuses that; the mapping does not make one up either."""
    assert refusal({}, without=("username",)) == "missing_username"


# --- gates --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"e": ["x", "in"]}, None),
        ({"e": ["x"]}, "essential_claim"),
        ({"e": []}, "essential_claim"),
        ({}, "essential_claim"),
        ({"_claim_names": {"e": "s"}}, "groups_overage"),
    ],
    ids=str,
)
def test_a_gate_lets_in_whoever_has_the_claim(values: dict[str, Any], reason: str | None) -> None:
    """It is closed at each sign-in, whatever the mode; what nobody knows does not open it."""
    gate = EssentialClaimOptions(name="g", claim="e", contains="in")
    for newcomer in (True, False):
        made = mapping(gate, mode="import")
        if reason is None:
            assert made(claims(values), newcomer=newcomer).external_id == "s1"
        else:
            with pytest.raises(SignInRefused) as caught:
                made(claims(values), newcomer=newcomer)
            assert caught.value.reason == reason


def test_an_import_gate_is_closed_for_newcomers_only() -> None:
    """Where that is asked for."""
    gate = EssentialClaimOptions(name="g", claim="e", contains="in", sync_mode="import")
    assert refusal({}, gate) == "essential_claim"
    assert mapping(gate)(claims(), newcomer=False).username == "anna"


# --- patterns -----------------------------------------------------------------------------


def test_a_pattern_that_takes_too_long_refuses_and_is_no_no() -> None:
    """Nested repetitions over a text of the provider's choice do not stop a sign-in for long."""
    slow = ClaimToRoleOptions(name="slow", claim="x", matches="(?:a|aa)+(?:a|aa)+b", role="R")
    values = {"preferred_username": "a", "x": "a" * 4000}
    for newcomer in (True, False):
        assert refusal(values, slow, newcomer=newcomer) == "slow_pattern"
    (found,) = mapping(slow).findings(claims(values))
    assert (found.outcome, found.gives) == ("slow", None)


def test_many_texts_share_the_time_of_one() -> None:
    """The bound is for all patterns of a token together, not for each element."""
    slow = ClaimToRoleOptions(name="slow", claim="x", matches="(?:a|aa)+(?:a|aa)+b", role="R")
    values = {"preferred_username": "a", "x": ["a" * n for n in range(18, 60)] * 10}
    assert refusal(values, slow) == "slow_pattern"


# --- what is told -------------------------------------------------------------------------


def test_where_each_field_comes_from_is_told() -> None:
    """The mapper, the claim that it found, its values in the token, and what became of them."""
    made = mapping(
        ClaimToAttributeOptions(name="department", claim="org.dept", user_attribute="dept"),
        HardcodedAttributeOptions(name="site", user_attribute="site", value="Berlin"),
        ClaimToAttributeOptions(name="desk", claim="desk", user_attribute="desk"),
        ClaimToAttributeOptions(name="bad", claim="org", user_attribute="bad"),
        UsernameTemplateOptions(name="username", template="${ALIAS}-${CLAIM.upn}"),
        without=("username",),
    )
    token = claims(
        upn=7, email="A@b.org", email_verified=False, name="Anna B", org={"dept": ["x", "a"]}
    )
    assert made.explain(token) == [
        FieldOrigin("username", "acme-7", "username", "${ALIAS}-${CLAIM.upn}", ["7"]),
        FieldOrigin("email", "a@b.org", "email", "email", ["A@b.org"]),
        FieldOrigin("email_verified", False, None, "email_verified", ["false"]),
        FieldOrigin("first_name", "Anna", "first name", "name", ["Anna B"]),
        FieldOrigin("last_name", "B", "last name", "name", ["Anna B"]),
        FieldOrigin("attributes.bad", None, "bad", "org", ['{"dept": ["x", "a"]}']),
        FieldOrigin("attributes.dept", ["a", "x"], "department", "org.dept", ["x", "a"]),
        FieldOrigin("attributes.desk", None, "desk", "desk", []),
        FieldOrigin("attributes.site", ["Berlin"], "site", None, []),
    ]
    assert made.explain(claims())[0].value is None
    known = mapping().explain(claims(), newcomer=False)
    assert [each.value for each in known] == ["anna", None, None, None, None]


def test_what_fills_a_field_and_who_gives_a_role_is_known_without_a_token() -> None:
    """For questions about people who are not signing in."""
    made = mapping(
        ClaimToAttributeOptions(name="department", claim="org.dept", user_attribute="dept"),
        HardcodedAttributeOptions(name="site", user_attribute="site", value="Berlin"),
        AUDITORS,
        HardcodedRoleOptions(name="too", role="Auditors"),
        ClaimToGroupOptions(name="it", claim="g", equals=1, group="/IT"),
    )
    assert made.fields == {
        "username": ("username", "preferred_username"),
        "first_name": ("first name", "given_name"),
        "last_name": ("last name", "family_name"),
        "email": ("email", "email"),
        "attributes.dept": ("department", "org.dept"),
        "attributes.site": ("site", None),
    }
    assert made.givers == {("role", "Auditors"): ("auditors", "too"), ("group", "/IT"): ("it",)}


def test_what_the_claims_say_to_each_mapper_is_told() -> None:
    """Gates first, then roles and groups in their order."""
    made = mapping(
        AUDITORS,
        HardcodedRoleOptions(name="all", role="Staff"),
        EssentialClaimOptions(name="gate", all_of=(equal(1, "a"), equal(1, "b"))),
    )
    assert made.findings(claims(a=1, groups=[])) == [
        Finding("gate", "essential-claim", None, "a, b", "absent", False),
        Finding("auditors", "claim-to-role", "Auditors", "groups", "no_match", False),
        Finding("all", "hardcoded-role", "Staff", None, "always", True),
    ]


def test_the_later_mapper_of_a_field_wins_where_it_says_something() -> None:
    """As with directories."""
    made = mapping(
        HardcodedAttributeOptions(name="h", user_attribute="dept", value="none"),
        ClaimToAttributeOptions(name="c", claim="d", user_attribute="dept"),
    )
    assert made(claims(), newcomer=True).attributes == {"dept": ("none",)}
    assert made(claims(d="IT"), newcomer=True).attributes == {"dept": ("IT",)}
    assert made(claims(d=""), newcomer=True).attributes == {"dept": ()}


def test_a_fingerprint_tells_mappings_apart() -> None:
    """Every option counts, those that directories do not know as well."""
    variants = [
        mapping(),
        mapping(mode="import"),
        mapping(trust_email=True),
        mapping(AUDITORS),
        mapping(KEEPING),
        mapping(HardcodedRoleOptions(name="h", role="R")),
        mapping(HardcodedRoleOptions(name="h", role="R", sync_mode="import")),
        mapping(without=("email",)),
    ]
    assert len({each.fingerprint for each in variants}) == len(variants)
    assert mapping(AUDITORS).fingerprint == mapping(AUDITORS).fingerprint


def test_the_mapping_of_directories_counts_as_unchanged() -> None:
    """What claims brought to mappers of both kinds makes no directory read everybody anew."""
    before = "5116d3909393de43ebc6c70167d02e8e"
    modes: tuple[Literal["inherit", "import"], ...] = ("inherit", "import")
    for mode in modes:
        assert before == fingerprint(
            [
                HardcodedRoleOptions(name="h", role="R", sync_mode=mode),
                HardcodedAttributeOptions(name="a", user_attribute="b", value="c", sync_mode=mode),
                HardcodedGroupOptions(name="g", group="G", sync_mode=mode),
                RoleImportOptions(
                    roles_dn="ou=r", name_patterns=(NamePatternOptions(match="a", role="b"),)
                ),
            ]
        )
