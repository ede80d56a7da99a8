"""Owns what systemd is told: readiness, status, reloads, and that the main loop still turns.

The protocol of sd_notify(3): datagrams of ``KEY=value`` lines to ``$NOTIFY_SOCKET``. Without that
variable nothing is sent.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableMapping

SOCKET, WATCHDOG, WATCHDOG_PROCESS = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"
LONGEST_SEND_SECONDS = 0.5


class Notifier:
    """Sends to the service manager; a manager that went away is no reason to fail."""

    def __init__(self, address: str | None, watchdog_seconds: float | None) -> None:
        self._address = None if address is None else _address(address)
        self.watchdog_seconds = watchdog_seconds
        self._status = ""
        self._alive_at = 0.0

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> Notifier:
        """Take the manager's variables out of the environment, so that no child speaks for us."""
        address = environ.pop(SOCKET, None)
        microseconds = environ.pop(WATCHDOG, "")
        process = environ.pop(WATCHDOG_PROCESS, "")
        ours = process in {"", str(os.getpid())}
        seconds = int(microseconds) / 1_000_000 if microseconds.isdigit() and ours else None
        return cls(address, seconds or None)

    def ready(self) -> None:
        """Tell that start-up, or a reload, is complete."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Tell that the configuration is being read again; ``ready`` ends that."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1_000}")

    def stopping(self) -> None:
        """Tell that the end has begun."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Tell in one line what is going on, if it is something else than before."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def alive(self, now: float) -> None:
        """Tell the watchdog that the main loop turned, at most twice in its time.

        Args:
            now: a monotonic time in seconds.

        """
        if self.watchdog_seconds is not None and now - self._alive_at >= self.watchdog_seconds / 2:
            self._alive_at = now
            self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        flags = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
        try:
            with socket.socket(socket.AF_UNIX, flags) as sender:
                # A manager that is behind is waited for, one that hangs is not.
                sender.settimeout(LONGEST_SEND_SECONDS)
                sender.connect(self._address)
                sender.send("\n".join(lines).encode())
        except OSError:
            # Whoever started us does not listen any more; the work goes on all the same.
            return


def _address(text: str) -> str | None:
    """Return a socket's address; ``@`` stands for the zero byte of an abstract one."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else None
