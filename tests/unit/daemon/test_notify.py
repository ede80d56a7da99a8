from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from syncd.daemon.notify import Notifier

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("abstract", [False, True])
def test_a_service_manager_hears_every_step(tmp_path: Path, *, abstract: bool) -> None:
    """Readiness, status, reloads, the watchdog and the end reach a socket of either kind."""
    address = f"@{tmp_path}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + address[1:] if abstract else address)
        manager.settimeout(5)
        environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "4000000", "OTHER": "stays"}
        notifier = Notifier.take(environ)
        assert environ == {"OTHER": "stays"}
        notifier.ready()
        notifier.status("idle")
        notifier.status("idle")
        notifier.reloading()
        for now in (100.0, 101.0, 101.9, 102.0, 103.0):
            notifier.alive(now)
        notifier.stopping()
        heard = [manager.recv(4096).decode() for _ in range(6)]
    reload, microseconds = heard.pop(2).splitlines()
    assert heard == ["READY=1", "STATUS=idle", "WATCHDOG=1", "WATCHDOG=1", "STOPPING=1"]
    assert reload == "RELOADING=1"
    assert int(microseconds.removeprefix("MONOTONIC_USEC=")) > 0


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_the_watchdog_is_fed_when_it_is_ours(
    variables: dict[str, str], seconds: float | None
) -> None:
    """A watchdog that is meant for another process, or for none, is left alone."""
    assert Notifier.take(dict(variables)).watchdog_seconds == seconds


def test_without_a_manager_nothing_is_said(tmp_path: Path) -> None:
    """No variable, an address that is none and a socket that is gone are all quiet."""
    for address in (None, "nonsense", str(tmp_path / "gone")):
        notifier = Notifier(address, None)
        notifier.ready()
        notifier.stopping()
