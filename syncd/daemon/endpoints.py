"""Owns what others ask the daemon through: the metrics listener and the web process."""

from __future__ import annotations

import time
from contextlib import suppress
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from syncd import logging
from syncd.listening import listening_socket

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from syncd.daemon.messages import Start
    from syncd.metrics import Listener, Metrics
    from syncd.settings import Settings

    # What was counted, of which organization, its outcome, the reason, and how often.
    Counted = tuple[str, str, str, str, int]
    # What was measured, of which organization, and the value.
    Observed = tuple[str, str, float]

SPAWN = get_context("spawn")
LEAVE_SECONDS = 5.0
FIRST_RESTART_SECONDS, LONGEST_RESTART_SECONDS = 1.0, 30.0
# A web process that lived so long is no longer one that cannot start.
STEADY_SECONDS = 60.0


class MetricsEndpoint:
    """The metrics listener, at the address that the settings name."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._address: tuple[str, int] | None = None
        self._listener: Listener | None = None

    def open(self, settings: Settings) -> None:
        """Listen there; an address that did not change is kept.

        Raises:
            UsageError: Nobody can listen there; the old address is kept.

        """
        address = settings.daemon.metrics.host, settings.daemon.metrics.port
        if address == self._address:
            return
        listener = self._metrics.listen(*address)
        self.close()
        self._listener, self._address = listener, address

    def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.close()
        self._listener, self._address = None, None


class WebEndpoint:
    """The web process; one that ends by itself is started again."""

    def __init__(self) -> None:
        self._arguments: dict[str, Any] = {}
        self._settings: Settings | None = None
        self._process: SpawnProcess | None = None
        self._channel: Connection | None = None
        self._told: dict[str, Any] = {"ready": False, "because": ["syncd is starting"]}
        self._began = self._restart_at = 0.0
        self._deaths = 0

    def open(self, start: Start) -> None:
        """Serve there; the process stays if it can, and gets the settings.

        Raises:
            UsageError: Nobody can listen there; the old process is kept.

        """
        http = start.settings.daemon.http
        arguments = {
            "host": http.host,
            "port": http.port,
            "tls_certificate": None if http.tls_certificate is None else str(http.tls_certificate),
            "tls_key": None if http.tls_key is None else str(http.tls_key),
            "log_format": start.log_format,
            "log_level": start.log_level,
        }
        if arguments == self._arguments:
            if start.settings != self._settings:
                self._settings = start.settings
                self._send({"settings": start.settings})
            return
        here = {key: self._arguments.get(key) for key in ("host", "port")}
        if here != {"host": http.host, "port": http.port}:
            # The process itself could tell only by dying.
            listening_socket(http.host, http.port, setting="http").close()
        self.close()
        self._arguments, self._settings = arguments, start.settings
        self._start()

    def tell(self, *, ready: bool, because: Sequence[str]) -> None:
        """Let ``/readyz`` say this."""
        told = {"ready": ready, "because": list(because)}
        if told != self._told:
            self._told = told
            self._send(told)

    def waitables(self) -> list[Any]:
        """Return what becomes ready when the process ends."""
        return [] if self._process is None else [self._process.sentinel]

    def poll(self, *, stopping: bool) -> None:
        """Start the process again if it has ended, unless everything is ending."""
        now = time.monotonic()
        process = self._process
        if stopping:
            return
        if process is not None and process.exitcode is not None:
            logging.get_logger().error(
                "the web process ended by itself and is started again",
                action="web_replaced",
                because=f"exit code {process.exitcode}",
            )
            self._drop()
            self._deaths = 0 if now - self._began > STEADY_SECONDS else min(self._deaths + 1, 10)
            delay = min(FIRST_RESTART_SECONDS * 2.0**self._deaths, LONGEST_RESTART_SECONDS)
            self._restart_at = now + delay
        if self._process is None and self._arguments and now >= self._restart_at:
            self._start()

    def heard(self) -> tuple[list[Counted], list[Observed]]:
        """Return what the process has counted and measured since it was last asked."""
        counted: list[Counted] = []
        observed: list[Observed] = []
        channel = self._channel
        # One that has hung up has ended, and the next poll finds it.
        with suppress(EOFError, OSError):
            while channel is not None and channel.poll():
                told = channel.recv()
                counted += told.get("counted", ())
                observed += told.get("observed", ())
        return counted, observed

    def close(self, patience_seconds: float = LEAVE_SECONDS) -> None:
        """End the process: it does when its channel closes, and is made to when it does not."""
        process, self._arguments = self._process, {}
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if process is None:
            return
        process.join(patience_seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
        self._drop()

    def _start(self) -> None:
        self._began = time.monotonic()
        self._channel, theirs = SPAWN.Pipe()
        process = SPAWN.Process(
            target=_serve,
            kwargs={**self._arguments, "settings": self._settings, "channel": theirs},
            name="syncd web",
            daemon=True,
        )
        try:
            process.start()
        except OSError as error:
            logging.get_logger().error(
                "the web process cannot be started", action="web_not_started", error=str(error)
            )
            self._restart_at = self._began + LONGEST_RESTART_SECONDS
            return
        finally:
            theirs.close()
        self._process = process
        self._send(self._told)

    def _send(self, told: dict[str, Any]) -> None:
        if self._channel is not None:
            # A process that has just died is found by the next poll.
            with suppress(OSError):
                self._channel.send(told)

    def _drop(self) -> None:
        if self._process is not None:
            self._process.join()
            self._process.close()
        if self._channel is not None:
            self._channel.close()
        self._process, self._channel = None, None


def _serve(**arguments: Any) -> None:  # noqa: ANN401 - those of the web process
    """Run in the spawned process: the supervisor itself needs nothing of the web."""
    from syncd.web.process import run  # noqa: PLC0415 - the reason why this function is here

    run(**arguments)
