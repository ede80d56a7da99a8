"""An organization's directory, put together for people who sign in with its password.

The same search, the same attributes and the same mappers as the syncs use, for one entry.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from syncd.compose import directory_parts
from syncd.errors import MappingError, SignInRefused
from syncd.ldap.authenticate import Authenticator
from syncd.ldap.ber import decode_entry

if TYPE_CHECKING:
    from syncd.compose import DirectoryParts
    from syncd.records import UserRecord
    from syncd.settings import OrganizationSettings


class Proven(NamedTuple):
    """Somebody who has proved that he knows his password."""

    # As the mappers make him of his entry at this moment.
    record: UserRecord
    # For the log: that the password expires, or has and is borne for some more times.
    warning: str | None = None


class Directory:
    """What there is of a directory; it lives as long as the configuration it was made of."""

    def __init__(self, parts: DirectoryParts) -> None:
        self._authenticator = Authenticator(parts.connection, parts.users)
        self._mapping = parts.user_mapping
        # A mapping remembers what people share, and one thread at a time may use it.
        self._one_at_a_time = Lock()

    def prove(self, username: str, password: str) -> Proven:
        """Have the directory check a password; several threads may call this.

        Takes ten seconds at most, and has no connection left open afterwards.

        Raises:
            SignInRefused: no_password, unknown_user, several_users, wrong_password, locked,
                disabled, expired, password_expired, must_change_password, not_now, not_here,
                refused_bind, other_identity, or the reason why the entry cannot be mapped. The
                message is for the operator, and has nothing of what was typed but a DN.
            DirectoryError: The directory cannot be asked, for whatever reason.

        """
        found = self._authenticator.authenticate(username, password)
        try:
            entry = decode_entry(found.raw)
            with self._one_at_a_time:
                record = self._mapping(entry)
        except MappingError as error:
            raise SignInRefused(
                error.reason, f"the entry of somebody who signs in cannot be taken: {error.detail}"
            ) from error
        return Proven(record, found.warning)


def compose_directory(organization: OrganizationSettings) -> Directory:
    """Build the parts of an organization's directory; asks nobody yet.

    Raises:
        ConfigurationError: A filter is not one of RFC 4515, or mappers contradict each other.
        UsageError: The organization has none.

    """
    return Directory(directory_parts(organization))
