"""The sign-in pages, asked as browsers, proxies and people with bad intentions ask."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

import pytest

from tests.integration.web.visiting import FORM, PASSWORD, SESSION, VISIT, Visiting, person, told

if TYPE_CHECKING:
    from tests.integration.web.served import Served

REGISTERED = "https://intranet.example.test/in"
UNKNOWN = {"client_id": "evil", "redirect_uri": REGISTERED, "state": "s"}


@pytest.fixture(scope="module")
def ann(served: Served) -> str:
    """Somebody with a password."""
    return person(served, "ann")


@pytest.fixture(scope="module")
def entered(served: Served, ann: str) -> dict[str, str]:
    """The cookies of a browser in which Ann has signed in, to be copied."""
    first = Visiting(served.port)
    assert first.sign_in("acme", ann, PASSWORD).status == 303
    return first.cookies


@pytest.fixture
def browser(served: Served) -> Visiting:
    """A browser of this test's own."""
    return Visiting(served.port)


@pytest.mark.rule("H1", server="sqlite")
def test_signing_in_and_out(served: Served, ann: str, browser: Visiting) -> None:
    """The ID leads to the password, that to the session, and signing out to nobody's pages."""
    front = browser.get("/")
    assert (front.status, front.header("location")) == (303, "/sign-in")
    chosen = browser.press(browser.get("/sign-in"), "/sign-in", organization=" Acme ")
    assert (chosen.status, chosen.header("location")) == (303, "/sign-in/acme")
    visit = browser.cookies[VISIT]
    entered = browser.sign_in("acme", ann, PASSWORD)
    assert (entered.status, entered.header("location")) == (303, "/session")
    session = browser.cookies[SESSION]
    assert session != visit
    shown = browser.get("/session")
    assert shown.status == 200
    assert "&lt;Ann&gt;" in shown.text
    assert "Acme Corp" in shown.text
    # Who has signed in need not do it again; who does gets another secret.
    assert browser.get("/sign-in").header("location") == "/session"
    left = browser.press(shown, "/sign-out")
    assert (left.status, left.header("location")) == (303, "/signed-out")
    assert SESSION not in browser.cookies
    assert browser.cookies[VISIT] != visit
    assert browser.get("/signed-out").status == 200
    # The secret is worth nothing any more.
    browser.cookies[SESSION] = session
    assert browser.get("/session").header("location") == "/sign-in"
    for secret in (session, visit, PASSWORD):
        assert secret not in served.log.read_text()


@pytest.mark.rule("H5", server="http")
def test_behind_a_proxy(served: Served, ann: str) -> None:
    """A trusted proxy says where somebody came from, and that it was over TLS."""
    forwarded = {"X-Forwarded-For": "192.0.2.9, 198.51.100.7", "X-Forwarded-Proto": "https"}
    browser = Visiting(served.port, headers=forwarded)
    browser.sign_in("acme", ann, PASSWORD)
    shown = browser.get("/session")
    assert "from 198.51.100.7." in shown.text
    assert shown.header("strict-transport-security") == "max-age=31536000"


def test_sessions_are_listed_and_ended(served: Served, browser: Visiting) -> None:
    """Each browser is a session of its own; one ends another, or all at once."""
    bob, other = person(served, "bob"), Visiting(served.port)
    assert browser.sign_in("acme", bob, PASSWORD).status == 303
    assert other.sign_in("acme", bob, PASSWORD).status == 303
    shown = browser.get("/session")
    (number,) = re.findall(r'action="/session/(\d+)/end"', shown.text)
    assert browser.ask("POST", f"/session/{number}/end", shown.hidden).status == 303
    assert other.get("/session").header("location") == "/sign-in"
    # Once more, or one that nobody has, changes nothing.
    for path, status in (
        (f"/session/{number}/end", 303),
        (f"/session/{10**17}/end", 303),
        ("/session/x/end", 404),
        (f"/session/{'9' * 40}/end", 404),
    ):
        assert browser.ask("POST", path, shown.hidden).status == status
    assert other.sign_in("acme", bob, PASSWORD).status == 303
    shown = browser.get("/session")
    assert browser.ask("POST", "/sign-out", shown.hidden | {"everywhere": "yes"}).status == 303
    assert other.get("/session").header("location") == "/sign-in"


