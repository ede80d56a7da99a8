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
    # Somebody of another provider becomes one of this provider's people.
    LINK = 16384
    # The organization's provider is another from now on than the person's.
    LEAVE = 32768
    # It is the person's again.
    REJOIN = 65536
    # The directory knows the person by another id.
    REKEY = 131072
    # Restrictions that no directory made are lifted or set back, by an undo.
    RESTRICT = 262144


# Kinds that rewrite the person's row from the record.
WRITES_RECORD = Kind.UPDATE | Kind.RENAME | Kind.EMAIL | Kind.MOVE | Kind.RETURN | Kind.LINK
# Kinds that write what holds of the account.
WRITES_ACCOUNT = Kind.DISABLE | Kind.ENABLE | Kind.LOCK | Kind.UNLOCK | Kind.ACCOUNT
# Kinds that say by themselves which restriction they set or lift.
OF_PROVIDERS = Kind.LEAVE | Kind.REJOIN | Kind.LINK
