"""What servers' answers to a bind mean, in the forms that products have for it."""

from __future__ import annotations

import pytest

from syncd.errors import DirectoryUnavailable
from syncd.ldap.bind_answers import POLICY, BindAnswer, read_answer
from syncd.ldap.messages import Control, Result

NETSCAPE = Control("2.16.840.1.113730.3.4.4", value=b"0")
AD = "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {}, v2580"


def _policy(value: str | None) -> Control:
    return POLICY._replace(value=None if value is None else bytes.fromhex(value))


def _result(code: int, message: str = "", *controls: Control) -> Result:
    return Result(code, "", message, (), None, None, controls)


@pytest.mark.parametrize(
    ("result", "refusal"),
    [
        (_result(0), None),
        (_result(49), "wrong_password"),
        *(
            (_result(49, AD.format(code)), reason)
            for code, reason in {
                "525": "unknown_user",
                "52e": "wrong_password",
                "52E": "wrong_password",
                "530": "not_now",
                "531": "not_here",
                "532": "password_expired",
                "533": "disabled",
                "701": "expired",
                "773": "must_change_password",
                "775": "locked",
                "568": "refused_bind",
            }.items()
        ),
        # The policy's control: with a refusal, and with a success that is none.
        (_result(49, "", _policy("3003810100")), "password_expired"),
        (_result(49, "", _policy("3003810101")), "locked"),
        (_result(0, "", _policy("3003810102")), "must_change_password"),
        (_result(49, "", _policy("3003810103")), "refused_bind"),
        (_result(19, "Exceed password retry limit.", _policy("3003810101")), "locked"),
        (_result(49, "", _policy("3000")), "wrong_password"),
        (_result(49, "", _policy(None)), "wrong_password"),
        (_result(49, "", _policy("0000")), "wrong_password"),
        (_result(49, "", _policy("30")), "wrong_password"),
        # 389 and FreeIPA, with Netscape's control or with words alone.
        (_result(0, "", NETSCAPE), "must_change_password"),
        (_result(49, "password expired!", NETSCAPE), "password_expired"),
        (_result(53, "Account inactivated. Contact system administrator."), "disabled"),
        (_result(53, "Account inactivated.", _policy("3003810101")), "disabled"),
        (_result(19, "Exceed password retry limit. Please try later."), "locked"),
        (_result(53, "Too many failed logins."), "locked"),
        (_result(53, "Account (Kerberos principal) is expired"), "expired"),
        # Others say that they do not want to.
        (_result(10, "go elsewhere"), "refused_bind"),
        (_result(32), "refused_bind"),
        (_result(48), "refused_bind"),
        (_result(53), "refused_bind"),
    ],
    ids=lambda value: None if isinstance(value, Result) else str(value),
)
def test_what_an_answer_means(result: Result, refusal: str | None) -> None:
    """Nothing but success without an objection lets in."""
    assert read_answer("ldaps://x", result).refusal == refusal


@pytest.mark.parametrize(
    ("value", "warning"),
    [
        ("3000", None),
        ("3005a003800178", "the password expires in 120 seconds"),
        ("3005a003810103", "the password has expired; 3 sign-ins are left with it"),
    ],
)
def test_warnings(value: str, warning: str | None) -> None:
    """A password that will expire lets in, and what the policy says of it is told."""
    assert read_answer("ldaps://x", _result(0, "", _policy(value))) == BindAnswer(None, warning)


@pytest.mark.parametrize("code", [1, 3, 51, 52, 80])
def test_a_server_in_trouble_says_nothing_of_the_password(code: int) -> None:
    """It is no wrong password, and is to be tried again."""
    with pytest.raises(DirectoryUnavailable):
        read_answer("ldaps://x", _result(code))
