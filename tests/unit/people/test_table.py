"""Reading people out of files that others made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import Refused
from syncd.people.addresses import checked_email
from syncd.people.table import MOST_BYTES, MOST_ROWS, rows_of
from syncd.records import NewPerson


@pytest.mark.parametrize(
    "header",
    [
        "E-Mail,First name,Last name,Username",
        "email,givenName,sn,uid",
        "Mail;Vorname;Nachname;Login",
        '"Email Address"\t"FIRST_NAME"\t"LAST_NAME"\t"User Name"',
        "\ufeffe mail | prénom | surname | sAMAccountName",
    ],
    ids=["plain", "ldap", "german", "tabs", "bars-and-mark"],
)
def test_headers_are_known_in_common_spellings(header: str) -> None:
    """Whatever the columns are called and parted by, the person is the same."""
    delimiter = next(sign for sign in ",;\t|" if sign in header)
    line = delimiter.join(["mia@example.org", "Mia", "Lee", "mia"])
    for text in (f"{header}\n{line}\n", f"{header}\r\n{line}\r\n".encode()):
        (row,) = rows_of(text)
        assert row.person == NewPerson("mia", "mia@example.org", "Mia", "Lee")
        assert row.number == 2


def test_columns_may_be_left_out_and_in_any_order() -> None:
    """The address is enough; unknown columns and empty lines are passed over."""
    rows = rows_of(
        'Room,Last name,E-mail\n12,"Lee, the elder",mia@example.org\n\n,,\n13,,bo@x.org\n'
    )
    assert [(row.number, row.person) for row in rows] == [
        (2, NewPerson("mia@example.org", "mia@example.org", None, "Lee, the elder")),
        (5, NewPerson("bo@x.org", "bo@x.org")),
    ]


@pytest.mark.parametrize(
    "text",
    ["a@x.org, b@x.org", "a@x.org\nb@x.org\n", "a@x.org;b@x.org", " a@x.org\tb@x.org "],
    ids=["commas", "lines", "semicolons", "tab"],
)
def test_addresses_alone_need_no_header(text: str) -> None:
    """A list of addresses is taken however they are parted."""
    assert [row.person and row.person.email for row in rows_of(text)] == ["a@x.org", "b@x.org"]


def test_many_addresses_may_stand_in_one_line() -> None:
    """A line that is too long for a header is a list of addresses."""
    people = [f"somebody.number.{number}@example.org" for number in range(5_000)]
    assert [row.email for row in rows_of(" ".join(people))] == people


def test_a_bad_row_does_not_spoil_the_others() -> None:
    """Each row stands for itself, with the reason why it is nobody."""
    rows = rows_of("email,first name\nmia@example.org,Mia\nnobody,X\n,Y\nbo@x.org,\x01\n")
    assert [row.person is not None for row in rows] == [True, False, False, False]
    assert "no e-mail address" in (rows[1].reason or "")
    assert "missing" in (rows[2].reason or "")
    assert "first name" in (rows[3].reason or "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "nobody in it"),
        ("email,first name\n", "nobody in it"),
        ("first name,last name\nMia,Lee\n", "no column is called e-mail"),
        ("email\nm\xfcller@x.org\n".encode("latin-1"), "UTF-8"),
        ("a" * (MOST_BYTES + 1), "larger"),
        ("\n".join(f"p{n}@x.org" for n in range(MOST_ROWS + 1)), "more than"),
        ('email\n"' + "x" * 200_000 + '"\n', "cannot be read as CSV"),
    ],
    ids=["empty", "header-only", "no-address", "latin", "large", "many", "field"],
)
def test_a_file_that_cannot_be_taken_is_refused_as_a_whole(text: str | bytes, said: str) -> None:
    """The sentence says what is wrong with the file."""
    with pytest.raises(Refused, match=said):
        rows_of(text)


@given(st.text(max_size=300) | st.binary(max_size=300))
def test_whatever_the_file_every_row_is_a_person_or_has_a_reason(text: str | bytes) -> None:
    """No file makes it fail otherwise than by refusing."""
    try:
        rows = rows_of(text)
    except Refused:
        return
    for row in rows:
        assert (row.person is None) == (row.reason is not None)
        if row.person is not None:
            assert checked_email(row.person.email) == row.person.email
