"""The web process: serves until its supervisor goes away or says so."""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
import threading
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from anyio.to_thread import current_default_thread_limiter

from syncd import logging
from syncd.errors import SyncdError, UsageError, cut
from syncd.listening import listening_socket
from syncd.web.app import application
from syncd.web.counting import Counts
from syncd.web.health import Health
from syncd.web.serving import Serving
from syncd.web.sweeping import Sweeping

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from syncd.logging import Format
    from syncd.settings import Settings

# Requests in flight may end by themselves for so long.
GRACE_SECONDS: Final = 5
REQUESTS_AT_ONCE: Final = 8
NO_PASS_PHRASE: Final = "there is none"  # noqa: S105 - it says what it is


def run(
    *,
    host: str,
    port: int,
    tls_certificate: str | None,
    tls_key: str | None,
    channel: Connection,
    settings: Settings | None = None,
    log_format: Format = "auto",
    log_level: str = "info",
) -> None:
    """Serve until the channel ends or SIGTERM comes; the target of a spawned process.

    The supervisor sends dictionaries, ``{"ready": bool, "because": [sentences]}`` and, when the
    configuration has changed, ``{"settings": Settings}``. Without ``settings`` only health is
    served. A channel that goes both ways gets one ``{"listening": port}`` back once requests are
    answered, and ``{"counted": [[what, organization, outcome, reason, number]]}`` and
    ``{"observed": [[what, organization, value]]}`` now and then.
    SIGINT and SIGHUP are the supervisor's business and are ignored. The process exits with 0, or
    with the exit code of an error that it has logged.
    """
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    logging.configure(format=log_format, level=log_level)
    log = logging.get_logger()
    try:
        serve(
            host=host,
            port=port,
            tls_certificate=tls_certificate,
            tls_key=tls_key,
            channel=channel,
            settings=settings,
        )
    except SyncdError as error:
        log.error(str(error), action="web_refused", code=error.code)  # noqa: TRY400 - one sentence
        raise SystemExit(error.exit_code) from None
    log.info("the web process ended", action="web_ended", pid=os.getpid())


def serve(
    *,
    host: str,
    port: int,
    tls_certificate: str | None,
    tls_key: str | None,
    channel: Connection,
    settings: Settings | None = None,
) -> None:
    """Listen and answer.

    Raises:
        UsageError: Nobody can listen there, or certificate and key cannot be used.

    """
    health = Health()
    tell = _Telling(channel)
    counts = None if settings is None else Counts(tell)
    serving = sweeping = None
    if settings is not None and counts is not None:
        serving = Serving(settings, counted=counts.add)
        sweeping = Sweeping(serving, counts.observe)
    config = uvicorn.Config(
        application(health, serving),
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_certfile=tls_certificate,
        ssl_keyfile=tls_key,
        # Without one, a key that has a pass phrase would make OpenSSL ask on the terminal.
        ssl_keyfile_password=NO_PASS_PHRASE,
    )
    try:
        config.load()
    except (OSError, ValueError) as error:
        raise _unusable(error) from error
    listening = listening_socket(host, port, setting="http")
    server = _Server(config, listening, tell)
    signal.signal(signal.SIGTERM, server.end)
    # A supervisor may have blocked it while it spawned, and a mask is inherited.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(
        target=_listen_to, args=(channel, health, serving, server), name="web-channel", daemon=True
    ).start()
    try:
        with listening:
            server.run(sockets=[listening])
    finally:
        if sweeping is not None:
            sweeping.close()
        if counts is not None:
            counts.close()
        if serving is not None:
            serving.close()


class _Telling:
    """Sends to the supervisor, from several threads; one that has gone is noticed by the reader."""

    def __init__(self, channel: Connection) -> None:
        self._channel = channel
        self._lock = threading.Lock()

    def __call__(self, told: dict[str, Any]) -> None:
        with self._lock, contextlib.suppress(OSError):
            if self._channel.writable:
                self._channel.send(told)


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs it, and says when it listens."""

    def __init__(self, config: uvicorn.Config, listening: socket.socket, tell: _Telling) -> None:
        super().__init__(config)
        self._port = listening.getsockname()[1]
        self._tell = tell

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def end(self, *_: object) -> None:
        """Answer what was asked, then stop."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        # As many as the store has connections; more would only wait for each other in turn.
        current_default_thread_limiter().total_tokens = REQUESTS_AT_ONCE
        await super().startup(sockets)
        logging.get_logger().info(
            "the web process listens", action="web_listening", port=self._port, pid=os.getpid()
        )
        self._tell({"listening": self._port})


def _listen_to(
    channel: Connection, health: Health, serving: Serving | None, server: _Server
) -> None:
    """Take what the supervisor says until it hangs up."""
    try:
        while True:
            told = channel.recv()
            if isinstance(told, dict) and "settings" in told:
                if serving is not None:
                    serving.use(told["settings"])
            elif isinstance(told, dict):
                health.tell(told)
    except (EOFError, OSError):
        server.end()


def _unusable(error: Exception) -> UsageError:
    if isinstance(error, ssl.SSLError):
        why = cut(error.reason or error)
    else:
        why = cut(getattr(error, "strerror", None) or error)
    return UsageError(
        f"http.tls_certificate and http.tls_key cannot be used ({why}); give a readable PEM chain "
        "and its key without a pass phrase"
    )
