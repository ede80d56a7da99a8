"""Puts one `syncd run` together: configuration, checks, supervisor."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from syncd import logging
from syncd.daemon.messages import Start
from syncd.daemon.notify import Notifier
from syncd.daemon.reload import Checked, check
from syncd.daemon.supervisor import Supervisor

if TYPE_CHECKING:
    from syncd.app import App


def serve(app: App, *, config: str | None, only: str | None, level: str | None) -> dict[str, Any]:
    """Run the daemon until a signal ends it; return what is to be said of that.

    Args:
        app: The application; its configuration is loaded.
        config: What ``--config`` said, for reading it again.
        only: ``web`` or ``sync`` for one half; None for both.
        level: The log level that the command line asks for; None leaves it to the configuration.

    Raises:
        ConfigurationError: The configuration cannot be used.
        UsageError: Nobody can listen where it says.
        SchemaMismatch: The store is not this program's.

    """
    app.tell_newer = _tell_newer
    notifier = Notifier.take(os.environ)
    searches = app.log_searches and not app.settings.daemon.log.searches
    for sentence in app.warnings:
        logging.get_logger().warning(sentence, action="config_warning")

    def reread(old: App) -> Checked:
        fresh = type(old).load(config, log_searches=searches)
        checked = check(fresh)
        fresh.tell_newer = _tell_newer
        fresh.take_over(old)
        return checked

    def start_of(used: App) -> Start:
        log = used.settings.daemon.log
        return Start(used.settings, log.format, level or log.level, used.log_searches)

    return Supervisor(
        check(app), only=only, notifier=notifier, reread=reread, start_of=start_of
    ).run()


def _tell_newer(sentence: str) -> None:
    logging.get_logger().warning(sentence, action="newer_schema")
