"""The Python of docs/portals.md is a portal: a browser signs in by it, and out again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from tests.integration.web.served import PORTAL_SECRET
from tests.integration.web.visiting import Visiting

if TYPE_CHECKING:
    import pytest

    from tests.integration.web.served import Served

CHAPTER = Path(__file__).parents[3] / "docs/portals.md"
PASSWORD = "correct horse battery staple"


def test_the_portal_of_the_chapter_works(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it stands there, but for addresses and names."""
    (code,) = re.findall(r"```python\n(.*?)```", CHAPTER.read_text(encoding="utf-8"), re.DOTALL)
    base_url = f"http://127.0.0.1:{served.port}"
    code = code.replace("https://syncd.example.org", base_url)
    code = code.replace(
        "https://intranet.example.org/signed-in", "https://intranet.example.test/in"
    )
    (tmp_path / "intranet.secret").write_text(f"{PORTAL_SECRET}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    portal: dict[str, Any] = {}
    exec(compile(code, str(CHAPTER), "exec"), portal)  # noqa: S102 - what the chapter tells people to run
    made = served.manage().users.create(email="eve@example.test", username="eve")
    served.app.redeem_link(made["mail"]["link"].rpartition("/")[2], PASSWORD)
    browser, cookies = Visiting(served.port), dict[str, str]()

    def sign_in() -> dict[str, str]:
        url = portal["begin"](cookies)
        assert url.startswith(base_url)
        # It names the organization, so nobody is asked for that.
        path = browser.get(url.removeprefix(base_url)).header("location")
        assert path.startswith("/sign-in/acme?")
        page = browser.get(path)
        fields = {"username": "eve", "password": PASSWORD}
        page = browser.press(page, path.partition("?")[0], **fields)
        assert page.goes_on.startswith("https://intranet.example.test/in?")
        return dict(parse_qsl(urlsplit(page.goes_on).query))

    query = sign_in()
    person = portal["taken_back"](query, cookies)
    assert person["user"]["username"] == "eve"
    assert "state" not in cookies
    session = person["session"]["id"]
    assert portal["still"](session)["user"]["id"] == person["user"]["id"]
    assert portal["sign_out"](session) is None
    assert portal["still"](session) is None
    assert browser.get("/session").header("location") == "/sign-in"
    query = sign_in()
    for wrong, its in (({"state": "x"}, cookies), ({"iss": "https://evil.example"}, dict(cookies))):
        raised = False
        try:
            portal["taken_back"](query | wrong, dict(its))
        except PermissionError:
            raised = True
        assert raised
