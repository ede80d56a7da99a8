"""What mappers need of a directory's value rules; the composition root hands the functions in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """A directory's value rules. Text, time and ids raise MappingError, DNs ValueError."""

    text: Callable[[bytes], str]
    time: Callable[[bytes], datetime]
    external_id: Callable[[bytes], str]
    dn_key: Callable[[str], bytes]
    # The (type in lower case, value) pairs of a DN's RDN: they choose among several values.
    naming_values: Callable[[str], Sequence[tuple[str, str]]] | None = None
    # Whether a DN lies below a base: memberOf values elsewhere name no container of the import.
    is_below: Callable[[str, str], bool] | None = None