@pytest.mark.rule("H6", server="sqlite")
@pytest.mark.rule("H12", server="sqlite")
def test_all_failures_look_alike(ann: str, served: Served, browser: Visiting) -> None:
    """An organization or a person that is not there is not told from a wrong password."""
    assert told(browser.get("/sign-in/acme")) == told(browser.get("/sign-in/nowhere"))
    pages = [
        browser.sign_in(org, username, password)
        for org, username, password in (
            ("acme", ann, "wrong"),
            ("acme", "nobody", "wrong"),
            ("acme", ann, ""),
            ("nowhere", ann, PASSWORD),
        )
    ]
    assert {page.status for page in pages} == {403}
    assert len({told(page) for page in pages}) == 1
    references = [page.reference for page in pages]
    assert len(set(references)) == len(pages)
    log = served.log.read_text()
    assert all(log.count(reference) == 1 for reference in references)
    assert SESSION not in browser.cookies


@pytest.mark.rule("H11", server="http")
def test_guessing_has_to_wait(browser: Visiting) -> None:
    """After a few failures the page says how long, whoever it is that is guessed at."""
    pages = [browser.sign_in("acme", "guessed", "") for _ in range(6)]
    assert [page.status for page in pages] == [403] * 4 + [429] * 2
    assert 0 < int(pages[-1].header("retry-after")) <= 900
    assert "too many attempts" in pages[-1].text
    assert len({page.reference for page in pages}) == len(pages)


def test_a_directory_that_is_away(served: Served, browser: Visiting) -> None:
    """It is said to be, which is no word about the password; the log has it by the reference."""
    page = browser.sign_in("corp", "ann", PASSWORD)
    assert page.status == 503
    assert "not available at the moment" in page.text
    assert served.log.read_text().count(page.reference) == 1


@pytest.mark.rule("H3", server="http")
def test_a_form_belongs_to_its_browser(ann: str, served: Served, browser: Visiting) -> None:
    """Without its token, with another browser's, or sent by another site, it signs nobody in."""
    path, fields = "/sign-in/acme", {"username": ann, "password": PASSWORD}
    shown, stranger = browser.get(path), Visiting(served.port)
    alien = stranger.get(path).hidden
    assert browser.ask("POST", path, fields).status == 403
    assert browser.ask("POST", path, fields | alien).status == 403
    good = fields | shown.hidden
    for headers in (
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "https://evil.example.test"},
        {"Origin": f"http://127.0.0.1:{served.port}.evil.example.test"},
    ):
        refused = browser.ask("POST", path, good, **headers)
        assert (refused.status, refused.header("set-cookie")) == (403, ""), headers
    for cookie in ("nothing=here", f"{VISIT}=short", f"{VISIT}={'A' * 43}"):
        assert Visiting(served.port).ask("POST", path, good, Cookie=cookie).status == 403
    assert SESSION not in browser.cookies
    assert browser.ask("POST", "/sign-in", {"organization": "acme"}).status == 403
    own = f"http://127.0.0.1:{served.port}"
    assert browser.ask("POST", path, good, Origin=own, Sec_Fetch_Site="same-origin").status == 303
    # Another site's form comes without cookies, and takes none away.
    bare = Visiting(served.port).ask("POST", "/sign-out", {}, Sec_Fetch_Site="cross-site")
    assert (bare.status, bare.header("set-cookie")) == (303, "")
    # Signing out and ending sessions need the session's token.
    for path in ("/sign-out", "/session/1/end"):
        for form in ({}, shown.hidden):
            assert browser.ask("POST", path, form).status == 403
    assert browser.get("/session").status == 200


