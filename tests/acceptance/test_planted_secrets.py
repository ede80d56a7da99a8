"""Nothing that anybody writes has a secret in it, whatever is done and however much is logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from syncd.permissions import operator
from tests.acceptance.planted import DIRECTORY, OWN, PROVIDER, Planted, spellings
from tests.integration.web.visiting import Visiting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Planted]:
    """Everything that can happen at sign-in has happened."""
    with Planted(tmp_path_factory.mktemp("planted") / "world", sqlite_template) as world:
        world.everything()
        yield world


def _found(world: Planted, content: bytes) -> list[str]:
    return [
        name
        for name, secret in world.secrets.items()
        if any(spelling in content for spelling in spellings(secret))
    ]


@pytest.mark.rule("H13", server="openldap")
@pytest.mark.rule("H13", server="bent")
def test_the_log_has_no_secret(done: Planted) -> None:
    """At its most talkative, it tells of all that happened and of no secret."""
    actions = {event.get("action") for event in done.daemon.events()}
    assert {"signed_in", "sign_in_refused", "signed_out", "provider_signed_out"} <= actions
    reasons = {event["reason"] for event in done.daemon.events("sign_in_refused")}
    assert {"wrong_password", "unknown_user", "access_denied", "unknown_state"} <= reasons
    assert len(done.secrets) > 50
    assert _found(done, done.daemon.log.read_bytes()) == []


@pytest.mark.rule("H13", server="sqlite")
def test_commands_print_no_secret(done: Planted) -> None:
    """Nor do commands, with all of their log, and with what goes wrong."""
    assert '"way": "idp"' in done.told["sessions"]
    assert "session" in done.told["wrong"]
    for name, told in done.told.items():
        assert told, name
        assert (name, _found(done, told.encode())) == (name, [])


@pytest.mark.rule("H17", server="sqlite")
def test_metrics_and_description_have_no_secret_and_no_name(done: Planted) -> None:
    """Monitoring sees how many and why; labels are words of ours alone."""
    done.daemon.until(
        lambda: 'outcome="refused",reason="wrong_password"' in _metrics(done), "counted"
    )
    text = _metrics(done)
    for name in ("ann", "eve", "ada", "192.0.2", "127.0.0.1", done.provider.issuer):
        assert f'"{name}' not in text
    described = done.read(f"{done.url}/api/v1/openapi.json")
    assert _found(done, (text + described).encode()) == []


@pytest.mark.rule("H14", server="sqlite")
def test_the_store_alone_opens_nothing(done: Planted) -> None:
    """Whoever reads its files has no password, session, code, token or state."""
    files = [path for path in done.folder.iterdir() if path.name.startswith("store.db")]
    content = b"".join(path.read_bytes() for path in files)
    # Names and texts are there as they are; so is what a portal gave to have it back, which opens
    # nothing without that portal's own cookie.
    assert b"eve@x.test" in content
    found = _found(done, content)
    assert [name for name in found if not name.startswith("portal state")] == []


def test_whoever_is_shut_out_is_out_and_that_is_measured(done: Planted) -> None:
    """At once for the next request; a second later the end is written, counted and told."""
    browser = Visiting(done.daemon.http)
    password = done.secrets["own password"]
    assert browser.sign_in(OWN, "eve", password).status == 303
    assert browser.get("/session").status == 200
    done.daemon.until(
        lambda: f'syncd_sessions_active{{organization="{OWN}"}} 1.0' in _metrics(done), "active"
    )
    users = done.app.manage(OWN, operator("test")).users
    users.disable(users.id_of("eve"))
    assert browser.get("/session").header("location") == "/sign-in"
    done.daemon.wait_for("sessions_shut_out", organization=OWN, sessions=1)
    count = f'syncd_revocation_seconds_count{{organization="{OWN}"}} 1.0'
    done.daemon.until(lambda: count in _metrics(done), "measured")
    done.daemon.until(
        lambda: f'syncd_sessions_active{{organization="{OWN}"}} 0.0' in _metrics(done), "inactive"
    )
    assert browser.sign_in(OWN, "eve", password).status == 403
    text = _metrics(done)
    for org in (DIRECTORY, PROVIDER):
        accepted = f'syncd_sign_ins_total{{organization="{org}",outcome="accepted",reason="none"}}'
        assert f"{accepted} 1.0" in text


def _metrics(world: Planted) -> str:
    return world.read(f"http://127.0.0.1:{world.daemon.metrics}/metrics")
