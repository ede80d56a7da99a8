"""Sets up structlog: a console for people, JSON for machines, no secret in either.

Log lines go to standard error, because standard output belongs to the report. Every event carries
an ``action`` key, so that a search needs no sentence; secrets are taken out by their key's name,
wherever they stand in the event. Other libraries' records take the same road.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    from structlog.typing import EventDict, Processor, WrappedLogger

Format = Literal["auto", "console", "json"]

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
MASK = "***"
SECRET_KEY = re.compile(
    r"passw(or)?d|passphrase|credential|secret|token|authorization|cookie|api_?key|private_?key"
    r"|assertion|code_verifier",
    re.IGNORECASE,
)
# These only speak of a secret: where it lies, how long it holds, which one it is.
HARMLESS_KEY = re.compile(
    r"(_file|_url|_uri|_endpoint|_type|_seconds|_count|_total|_id)$|^fencing_token$", re.IGNORECASE
)
URL_PASSWORD = re.compile(r"(?P<before>[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+@", re.IGNORECASE)
_NOT_A_WORD = re.compile(r"[^a-z0-9]+")
_DEEPEST = 8

_pinned: str | None = None


def pin(level: str | None) -> None:
    """Let this level win over the configured one; the command line asked for it."""
    global _pinned  # noqa: PLW0603 - logging is set up once a process
    _pinned = level


def configure(*, format: Format = "auto", level: str = "info") -> None:  # noqa: A002 - the key's name
    """Set up logging for this process.

    Args:
        format: ``console``, ``json``, or ``auto``: a console when standard error is a terminal.
        level: the lowest level that is written.

    """
    threshold = LEVELS[(_pinned or level).lower()]
    terminal = sys.stderr.isatty()
    console = format == "console" or (format == "auto" and terminal)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        name_action,
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(
            colors=terminal, exception_formatter=structlog.dev.plain_traceback
        )
        if console
        else structlog.processors.JSONRenderer(sort_keys=True, default=str)
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=_to_standard_error,
        cache_logger_on_first_use=False,
    )
    _route_others(shared, renderer, threshold)


def get_logger(**bound: object) -> structlog.typing.FilteringBoundLogger:
    """Return a logger that carries ``bound`` in every event.

    Call it as ``log.info("sentence", action="words_with_underscores", key=value)``.
    """
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(**bound)
    return logger


def name_action(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Give an event without ``action`` one, made of its sentence's first words."""
    if not event.get("action"):
        words = _NOT_A_WORD.sub("_", str(event.get("event", "")).lower()).strip("_")
        event["action"] = "_".join(words.split("_")[:5]) or "unnamed"
    return event


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> MutableMapping[str, Any]:
    """Mask what stands under a secret's name, at any depth, and passwords in URLs."""
    return {key: _masked(key, value) for key, value in event.items()}


def _masked(key: str, value: object, depth: int = 0) -> object:
    if (
        value is not None
        and not isinstance(value, bool)
        and SECRET_KEY.search(key)
        and not HARMLESS_KEY.search(key)
    ):
        return MASK
    return _without_secrets(value, depth)


def _without_secrets(value: object, depth: int) -> object:
    if isinstance(value, str):
        return URL_PASSWORD.sub(rf"\g<before>{MASK}@", value) if "://" in value else value
    if depth >= _DEEPEST:
        return MASK
    if isinstance(value, Mapping):
        return {name: _masked(str(name), each, depth + 1) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_without_secrets(each, depth + 1) for each in value]
    return value


class _StandardError:
    """Writes to whatever ``sys.stderr`` is now: a progress display stands in for it for a while."""

    def msg(self, message: str) -> None:
        sys.stderr.write(message + "\n")
        sys.stderr.flush()

    log = debug = info = warning = warn = error = critical = fatal = exception = msg


def _to_standard_error(*_arguments: object) -> _StandardError:
    return _StandardError()


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            _StandardError().msg(self.format(record))
        except Exception:  # noqa: BLE001 - logging's own way to tell that a line was lost
            self.handleError(record)


def _route_others(shared: Sequence[Processor], renderer: Processor, threshold: int) -> None:
    handler = _Handler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(allow=["action"]),
                *shared,
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, _Handler)] + [handler]
    # Libraries at "info" tell of every step of theirs; that is for whoever debugs.
    logging.getLogger("syncd").setLevel(threshold)
    root.setLevel(threshold if threshold <= LEVELS["debug"] else max(threshold, LEVELS["warning"]))
