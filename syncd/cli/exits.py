"""Exit codes that a report decides here; a sync's own come from ``syncd.app``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from syncd.cli.application import Document
from syncd.errors import SyncdError

FINE, REFUSED, USAGE, UNAVAILABLE, NOT_THERE = 0, 1, 2, 4, 7
# The largest problem first.
ORDER = (70, 130, 2, 4, 3, 6, 5, 7, 1, 0)


def largest(codes: Iterable[int]) -> int:
    """Return the exit code of the largest problem."""
    return min(codes, key=ORDER.index, default=FINE)


def check_exit_code(report: Document) -> int:
    """Return 2 for a fault, a failed connection's own code, and 0 when all is well."""
    codes = [FINE if report.get("ok") else USAGE]
    if not report.get("ok"):
        by_code = {error.code: error.exit_code for error in _tree(SyncdError)}
        found = []
        for each in report.get("organizations") or []:
            if own_faults(each):
                found.append(USAGE)
            error = (each.get("connect") or {}).get("error")
            if isinstance(error, dict):
                found.append(by_code.get(str(error.get("code")), UNAVAILABLE))
            elif error:
                found.append(UNAVAILABLE)
        codes = found or codes
    return largest(codes)


def verify_exit_code(report: Document) -> int:
    """Return 1 for a token, or a person, that is refused; 4 when nobody can tell."""
    if report.get("reason") == "keys_unavailable":
        return UNAVAILABLE
    then = report.get("then") or {}
    refused = report.get("outcome") != "accepted" or then.get("would") == "refuse"
    return REFUSED if refused or then.get("enabled") is False else FINE


def mail_exit_code(mails: Iterable[Document | None]) -> int:
    """Return 4 when a mail server did not take one of these mails, and 0 otherwise."""
    failed = [mail for mail in mails if mail and not mail.get("sent") and not mail.get("link")]
    return UNAVAILABLE if failed else FINE


def own_faults(checked: Document) -> list[Any]:
    """Return an organization's faults without what only repeats that its directory failed."""
    error = (checked.get("connect") or {}).get("error")
    told = str(error.get("message") if isinstance(error, dict) else error or "").splitlines()
    return [fault for fault in checked.get("faults") or [] if fault not in told]


def _tree(error: type[SyncdError]) -> Iterator[type[SyncdError]]:
    yield error
    for below in error.__subclasses__():
        yield from _tree(below)
