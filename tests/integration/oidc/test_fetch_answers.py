"""What a provider may answer, and what is not taken from it."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from syncd.oidc.failure import Cause
from syncd.oidc.fetch import LARGEST_BODY_BYTES
from tests.integration.oidc.reaching import BODY, NAME, chunked, failure, fetcher
from tests.servers.answering import AnsweringServer, answer

if TYPE_CHECKING:
    from tests.servers.authority import Authority


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/jwk-set+json",
        "application/json;charset=UTF-8",
    ],
)
def test_kinds_of_json_are_taken(server: AnsweringServer, authority: Authority, kind: str) -> None:
    """JSON is taken by each of its names."""
    server.answer = answer(BODY, kind=kind)
    assert fetcher(authority).get(server.url(host=NAME)) == BODY


def test_a_body_in_chunks_is_put_together(server: AnsweringServer, authority: Authority) -> None:
    """An answer in chunks is taken as the body that it is."""
    server.answer = chunked(BODY[:3], BODY[3:])
    assert fetcher(authority).get(server.url(host=NAME)) == BODY


def test_a_body_of_the_largest_size_is_taken(server: AnsweringServer, authority: Authority) -> None:
    """The limit itself is within the limit, and one octet more is not."""
    largest = json.dumps("x" * (LARGEST_BODY_BYTES - 2)).encode()
    server.answer = answer(largest)
    assert fetcher(authority).get(server.url(host=NAME)) == largest
    for more in (answer(largest + b" "), chunked(largest, b" ")):
        server.answer = more
        assert failure(fetcher(authority), server.url(host=NAME)).reason is Cause.TOO_LARGE


SECRET = "do-not-repeat-this"
PAGE = f"<html>{SECRET}</html>".encode()
REFUSED: dict[str, tuple[bytes, Cause]] = {
    "a page": (answer(PAGE, kind="text/html"), Cause.NOT_JSON),
    "a page that says json": (answer(PAGE, kind="text/html; application/json"), Cause.NOT_JSON),
    "text": (answer(BODY, kind="text/json"), Cause.NOT_JSON),
    "no kind": (answer(BODY, kind=None), Cause.NOT_JSON),
    "two kinds": (
        answer(BODY).replace(b"\r\n\r\n", b"\r\nContent-Type: text/html\r\n\r\n", 1),
        Cause.NOT_JSON,
    ),
    "not there": (answer(PAGE, status="404 Not Found"), Cause.STATUS),
    "an error": (answer(PAGE, status="500 Internal Server Error"), Cause.STATUS),
    "an error in json": (answer(BODY, status="503 Unavailable"), Cause.STATUS),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", Cause.STATUS),
    "a part": (answer(BODY, status="206 Partial Content"), Cause.STATUS),
    "an upgrade": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", Cause.PROTOCOL),
    "gzip": (answer(gzip.compress(BODY), Content_Encoding="gzip"), Cause.PROTOCOL),
    "garbage": (f"{SECRET}\r\n\r\n".encode(), Cause.PROTOCOL),
    "nothing": (b"", Cause.PROTOCOL),
    "less than said": (answer(BODY)[:-1], Cause.PROTOCOL),
    "a chunk less": (chunked(BODY)[:-5], Cause.PROTOCOL),
    "an endless header": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000, Cause.PROTOCOL),
    "a length of many digits": (
        answer(BODY).replace(b"Content-Length: 11", b"Content-Length: " + b"9" * 5000),
        Cause.PROTOCOL,
    ),
    "a negative length": (
        answer(BODY).replace(b"Content-Length: 11", b"Content-Length: -1"),
        Cause.PROTOCOL,
    ),
    "a chunk of many digits": (
        chunked(BODY).replace(b"\r\nb\r\n", b"\r\n" + b"f" * 5000 + b"\r\n"),
        Cause.PROTOCOL,
    ),
    "another framing": (
        chunked(BODY).replace(b"chunked", b"gzip, chunked"),
        Cause.PROTOCOL,
    ),
    "HTTP/2": (answer(BODY).replace(b"HTTP/1.1", b"HTTP/2"), Cause.PROTOCOL),
    "a header with zeros": (answer(BODY, X_Zero="\0"), Cause.PROTOCOL),
    "a status of four digits": (answer(BODY, status="2000 OK"), Cause.PROTOCOL),
    "two lengths": (
        answer(BODY).replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n", 1),
        Cause.PROTOCOL,
    ),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.rule("KS9", server="http")
@pytest.mark.rule("H15", server="http")
def test_other_answers_are_refused_and_not_repeated(
    server: AnsweringServer, authority: Authority, name: str
) -> None:
    """What is not JSON with status 200 is refused, and nothing of it is in the message."""
    server.answer, reason = REFUSED[name]
    failed = failure(fetcher(authority), server.url(host=NAME))
    assert failed.reason is reason
    assert SECRET not in str(failed)
    assert f"https://{NAME}:{server.port}/jwks" in str(failed)


def test_the_query_of_a_url_is_not_in_messages(
    server: AnsweringServer, authority: Authority
) -> None:
    """What stands behind the question mark may be a key, and stays out of the message."""
    server.answer = answer(status="500 Internal Server Error")
    failed = failure(fetcher(authority), server.url(f"/jwks?key={SECRET}", NAME))
    assert SECRET not in str(failed)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 Other", "307 Now", "308 Then"])
@pytest.mark.rule("KS9", server="http")
@pytest.mark.rule("H15", server="http")
def test_redirects_are_not_followed(
    server: AnsweringServer, authority: Authority, status: str
) -> None:
    """A redirect ends it, and the place that it leads to is never asked."""
    with AnsweringServer(answer(BODY)) as elsewhere:
        server.answer = answer(BODY, status=status, Location=elsewhere.url())
        failed = failure(fetcher(authority), server.url(host=NAME))
        assert failed.reason is Cause.REDIRECT
        assert elsewhere.connections == 0


def test_the_next_fetch_begins_anew(server: AnsweringServer, authority: Authority) -> None:
    """After a failure the same way out serves the next fetch."""
    fetch = fetcher(authority)
    server.answer = REFUSED["garbage"][0]
    failure(fetch, server.url(host=NAME))
    server.answer = answer(BODY)
    assert fetch.get(server.url(host=NAME)) == BODY
