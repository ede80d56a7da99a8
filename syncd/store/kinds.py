"""What a plan row does to one person, as bits, because one row may do several things."""

from __future__ import annotations

from enum import IntFlag


class Kind(IntFlag):
    """Kinds of change to a person."""

    CREATE = 1
    UPDATE = 2
    RENAME = 4
    EMAIL = 8
    MOVE = 16
    MISSING = 32
    RETURN = 64
    DISABLE = 128
    ENABLE = 256
    DELETE = 512
    # Only roles change; the person's own row stays as it is.
    GRANTS = 1024
    # A lockout is temporary and nobody's decision: it is counted apart from who is disabled.
    LOCK = 2048
    UNLOCK = 4096
    # What is stored of the account changes, and for now nothing of what it may do.
    ACCOUNT = 8192


# Kinds that rewrite the person's row from the record.
WRITES_RECORD = Kind.UPDATE | Kind.RENAME | Kind.EMAIL | Kind.MOVE | Kind.RETURN
# Kinds that write what holds of the account.
WRITES_ACCOUNT = Kind.DISABLE | Kind.ENABLE | Kind.LOCK | Kind.UNLOCK | Kind.ACCOUNT
