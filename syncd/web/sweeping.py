"""Each second: the sessions of whoever was shut out are written down as ended, and measured.

Nobody needs it to be out: a session that must not hold is not found from that moment on.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from syncd import logging
from syncd.errors import StoreError, cut

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncd.web.serving import Serving

SWEPT_SECONDS: Final = 1.0
LEAVE_SECONDS: Final = 60.0
# What is measured here; the metrics know it by this word.
REVOCATIONS: Final = "revocations"


class Sweeping:
    """A thread of its own; several processes of one store share the work, each session is one's."""

    def __init__(self, serving: Serving, observed: Callable[[str, str, float], None]) -> None:
        self._serving, self._observed = serving, observed
        self._failed = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="web-sweep", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Sweep no more; what is under way ends first."""
        self._ended.set()
        self._thread.join(LEAVE_SECONDS)

    def _run(self) -> None:
        while not self._ended.wait(SWEPT_SECONDS):
            try:
                self._once()
            except StoreError:
                # Whoever needs the store tells of it; the next second tries again.
                continue
            except Exception as error:  # noqa: BLE001 - the next second tries again
                if not self._failed:
                    logging.get_logger().error(
                        f"sessions of people who were shut out could not be ended: {cut(error)}; "
                        "they let nobody in all the same",
                        action="sweep_failed",
                        exc_info=error,
                    )
                self._failed = True
            else:
                self._failed = False

    def _once(self) -> None:
        ended: dict[str, list[float]] = defaultdict(list)
        for organization, seconds in self._serving.app.sweep_sessions():
            ended[organization].append(seconds)
            self._observed(REVOCATIONS, organization, seconds)
        for organization, times in ended.items():
            logging.get_logger().info(
                f"{len(times)} sessions ended, because their people were shut out",
                action="sessions_shut_out",
                organization=organization,
                sessions=len(times),
                seconds=round(max(times), 3),
            )
