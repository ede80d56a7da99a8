"""The pages behind links in mails, as a browser without scripts uses them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

if TYPE_CHECKING:
    from tests.integration.web.served import Answer, Served

PASSWORD = "correct horse battery staple"
FORM = "application/x-www-form-urlencoded"


def invited(served: Served, username: str, **fields: Any) -> tuple[int, str]:
    """Make a person; return the id and the path of the link that the operator is to hand on."""
    made = served.manage().users.create(
        email=f"{username}@example.test", username=username, **fields
    )
    link: str = made["mail"]["link"]
    return made["id"], "/" + link.split("/", 3)[3]


def page(served: Served, path: str) -> Answer:
    """Open a link."""
    return served.ask("GET", path, token=None, whole=True)


def press(served: Served, path: str, **fields: str) -> Answer:
    """Send its form."""
    raw = urlencode(fields).encode()
    return served.ask("POST", path, token=None, whole=True, raw=raw, headers={"Content-Type": FORM})


def test_an_invitation_is_taken(served: Served) -> None:
    """Opening it changes nothing; choosing a password lets the person in, once."""
    person, path = invited(served, "invited", first_name="<b>Ina</b>")
    assert page(served, path).status == 200
    shown = page(served, path)
    assert shown.status == 200
    text = shown.raw.decode()
    assert text.count('type="password"') == 2
    assert "invited@example.test" in text
    assert not served.manage().users.get(person)["enabled"]
    for fields, told in (
        ({"password": PASSWORD, "again": "another one"}, "differ"),
        ({"password": "short", "again": "short"}, "alert"),
        ({}, "alert"),
        ({"password": PASSWORD}, "differ"),
    ):
        answer = press(served, path, **fields)
        assert answer.status == 422
        assert told in answer.raw.decode()
    assert press(served, path, password=PASSWORD, again=PASSWORD).status == 200
    taken = served.manage().users.get(person)
    assert taken["enabled"]
    assert taken["email_verified"]
    for answer in (page(served, path), press(served, path, password=PASSWORD, again=PASSWORD)):
        assert answer.status == 410
        assert "does not work any more" in answer.raw.decode()
    (stored,) = served.sql("select hash from passwords where user_id = :id", id=person)
    assert PASSWORD not in stored[0]
    assert PASSWORD not in served.log.read_text()


def test_a_page_has_nothing_from_elsewhere(served: Served) -> None:
    """No script, no other server; its one style is named by its hash; it says what it is."""
    _, path = invited(served, "o'<script>alert(1)</script>"[:1] + "framed")
    for answer in (page(served, path), page(served, "/links/nothing")):
        text = answer.raw.decode()
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script" not in policy
        assert "unsafe" not in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"].startswith("text/html")
        assert not re.search(r"<script|https?://|src=|onclick", text)
        assert '<html lang="en">' in text
        assert re.search(r"<title>.+</title>", text)
        assert text.count("<h1>") == 1
        # Every field has its label.
        fields = re.findall(r'<input id="(\w+)"', text)
        assert all(f'<label for="{name}">' in text for name in fields)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/links/nothing", id="unknown"),
        pytest.param("/links/" + "x" * 5_000, id="long"),
        pytest.param("/links/%00%FF%E2%82", id="not text"),
        pytest.param("/links/%3Cscript%3E", id="a tag"),
    ],
)
def test_a_link_that_is_none(served: Served, path: str) -> None:
    """It is a page that says so, and repeats nothing of it."""
    for answer in (page(served, path), press(served, path, password="x", again="x")):
        assert answer.status == 404
        assert b"no such link" in answer.raw
        assert b"<script>" not in answer.raw


@pytest.mark.parametrize(
    ("raw", "status"), [(b"x" * 20_000, 413), (b"\xff\xfe", 422), (b"&" * 1_000, 422)]
)
def test_a_form_that_is_none(served: Served, raw: bytes, status: int) -> None:
    """It chooses no password, and the link works still."""
    _, path = invited(served, f"form{status}{len(raw)}")
    answer = served.ask(
        "POST", path, token=None, whole=True, raw=raw, headers={"Content-Type": FORM}
    )
    assert answer.status == status
    assert page(served, path).status == 200


def test_an_expired_link(served: Served) -> None:
    """After its time it says so, and lets nobody choose a password."""
    person, path = invited(served, "late")
    served.sql(
        "update links set expires_at = '2020-01-01 00:00:00.000000' where user_id = :id", id=person
    )
    assert page(served, path).status == 410
    assert press(served, path, password=PASSWORD, again=PASSWORD).status == 410
    assert not served.manage().users.get(person)["enabled"]
