"""Runs `syncd run` in a world, reads its log, and plays the service manager for it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from tests.servers.slapd import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_SECONDS = 60


class Manager:
    """A service manager's socket; a context manager. ``heard`` has every message."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self.heard: list[str] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.address)
        self._thread.join()
        self._socket.close()

    def has_heard(self, start: str) -> bool:
        """Tell whether a message has come that begins so."""
        return any(message.startswith(start) for message in list(self.heard))

    def _listen(self) -> None:
        while message := self._socket.recv(65_536):
            self.heard.append(message.decode())


class Place(Protocol):
    """Where a daemon runs: a world, or another folder with a configuration."""

    folder: Path

    def command(self, *words: str) -> list[str]:
        """Return the words that start the installed command there."""


class Daemon:
    """One `syncd run`; a context manager that leaves no process behind."""

    def __init__(self, world: Place, *words: str, name: str = "daemon", **environment: str) -> None:
        self.world = world
        self._words = words
        self.log = world.folder / f"{name}.log"
        self.http, self.metrics = free_port(), free_port()
        self._environment = {
            "SYNCD_HTTP__PORT": str(self.http),
            "SYNCD_METRICS__PORT": str(self.metrics),
        } | environment
        self.process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.world.command("run", *self._words),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=self.world.folder,
                env=dict(os.environ) | self._environment,
                # A group of its own, which can be killed as one.
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            ours = [self.process.pid, *self.children()]
            for number in (signal.SIGKILL, signal.SIGCONT):
                for pid in ours:
                    _send(pid, number)
            self.process.wait()

    def events(self, action: str | None = None, **fields: Any) -> list[dict[str, Any]]:
        """Return the log's events, of one action if it is named, with these fields."""
        found = []
        for line in self.log.read_text().splitlines():
            if line.startswith("{") and line.endswith("}"):
                event = json.loads(line)
                if (
                    action is None or event["action"] == action
                ) and fields.items() <= event.items():
                    found.append(event)
        return found

    def wait_for(self, action: str, count: int = 1, **fields: Any) -> dict[str, Any]:
        """Wait until so many events are in the log; return the last of them."""
        self.until(lambda: len(self.events(action, **fields)) >= count, f"{action} {fields}")
        return self.events(action, **fields)[-1]

    def until(
        self,
        fulfilled: Callable[[], Any],
        what: str,
        *,
        lives: bool = True,
        seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """Wait until something is so, as long as the daemon lives if it has to."""
        end = time.monotonic() + seconds
        while not fulfilled():
            alive = not lives or self.process.poll() is None
            assert alive or fulfilled(), f"{what}: it has ended\n{self.log.read_text()}"
            assert time.monotonic() < end, f"{what}: not seen\n{self.log.read_text()}"
            time.sleep(0.05)

    def signal(self, number: int) -> None:
        """Send the supervisor a signal."""
        self.process.send_signal(number)

    def signal_all(self, number: int) -> None:
        """Send a signal to every process of the replica, as a stopped container would get it."""
        for pid in (self.process.pid, *self.children()):
            _send(pid, number)

    def ended(self) -> int:
        """Wait for the end; return the exit code."""
        return self.process.wait(PATIENCE_SECONDS)

    def stop(self) -> int:
        """Ask it to end; return the exit code."""
        self.signal(signal.SIGTERM)
        return self.ended()

    def children(self) -> list[int]:
        """Return the process ids of its children."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        try:
            return [int(word) for word in listed.read_text().split()]
        except OSError:
            return []

    def workers(self) -> list[int]:
        """Return the process ids of what it spawned: sync workers, and the web process."""
        return [pid for pid in self.children() if "spawn_main" in command_line(pid)]

    def ready(self) -> tuple[int, dict[str, Any]]:
        """Return what ``/readyz`` answers; 0 when nobody does."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/readyz", timeout=5) as told:
                return told.status, json.load(told)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except OSError:
            return 0, {}

    def scrape(self) -> str:
        """Return the metrics."""
        url = f"http://127.0.0.1:{self.metrics}/metrics"
        with urllib.request.urlopen(url, timeout=10) as told:
            return str(told.read().decode())


def command_line(pid: int) -> str:
    """Return the words that a process was started with."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def sockets(pid: int) -> set[str]:
    """Return the sockets that a process has open."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
