"""Reads people out of a CSV file, or out of e-mail addresses that somebody typed. Pure.

A file's first row names its columns, in whatever spelling is common; without such a row each word
is an e-mail address, apart by commas, semicolons, spaces or line breaks.
"""

from __future__ import annotations

import csv
import re
from io import StringIO
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from syncd.errors import Refused
from syncd.people.addresses import checked_email, checked_name, checked_username
from syncd.records import NewPerson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MOST_BYTES = 4 * 1024 * 1024
MOST_ROWS = 10_000
LONGEST_FIELD = 4_096
DELIMITERS = ",;\t|"
HEADERS: Mapping[str, str] = {
    spelling: field
    for field, spellings in {
        "email": "email emailaddress mail mailaddress userprincipalname",
        "first_name": "firstname givenname forename first vorname prenom prénom",
        "last_name": "lastname surname familyname sn last nachname nom",
        "username": "username user login loginname account uid samaccountname",
    }.items()
    for spelling in spellings.split()
}
_BETWEEN = re.compile(r"[\s,;]+")


class Row(NamedTuple):
    """A row: a person, or the reason why it is none."""

    # The line of the file, or the how manieth address.
    number: int
    # As written.
    email: str
    person: NewPerson | None
    reason: str | None


def rows_of(text: str | bytes) -> list[Row]:
    """Return the rows of a file or a list of addresses, empty ones left out.

    Raises:
        Refused: It is too large, no UTF-8, or names no column with e-mail addresses.

    """
    decoded = _decoded(text)
    first = next((line for line in decoded.splitlines() if line.strip()), "")
    delimiter = max(DELIMITERS, key=first.count)
    try:
        names = _columns(next(csv.reader([first], delimiter=delimiter), []))
    except csv.Error:
        # A line that long is no header.
        names = {}
    rows = _table(decoded, delimiter) if names else _addresses(decoded)
    found = list(islice(rows, MOST_ROWS + 1))
    if not found:
        raise Refused("there is nobody in it; give e-mail addresses, or a CSV file with a header")
    if len(found) > MOST_ROWS:
        raise Refused(f"it has more than {MOST_ROWS} people; divide it into several files")
    return found


def _decoded(text: str | bytes) -> str:
    size = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "surrogatepass"))
    if size > MOST_BYTES:
        raise Refused(f"it is larger than {MOST_BYTES} bytes; divide it into several files")
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused("it is not in UTF-8; save it with that encoding") from error


def _columns(header: Sequence[str]) -> dict[str, int]:
    """Return where the columns are that a header names; nothing when it is no header."""
    found: dict[str, int] = {}
    for at, title in enumerate(header):
        field = HEADERS.get(re.sub(r"[\W_]+", "", title).casefold())
        if field is not None:
            found.setdefault(field, at)
    if found and "email" not in found:
        raise Refused("no column is called e-mail; name it so in the first row")
    return found


def _table(text: str, delimiter: str) -> Iterator[Row]:
    reader = csv.reader(StringIO(text), delimiter=delimiter)
    columns: dict[str, int] = {}
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                columns = _columns(cells)
                continue
            values = {
                field: cells[at][:LONGEST_FIELD].strip()
                for field, at in columns.items()
                if at < len(cells)
            }
            yield _row(reader.line_num, values)
    except csv.Error as error:
        raise Refused(f"line {reader.line_num} cannot be read as CSV: {error}") from error


def _addresses(text: str) -> Iterator[Row]:
    words = [word for word in _BETWEEN.split(text) if word]
    for number, word in enumerate(words, 1):
        yield _row(number, {"email": word[:LONGEST_FIELD]})


def _row(number: int, values: Mapping[str, str]) -> Row:
    written = values.get("email", "")
    try:
        email = checked_email(written)
        person = NewPerson(
            username=checked_username(values.get("username") or email),
            email=email,
            first_name=checked_name(values.get("first_name"), "first name"),
            last_name=checked_name(values.get("last_name"), "last name"),
        )
    except Refused as refused:
        return Row(number, written, None, str(refused))
    return Row(number, written, person, None)