@pytest.mark.rule("H3", server="http")
def test_a_link_signs_nobody_in_or_out(entered: dict[str, str], browser: Visiting) -> None:
    """Opening addresses changes nothing, whatever they say; the API takes no cookie."""
    browser.cookies.update(entered)
    assert browser.get("/api/v1/organizations/acme/users").status == 401
    for path in (
        "/sign-out",
        "/sign-out?everywhere=yes",
        "/sign-in/beta",
        "/sign-in?organization=x",
    ):
        assert browser.get(path).status in {200, 303}
    assert browser.get("/session").status == 200
    browser.cookies.clear()
    assert browser.get("/sign-out").header("location") == "/signed-out"


@pytest.mark.rule("H4", server="http")
@pytest.mark.parametrize(
    "query",
    [
        pytest.param({"redirect_uri": f"{REGISTERED}/"}, id="longer"),
        pytest.param({"redirect_uri": f"{REGISTERED}?"}, id="query"),
        pytest.param({"redirect_uri": f"{REGISTERED}%23"}, id="fragment"),
        pytest.param({"redirect_uri": REGISTERED.replace("intranet", "INTRANET")}, id="case"),
        pytest.param({"redirect_uri": REGISTERED.replace("https", "http")}, id="no TLS"),
        pytest.param({"redirect_uri": REGISTERED.replace("//", "//evil@")}, id="userinfo"),
        pytest.param({"redirect_uri": REGISTERED.replace("/in", ":8443/in")}, id="port"),
        pytest.param({"redirect_uri": "//evil.example.test/"}, id="two slashes"),
        pytest.param({"redirect_uri": "/%5Cevil.example.test/"}, id="backslash"),
        pytest.param({"redirect_uri": "/%09/evil.example.test/"}, id="tab"),
        pytest.param({"redirect_uri": "javascript:alert(1)//evil"}, id="script"),
        pytest.param(UNKNOWN, id="unknown portal"),
        pytest.param({"client_id": "", "redirect_uri": REGISTERED}, id="no client"),
        pytest.param({"redirect_uri": ""}, id="no address"),
        pytest.param({"client_id": "x" * 3_000, "redirect_uri": "//evil"}, id="long"),
    ],
)
def test_nothing_leads_to_an_unknown_portal(
    query: dict[str, str], ann: str, entered: dict[str, str], browser: Visiting
) -> None:
    """What is not registered, character by character, leads nowhere, signed in or not."""
    query = {"client_id": "intranet"} | query
    words = "&".join(f"{name}={value}" for name, value in query.items())
    first = browser.get(f"/sign-in?{words}")
    assert first.status == 200
    assert browser.press(first, "/sign-in", organization="acme").status == 400
    assert browser.get(f"/sign-in/acme?{words}").status == 400
    fields = {"username": ann, "password": PASSWORD, **query}
    own = browser.get("/sign-in/acme").hidden
    assert browser.ask("POST", "/sign-in/acme", own | fields).status == 400
    assert SESSION not in browser.cookies
    browser.cookies.update(entered)
    back = words.replace("redirect_uri", "post_logout_redirect_uri")
    packed = urlsafe_b64encode(
        json.dumps({"organization": "acme", "post_logout_redirect_uri": "//evil", **query}).encode()
    ).decode()
    answers = [
        browser.get(f"/sign-in/acme?{words}"),
        browser.get(f"/signed-out?state={packed}"),
        browser.get(f"/signed-out?{back}"),
        browser.get(f"/sign-out?organization=acme&{back}"),
    ]
    assert [answer.status for answer in answers] == [400, 200, 200, 400]
    for answer in answers:
        assert not answer.header("refresh")
        assert not answer.header("location")
        assert "evil" not in answer.text


