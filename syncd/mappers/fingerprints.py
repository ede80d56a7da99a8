"""The mapper-config hash: whether two runs would map the same entry to the same record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from hashlib import blake2b

# The metadata of a field of options on which the mapping of entries does not depend.
LEFT_OUT: Mapping[str, bool] = {"fingerprint": False}
# Raised when the value rules themselves change, so that every entry is mapped anew.
RULES = 1


def fingerprint(*parts: object) -> str:
    """Return a stable hash of options and settings; the order of mappers counts."""
    text = json.dumps(
        [RULES, *map(_plain, parts)], sort_keys=True, ensure_ascii=True, separators=(",", ":")
    )
    return blake2b(text.encode("ascii"), digest_size=16).hexdigest()


def _plain(part: object) -> object:
    if is_dataclass(part) and not isinstance(part, type):
        left_out = {each.name for each in fields(part) if each.metadata == LEFT_OUT}
        return [
            type(part).__name__,
            {name: _plain(value) for name, value in asdict(part).items() if name not in left_out},
        ]
    if isinstance(part, Mapping):
        return {str(key): _plain(value) for key, value in part.items()}
    if isinstance(part, (list, tuple)):
        return [_plain(each) for each in part]
    if part is None or isinstance(part, (str, int, float)):
        return part
    raise TypeError(f"{type(part).__name__} has no place in a fingerprint")
