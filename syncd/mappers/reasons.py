"""The closed list of reasons why an entry could not be taken, with a sentence each.

The words are stable: quarantine rows, metrics labels and scripts use them. The ``ldap`` room
raises some of them by their text, because the two rooms do not know each other.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Reason(StrEnum):
    """Why one entry is in quarantine."""

    MALFORMED_ENTRY = "malformed_entry"
    DN_NOT_TEXT = "dn_not_text"
    BAD_DN = "bad_dn"
    MISSING_ID = "missing_id"
    SEVERAL_IDS = "several_ids"
    BAD_ID = "bad_id"
    MISSING_USERNAME = "missing_username"
    BAD_USERNAME = "bad_username"
    MISSING_MANDATORY = "missing_mandatory"
    PARTIAL_VALUES = "partial_values"
    BAD_ACCOUNT_STATE = "bad_account_state"
    NOT_TEXT = "not_text"
    TOO_LONG = "too_long"
    MISSING_ROLE_NAME = "missing_role_name"
    BAD_ROLE_NAME = "bad_role_name"
    ROLE_NAME_RESERVED = "role_name_reserved"
    MISSING_GROUP_NAME = "missing_group_name"
    BAD_GROUP_NAME = "bad_group_name"


SENTENCES: Mapping[Reason, str] = {
    Reason.MALFORMED_ENTRY: "The server's answer for this entry is not a well-formed LDAP entry.",
    Reason.DN_NOT_TEXT: "The entry's own DN is not UTF-8 text.",
    Reason.BAD_DN: "The entry's own DN cannot be read by the rules of RFC 4514.",
    Reason.MISSING_ID: (
        "The entry has no readable value of the UUID attribute; without it nobody can tell whether"
        " it is a known person, so whoever has its DN or username is left as he is."
    ),
    Reason.SEVERAL_IDS: "The UUID attribute has several values, so it does not identify the entry.",
    Reason.BAD_ID: "The value of the UUID attribute cannot be an identifier.",
    Reason.MISSING_USERNAME: "The entry has no value of the username attribute.",
    Reason.BAD_USERNAME: (
        "The username is blank, longer than 255 characters or has control characters in it."
    ),
    Reason.MISSING_MANDATORY: (
        "An attribute that a mapper marks as mandatory is missing and has no default value."
    ),
    Reason.PARTIAL_VALUES: (
        "The server sent only the first of many values of a mapped attribute of a person, so what"
        " he had is kept."
    ),
    Reason.BAD_ACCOUNT_STATE: (
        "An attribute that says whether the account may be used cannot be read, so the person is"
        " left as he is."
    ),
    Reason.NOT_TEXT: (
        "A mapped value is not UTF-8 text or holds a NUL character; a mapper for a binary"
        " attribute needs binary: true."
    ),
    Reason.TOO_LONG: "A mapped value has more than 4096 characters.",
    Reason.MISSING_ROLE_NAME: "The role entry has no value of the role name attribute.",
    Reason.BAD_ROLE_NAME: (
        "The role's name, or what pattern or prefix made of it, is blank, longer than 255"
        " characters or has control characters in it."
    ),
    Reason.ROLE_NAME_RESERVED: (
        "The directory's role is called like a preconfigured role; name_map must give it another"
        " name, or name the preconfigured role together with may_grant_privileged: true."
    ),
    Reason.MISSING_GROUP_NAME: "The group entry has no value of the group name attribute.",
    Reason.BAD_GROUP_NAME: (
        "The group's name is blank, longer than 255 characters or has control characters in it."
    ),
}