@pytest.mark.rule("H4", server="http")
def test_a_registered_portal_is_gone_on_to(entered: dict[str, str], browser: Visiting) -> None:
    """Who has signed in goes on with a code and the portal's own value, and out the same way."""
    browser.cookies.update(entered)
    asked = urlencode({"client_id": "intranet", "redirect_uri": REGISTERED, "state": "a&b=c"})
    for path in (f"/sign-in?{asked}", f"/sign-in/acme?{asked}"):
        url, _, query = browser.get(path).goes_on.partition("?")
        assert url == REGISTERED
        answer = dict(parse_qsl(query))
        assert answer.keys() == {"code", "iss", "state"}
        assert answer["state"] == "a&b=c"
        assert answer["iss"] == f"http://127.0.0.1:{browser.port}"
    home = "https://intranet.example.test/"
    left = {"organization": "acme", "client_id": "intranet", "state": "x"}
    gone = Visiting(browser.port).get(
        f"/sign-out?{urlencode(left | {'post_logout_redirect_uri': home})}"
    )
    assert gone.goes_on == f"{home}?state=x"


@pytest.mark.parametrize("state", ["\ud800", [], None])
def test_a_way_back_that_nobody_gave(state: object, browser: Visiting) -> None:
    """What a provider brings back may be anybody's: nonsense is a page, and no failure of ours."""
    words = {
        "organization": "acme",
        "client_id": "intranet",
        "post_logout_redirect_uri": "https://intranet.example.test/",
        "state": state,
    }
    text = "[" * 5_000 if state is None else json.dumps(words)
    packed = urlsafe_b64encode(text.encode()).decode()
    assert browser.get(f"/signed-out?state={packed}").status == 200
    asked = urlencode({"client_id": "intranet", "redirect_uri": REGISTERED, "state": "\0"})
    assert browser.get(f"/sign-in/acme?{asked}").status == 400


@pytest.mark.parametrize(
    ("typed", "status"),
    [("", 422), ("a/b", 422), ("x" * 64, 422), ("acme\x00", 422), ("<b>", 422), ("älter", 422)],
)
def test_what_is_no_organization_id(typed: str, status: int, browser: Visiting) -> None:
    """It is said at once, and repeated as text only."""
    page = browser.press(browser.get("/sign-in"), "/sign-in", organization=typed)
    assert page.status == status
    assert 'role="alert"' in page.text
    assert "<b>" not in page.text
    assert page.text.count("<title>Error: ") == 1


@pytest.mark.parametrize(
    ("raw", "status"), [(b"x" * 20_000, 413), (b"\xff\xfe", 403), (b"a=1&" * 100, 403)]
)
def test_a_form_that_is_none(raw: bytes, status: int, browser: Visiting) -> None:
    """It is refused, and costs little."""
    browser.get("/sign-in/acme")
    for path in ("/sign-in", "/sign-in/acme", "/sign-out"):
        expected = 303 if path == "/sign-out" and status == 403 else status
        assert browser.ask("POST", path, raw).status == expected


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("HEAD", "/sign-in", 200, ""),
        ("HEAD", "/sign-in/acme", 200, ""),
        ("HEAD", "/signed-out", 200, ""),
        ("HEAD", "/sign-in/acme/callback", 405, "GET"),
        ("POST", "/sign-in/acme/callback", 405, "GET"),
        ("GET", "/sign-in/acme/backchannel-logout", 405, "POST"),
        ("GET", "/session/1/end", 405, "POST"),
        ("PUT", "/sign-in", 405, "GET, POST"),
        ("OPTIONS", "/session", 405, "GET"),
        ("GET", "/sign-in/", 404, ""),
        ("GET", "/sign-in/ACME", 404, ""),
        ("GET", "/sign-in/%2e%2e", 404, ""),
        ("GET", "/sign-in/acme%0d%0aX-A:b", 404, ""),
        ("GET", "/wp-login.php", 404, ""),
    ],
)
def test_methods_and_paths(
    method: str, path: str, status: int, allow: str, browser: Visiting
) -> None:
    """What is no page is one that says so, to browsers; a HEAD has no body."""
    page = browser.ask(method, path, Accept="text/html,*/*;q=0.8")
    assert (page.status, page.header("allow")) == (status, allow)
    assert page.header("content-type").startswith("text/html")
    assert not page.header("x-a")
    assert (page.text == "") == (method == "HEAD")


