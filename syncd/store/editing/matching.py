"""Whether a thing is still as somebody saw it who wants to change it now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.errors import Refused
from syncd.records import etag

if TYPE_CHECKING:
    from collections.abc import Mapping


def require_match(shape: Mapping[str, object], if_match: str | None) -> None:
    """Refuse to change what is not any more as it was seen.

    To be asked inside of the change, with ``shape`` read in its transaction.

    Args:
        shape: What is shown of the thing to whoever asks for it.
        if_match: Its ``records.etag`` as it was seen; None asks for nothing.

    Raises:
        Refused: ``stale``.

    """
    if if_match is not None and etag(shape) != if_match:
        raise Refused(
            "somebody has changed it since you read it; read it again, then change it", "stale"
        )
