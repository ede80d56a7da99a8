"""The command as a process of its own: terminals, signals, closed pipes."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from syncd.cli.words import cells
from tests.unit.cli import recorded

ROOT = Path(__file__).parents[3]
# A sync that says when it has begun, and then takes its time; it cleans up when it is stopped.
DRIVER = """
import sys, time
from syncd.cli import main
from tests.unit.cli import recorded

class Slow(recorded.RecordedApp):
    def sync(self, org, *, changed=False, user=None, progress=None):
        if org == "acme":
            return super().sync(org, progress=progress)
        try:
            print("begun", file=sys.stderr, flush=True)
            time.sleep(30)
        finally:
            print("cleaning up", file=sys.stderr, flush=True)
            if org == "stubborn":
                time.sleep(30)

main.make_app = lambda config, log_searches=False: Slow()
main.exit_code = recorded.exit_code
main.main()
"""


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which nothing but ``more`` decides about colours and width."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"COLUMNS", "NO_COLOR", "FORCE_COLOR", "CI"}
    }
    return {**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **more}


def on_terminal(words: list[str], **more: str) -> tuple[int, str]:
    """Run words with a terminal as standard output and standard error."""
    primary, secondary = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, *words],
        stdin=secondary,
        stdout=secondary,
        stderr=secondary,
        env=environment(**more),
    )
    os.close(secondary)
    chunks: list[bytes] = []
    while True:
        try:
            chunk = os.read(primary, 65536)
        except OSError:
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(primary)
    return process.wait(), b"".join(chunks).decode().replace("\r\n", "\n")


def started(org: str) -> subprocess.Popen[str]:
    """Return a sync that has begun."""
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, "sync", org],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "begun\n"
    return process


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminal_gets_a_table_that_fits(width: int) -> None:
    """A list fits a real terminal of this width, without colours when they are not wanted."""
    code, text = on_terminal(["users", "acme", "--no-color"], COLUMNS=str(width))
    assert code == 0
    assert "\x1b" not in text
    assert "Username" in text
    assert max(map(cells, text.splitlines())) <= width


def test_a_terminal_gets_colours() -> None:
    """Colours are for a terminal, unless NO_COLOR or --no-color says otherwise."""
    assert "\x1b[" in on_terminal(["users", "acme"])[1]
    assert "\x1b[" not in on_terminal(["users", "acme"], NO_COLOR="1")[1]
    assert "\x1b[" not in on_terminal(["users", "acme"], TERM="dumb")[1]


def test_progress_is_shown_and_taken_away() -> None:
    """Progress stands on the terminal while a sync runs, and the cursor comes back after it."""
    code, text = on_terminal(["sync", "acme"])
    assert code == 5
    assert "applying" in text
    assert text.rindex("\x1b[?25h") > text.rindex("applying")
    assert text.rindex("Full sync") > text.rindex("applying")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_in_order(number: signal.Signals) -> None:
    """Ctrl-C or SIGTERM lets the sync clean up, and the command exits 130 with a sentence."""
    process = started("slow")
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (130, "")
    assert err.startswith("cleaning up\nsyncd: interrupted; ")


def test_the_second_signal_ends_at_once() -> None:
    """Whoever presses Ctrl-C again does not wait for the clean-up."""
    process = started("stubborn")
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline() == "cleaning up\n"
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130
    assert time.monotonic() - begun < 5
    process.communicate()


@pytest.mark.parametrize("words", [["users", "acme"], ["users", "acme", "--json"], ["--help"]])
def test_a_closed_pipe_is_quiet(words: list[str]) -> None:
    """``syncd … | true`` writes nothing to standard error."""
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run(
        [sys.executable, "-c", DRIVER, *words],
        stdout=writing,
        stderr=subprocess.PIPE,
        env=environment(),
        check=False,
    )
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_a_full_disk_is_told() -> None:
    """A report that cannot be written is an error, not a success."""
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-c", DRIVER, "users", "acme"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            check=False,
        )
    assert ran.returncode == 70
    assert ran.stderr.startswith("syncd: ")
    assert "No space left on device" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_names_are_written_in_any_encoding(encoding: str) -> None:
    """A name that the encoding does not know is escaped, and JSON stays JSON."""
    written = []
    for words in (["users", "acme"], ["users", "acme", "--json"]):
        ran = subprocess.run(
            [sys.executable, "-c", DRIVER, *words],
            capture_output=True,
            env=environment(PYTHONIOENCODING=encoding),
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (0, b"")
        written.append(ran.stdout.decode(encoding))
    assert ("M\\xfcller" if encoding == "ascii" else "Müller") in written[0]
    assert json.loads(written[1]) == recorded.USERS
