"""Log lines: their form, their action, and the secrets that never reach them."""

from __future__ import annotations

import json
import logging as standard
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from syncd import logging

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave logging as it was."""
    root = standard.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.pin(None)
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return what was logged as JSON; nothing may be on standard output."""
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_pipe_gets_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Where standard error is no terminal, each event is one JSON object."""
    logging.configure()
    logging.get_logger(organization="acme").info("the sync is done", action="sync_done", run="r-1")
    (event,) = lines(capsys)
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "the sync is done",
        "action": "sync_done",
        "level": "info",
        "organization": "acme",
        "run": "r-1",
    }


def test_a_console_gets_a_line_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """The console form is text, with the same keys."""
    logging.configure(format="console")
    logging.get_logger().warning("a page was halved", action="page_halved", bind_password="x")
    err = capsys.readouterr().err
    assert "a page was halved" in err
    assert "action=page_halved" in err
    assert "bind_password=***" in err


def test_every_event_has_an_action(capsys: pytest.CaptureFixture[str]) -> None:
    """An event without an action gets one from its first words."""
    logging.configure()
    logging.get_logger().info("Reading the users' listing, page 3 of many")
    logging.get_logger().info("")
    first, second = lines(capsys)
    assert first["action"] == "reading_the_users_listing_page"
    assert second["action"] == "unnamed"


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "bind_credential",
        "client_secret",
        "access_token",
        "id_token",
        "Authorization",
        "passwd",
        "api_key",
        "private_key",
        "cookie",
    ],
)
def test_secrets_are_masked_at_any_depth(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever stands under a secret's name is masked, in mappings and lists, too."""
    logging.configure()
    nested = {"idp": [{key: "hunter2"}], "bytes": {key: b"hunter2"}}
    logging.get_logger().info("x", action="x", **{key: "hunter2"}, nested=nested)
    text = capsys.readouterr().err
    assert "hunter2" not in text
    assert text.count("***") == 3


def test_passwords_in_urls_are_masked(capsys: pytest.CaptureFixture[str]) -> None:
    """A store's URL is logged without its password, wherever it stands."""
    logging.configure()
    url = "postgresql+psycopg://syncd:hunter2@db.example/syncd"
    logging.get_logger().info(f"connecting to {url}", action="connect", url=url, urls=[url])
    text = capsys.readouterr().err
    assert "hunter2" not in text
    assert "postgresql+psycopg://syncd:***@db.example/syncd" in text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("bind_credential_file", "acme.secret"),
        ("token_url", "https://login.example.org/token"),
        ("fencing_token", 7),
        ("password", None),
        ("insecure_clear_text_password", True),
        ("username", "ada"),
    ],
)
def test_what_is_no_secret_stays(
    key: str, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a secret lies, whether there is one, and other people's keys are told."""
    logging.configure()
    logging.get_logger().info("x", action="x", **{key: value})
    assert lines(capsys)[0][key] == value


def test_an_exceptions_text_is_masked_without_its_variables(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A traceback shows code, never the values of variables."""
    logging.configure()
    password = "hunter2"
    try:
        raise ValueError(f"postgresql://syncd:{password}@db/syncd")
    except ValueError:
        logging.get_logger().exception("it failed", action="failed")
    (event,) = lines(capsys)
    assert "ValueError" in event["exception"]
    assert "hunter2" not in json.dumps(event)


@pytest.mark.parametrize(
    ("pinned", "configured", "written"),
    [
        (None, "info", ["info", "warning"]),
        (None, "warning", ["warning"]),
        ("debug", "warning", ["debug", "info", "warning"]),
        ("warning", "debug", ["warning"]),
    ],
)
def test_the_command_line_wins_over_the_configured_level(
    pinned: str | None, configured: str, written: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A pinned level holds, whatever the configuration says later."""
    logging.pin(pinned)
    logging.configure(level=configured)
    log = logging.get_logger()
    for level in ("debug", "info", "warning"):
        getattr(log, level)("x", action="x")
    assert [event["level"] for event in lines(capsys)] == written


def test_other_libraries_take_the_same_road(capsys: pytest.CaptureFixture[str]) -> None:
    """A library's warning is written in the same form; what it says at info is not."""
    logging.configure()
    logging.configure()
    library = standard.getLogger("some.library")
    library.info("opening %s", "this")
    library.warning("lost %s", "that")
    (event,) = lines(capsys)
    assert (event["event"], event["logger"], event["level"]) == (
        "lost that",
        "some.library",
        "warning",
    )
    assert event["action"] == "lost_that"