@pytest.mark.rule("H18", server="http")
def test_every_page_is_closed_to_others(
    ann: str, entered: dict[str, str], browser: Visiting
) -> None:
    """No script, nothing from elsewhere, no frame, no referrer, no cache; every field is named."""
    pages = [browser.get(path) for path in ("/sign-in", "/sign-in/acme", "/signed-out", "/nothing")]
    pages.append(browser.sign_in("acme", ann, "wrong"))
    browser.cookies.update(entered)
    pages += [browser.get("/session"), browser.get("/sign-out")]
    for page in pages:
        policy = page.header("content-security-policy")
        for word in ("default-src 'none'", "frame-ancestors 'none'"):
            assert word in policy
        assert "unsafe" not in policy
        assert "script" not in policy
        assert "http" not in policy
        assert page.header("referrer-policy") == "no-referrer"
        assert page.header("cache-control") == "no-store"
        assert page.header("x-content-type-options") == "nosniff"
        assert page.header("x-frame-options") == "DENY"
        assert not re.search(r"<script|src=|style=|\bon\w+=", page.text)
        assert not re.search(r"https?://", page.text)
        if page.header("content-type").startswith("text/html"):
            assert page.text.count("<h1>") == 1
            assert "form-action 'self'" in policy
            fields = re.findall(r'<input id="(\w+)"', page.text)
            assert all(f'<label for="{name}">' in page.text for name in fields)


@pytest.mark.rule("H5", server="http")
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:443", 200),
        ("evil.example.test", 421),
        ("127.0.0.1.evil.example.test", 421),
        ("127.0.0.1@evil", 421),
        ("localhost", 421),
        ("", 421),
    ],
)
def test_only_the_own_name_is_served(host: str, status: int, browser: Visiting) -> None:
    """Another host's name is shown no page; probes are, and the API, which knows no cookies."""
    assert browser.get("/sign-in", Host=host, X_Forwarded_Host="127.0.0.1").status == status
    for path, free in (("/healthz", 200), ("/api/v1/me", 401), ("/api/v1x", status)):
        assert (browser.get(path, Host=host).status == 421) == (free == 421)
    assert "evil" not in browser.get("/sign-in", Host=host).text


@pytest.mark.parametrize(
    ("media_type", "raw"),
    [
        pytest.param("application/json", b'{"logout_token": "a.b.c"}', id="json"),
        pytest.param("multipart/form-data; boundary=x", b"--x--", id="multipart"),
        pytest.param(FORM, b"", id="empty"),
        pytest.param(FORM, b"other=1", id="no token"),
        pytest.param(FORM, b"logout_token=", id="empty token"),
        pytest.param(FORM, b"logout_token=a.b.c&logout_token=a.b.c", id="two"),
        pytest.param(FORM, b"logout_token=\xff", id="no text"),
        pytest.param(FORM, b"logout_token=" + b"a" * 70_000, id="large"),
        pytest.param(f"{FORM}; charset=utf-8", b"logout_token=a.b.c", id="forged"),
    ],
)
@pytest.mark.parametrize("org", ["acme", "nowhere", "%00"])
def test_logout_tokens_that_are_none(
    org: str, media_type: str, raw: bytes, browser: Visiting
) -> None:
    """They are told so as Back-Channel Logout 1.0 section 2.8 says."""
    path = f"/sign-in/{org}/backchannel-logout"
    page = browser.ask("POST", path, raw, Content_Type=media_type)
    assert page.status == 400
    assert page.header("cache-control") == "no-store"
    assert page.header("content-type") == "application/json"
    assert '"error":"invalid_request"' in page.text
    assert not browser.cookies
