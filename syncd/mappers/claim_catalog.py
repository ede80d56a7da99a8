"""The mapper types that an identity provider's claims are mapped with, for ``catalog``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.mappers.claim_options import (
    ClaimToAttributeOptions,
    ClaimToGroupOptions,
    ClaimToRoleOptions,
    EssentialClaimOptions,
    UsernameTemplateOptions,
)
from syncd.mappers.options import (
    HardcodedAttributeOptions,
    HardcodedGroupOptions,
    HardcodedRoleOptions,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

MAPPER_NAME = "The mapper's name, unique in the organization; grants are owned by it."
_CLAIM = (
    "The claim, by name or by path: `realm_access.roles` is the member `roles` of `realm_access`,"
    " `emails[0]` the first of a list; a dot in a name is written `\\.`."
)
_MODE = (
    "With an identity provider: at the first sign-in only, at each, or as `idp.sync_mode` says. A"
    " directory is always followed."
)
_CONDITIONS: Mapping[str, str] = {
    "name": MAPPER_NAME,
    "claim": _CLAIM,
    "equals": (
        "The claim, or one element of it, is this value. By type: `true` is not `1`, and `1` is not"
        ' `"1"`.'
    ),
    "contains": (
        "This value is an element of the list, or a word of a text in which words are parted by"
        " spaces."
    ),
    "matches": (
        "A regular expression for the whole text, or for one element of a list. Letter case counts"
        " unless it starts with `(?i)`."
    ),
    "all_of": "Several conditions in place of one, all of which have to hold.",
}
_WHEN_ABSENT = (
    "What a token without such a claim does: take back what this mapper gave, or leave it. A claim"
    " that the provider left out for its size (Entra ID's overage) is never taken as absent."
)

TYPES: tuple[tuple[str, type, str, dict[str, str], str], ...] = (
    (
        "hardcoded-attribute",
        HardcodedAttributeOptions,
        "The same value for everybody of this directory or identity provider.",
        {
            "name": MAPPER_NAME,
            "user_attribute": "What it fills; not `username`, `email` or a timestamp.",
            "value": "The value.",
            "sync_mode": _MODE,
        },
        """\
mappers:
  - name: site
    type: hardcoded-attribute
    user_attribute: site
    value: Berlin
""",
    ),
    (
        "hardcoded-role",
        HardcodedRoleOptions,
        "One role for everybody of this directory or identity provider.",
        {
            "name": MAPPER_NAME,
            "role": "The role's name; it is made when there is none.",
            "may_grant_privileged": "Allow one of the preconfigured roles.",
            "sync_mode": _MODE,
        },
        """\
mappers:
  - name: everybody is staff
    type: hardcoded-role
    role: Staff
""",
    ),
    (
        "hardcoded-group",
        HardcodedGroupOptions,
        "One group for everybody of this directory or identity provider.",
        {
            "name": MAPPER_NAME,
            "group": (
                "The group's name, or its path, which starts with `/`; it is made when there is"
                " none."
            ),
            "sync_mode": _MODE,
        },
        """\
mappers:
  - name: everybody
    type: hardcoded-group
    group: /Directory/Everybody
""",
    ),
    (
        "claim-to-attribute",
        ClaimToAttributeOptions,
        "One claim of an identity provider to one property or attribute of a person.",
        {
            "name": MAPPER_NAME,
            "claim": _CLAIM,
            "user_attribute": (
                "What it fills: `username`, `email`, `email_verified`, `first_name`, `last_name`,"
                " or any other name for a plain attribute."
            ),
            "default_value": "What a person has whose token has no value.",
            "mandatory": "Nobody is let in without a value.",
            "multivalued": (
                "Take every value or the first; by default every value for a plain attribute, the"
                " first for a property."
            ),
            "sync_mode": _MODE,
        },
        """\
mappers:
  - name: department
    type: claim-to-attribute
    claim: organization.department
    user_attribute: department
""",
    ),
    (
        "claim-to-role",
        ClaimToRoleOptions,
        "A role for whoever's claims say so; it goes again when they do not.",
        {
            **_CONDITIONS,
            "role": "The role's name.",
            "may_grant_privileged": (
                "Allow one of the preconfigured roles: the provider's admins decide then who holds"
                " it."
            ),
            "when_absent": _WHEN_ABSENT,
            "unknown_role": "What to do while there is no role of that name.",
            "sync_mode": _MODE,
        },
        """\
mappers:
  - name: auditors
    type: claim-to-role
    all_of:
      - {claim: groups, contains: audit}
      - {claim: country, matches: "DE|AT|CH"}
    role: Auditors
""",
    ),
    (
        "claim-to-group",
        ClaimToGroupOptions,
        "A group for whoever's claims say so; he leaves it again when they do not.",
        {
            **_CONDITIONS,
            "group": (
                "The group's name, or its path, which starts with `/`; it is made when there is"
                " none."
            ),
            "when_absent": _WHEN_ABSENT,
            "sync_mode": _MODE,
        },
        """\
mappers:
  - name: IT
    type: claim-to-group
    claim: https://example\\.org/teams
    contains: it
    group: /Staff/IT
""",
    ),
    (
        "username-template",
        UsernameTemplateOptions,
        "A username put together of claims and texts.",
        {
            "name": MAPPER_NAME,
            "template": (
                "Texts with `${CLAIM.<path>}`, `${SUB}` (the token's subject) and `${ALIAS}` (the"
                " organization's id) in them. Behind a path may stand `| lower`, `| upper` and"
                " `| local_part`, which is what stands before the `@`."
            ),
            "sync_mode": _MODE,
        },
        """\
mappers:
  - name: username
    type: username-template
    template: "${CLAIM.email | local_part | lower}"
""",
    ),
    (
        "essential-claim",
        EssentialClaimOptions,
        "A gate: nobody is let in whose claims do not say so.",
        {
            **_CONDITIONS,
            "sync_mode": (
                "When the gate is closed: at each sign-in, at the first only, or as `idp.sync_mode`"
                " says."
            ),
        },
        """\
mappers:
  - name: members only
    type: essential-claim
    claim: entitlements
    contains: remote-support
""",
    ),
)
