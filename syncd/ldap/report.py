"""Owns what a probe found, as values, and what there is to advise about it.

Pure: the advice follows from the report alone, so each sentence is tested without a directory.
Nothing in a report is a secret; values of people's attributes are not in it either.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from syncd.ldap import dn
from syncd.ldap.vendors import VENDORS

if TYPE_CHECKING:
    from collections.abc import Iterator

EXPIRES_SOON_DAYS = 30
# Attributes that an administrator changes in daily business: an id made of them is no identity.
NAMES = frozenset({"uid", "cn", "mail", "entrydn", "distinguishedname", "samaccountname", "sn"})
MEMBERSHIP_ATTRIBUTES = frozenset({"member", "uniquemember", "memberuid", "roleoccupant"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReport:
    """One configured URL: whether it let us in, and what it said if not."""

    url: str
    usable: bool
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsReport:
    """The connection's protection and the certificate that the server showed."""

    version: str
    subject: str
    issuer: str
    names: tuple[str, ...]
    not_after: str
    days_left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlReport:
    """A control that the sync can use, and whether the server offers it."""

    oid: str
    name: str
    offered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PagingReport:
    """Which page size the server takes, and where a search without pages is cut."""

    configured: int | None
    accepted: int | None
    # The entries after which the server stopped an unpaged search; None: not within what was asked.
    unpaged_limit: int | None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeReport:
    """How many of the sampled entries show an attribute to the bind account."""

    name: str
    entries: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseReport:
    """One search base: whether it exists and what its first page holds."""

    base_dn: str
    exists: bool
    first_page: int
    more: bool
    references: int
    error: str | None = None
    # When nothing matches though there are entries: the clause that turns one of them away.
    clause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersReport:
    """What a sample of people shows."""

    bases: tuple[BaseReport, ...]
    sampled: int
    attributes: tuple[AttributeReport, ...]
    uuid_attribute: str
    uuid_unique: bool
    uuid_undecodable: int
    username_attribute: str
    modified_attribute: str
    member_of_attribute: str
    # Whether the configuration takes roles from the people's own entries.
    member_of_wanted: bool
    password_readable: bool

    def share(self, attribute: str) -> float:
        """Return the share of the sampled people that show this attribute."""
        wanted = attribute.lower()
        return next((found.share for found in self.attributes if found.name.lower() == wanted), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainersReport:
    """What the first page of one mapper's roles shows."""

    mapper: str
    base: BaseReport
    attributes: tuple[AttributeReport, ...]
    sample_dn: str | None
    # How many values of each attribute the sample role shows.
    sample_values: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """Everything that a probe found out about one directory."""

    url: str
    servers: tuple[ServerReport, ...]
    bind_dn: str | None
    tls: TlsReport | None
    vendor_configured: str
    vendor_detected: str
    vendor_name: str | None
    vendor_version: str | None
    naming_contexts: tuple[str, ...]
    controls: tuple[ControlReport, ...]
    paging: PagingReport
    users: UsersReport
    containers: tuple[ContainersReport, ...]
    # Which of the directory's servers answered, where it says so.
    server: str = ""
    advice: tuple[str, ...] = ()
    # A raw entry of the sample, for the app to map as an example.
    sample: bytes | None = field(default=None, repr=False)

    def as_json(self) -> dict[str, object]:
        """Return the report without the raw sample, for ``--json``."""
        report = asdict(self)
        del report["sample"]
        return report


def advise(report: ProbeReport) -> tuple[str, ...]:
    """Return what an operator should look at, the most serious first."""
    return (
        *_about_users(report),
        *_about_bases(report),
        *_about_paging(report),
        *_about_containers(report),
        *_about_connection(report),
        *_about_vendor(report),
        *_about_layout(report),
    )


def _about_users(report: ProbeReport) -> Iterator[str]:
    users = report.users
    if not users.sampled:
        return
    count = f"all {users.sampled} sampled users" if users.sampled > 1 else "the sampled user"
    default = VENDORS[report.vendor_detected].uuid_attribute
    if not users.share(users.uuid_attribute):
        hint = (
            f"set uuid_ldap_attribute: {default}, which this server has, or "
            if default.lower() != users.uuid_attribute.lower()
            else ""
        )
        yield (
            f"{users.uuid_attribute} is missing for {count}, so nobody can be imported: {hint}"
            "give the bind account the right to read it"
        )
    elif users.share(users.uuid_attribute) < 1:
        yield (
            f"{users.uuid_attribute} is missing for some of the {users.sampled} sampled users: "
            "those cannot be imported until the bind account may read it for everybody"
        )
    if not users.uuid_unique:
        yield (
            f"{users.uuid_attribute} is not unique among the {users.sampled} sampled users: choose "
            f"an attribute that is, such as {default}"
        )
    if users.uuid_undecodable:
        yield (
            f"the {users.uuid_attribute} of {users.uuid_undecodable} among {users.sampled} sampled "
            "users cannot be decoded: check that it is an identifier"
        )
    if users.uuid_attribute.lower() in NAMES:
        yield (
            f"{users.uuid_attribute} changes when somebody is renamed, who is then a new person "
            f"without the old one's roles: prefer {default}"
        )
    if not users.share(users.username_attribute):
        yield (
            f"{users.username_attribute} is missing for {count}: set username_ldap_attribute to "
            "what people sign in with"
        )
    elif users.share(users.username_attribute) < 1:
        yield (
            f"some of the {users.sampled} sampled users have no {users.username_attribute} and "
            "would go to quarantine: exclude them by the user search filter"
        )
    if not users.share(users.modified_attribute):
        yield (
            f"{users.modified_attribute} does not come back: changed-user syncs cannot work until "
            "the bind account may read it"
        )
    if users.member_of_wanted and not users.share(users.member_of_attribute):
        yield (
            f"{users.member_of_attribute} is empty for {count}: load_by_member_attribute is safer"
        )
    if users.password_readable:
        yield "the bind account may read userPassword: give it fewer rights"


def _about_bases(report: ProbeReport) -> Iterator[str]:
    for base in report.users.bases:
        if base.error is not None:
            yield f"users DN {base.base_dn}: {base.error}"
        elif not base.first_page:
            why = (
                f"the entries there do not match {base.clause}"
                if base.clause
                else "there are no entries that the bind account may see"
            )
            yield f"nobody is found below the users DN {base.base_dn}: {why}"
        if base.references:
            yield (
                f"references to other servers are in scope of {base.base_dn} ({base.references} on "
                "the first page): what lies behind them is not read, and as long as they are there "
                "no absence counts; choose users DNs without them"
            )


def _about_paging(report: ProbeReport) -> Iterator[str]:
    paging = report.paging
    if paging.configured is None:
        return
    if paging.accepted is None:
        yield (
            f"the server takes no pages of {paging.configured}, nor of half of it"
            f"{f' ({paging.error})' if paging.error else ''}: set a smaller page_size"
        )
    elif paging.accepted != paging.configured:
        yield (
            f"page size {paging.configured} refused; {paging.accepted} accepted: set page_size: "
            f"{paging.accepted}"
        )


def _about_containers(report: ProbeReport) -> Iterator[str]:
    for found in report.containers:
        base = found.base
        if base.error is not None:
            yield f"{found.mapper}: roles DN {base.base_dn}: {base.error}"
            continue
        if not base.first_page:
            yield (
                f"{found.mapper}: no role is found below {base.base_dn}: check role_object_class "
                "and ldap_filter"
            )
            continue
        for attribute in found.attributes:
            if attribute.name.lower() in MEMBERSHIP_ATTRIBUTES and not attribute.entries:
                yield (
                    f"{found.mapper}: none of the {base.first_page} roles of the first page shows "
                    f"a {attribute.name}: check membership_ldap_attribute and the bind account's "
                    "rights"
                )


def _about_connection(report: ProbeReport) -> Iterator[str]:
    for server in report.servers:
        if not server.usable:
            yield f"{server.url} cannot be used: {server.error}"
    if report.tls is None:
        yield (
            "the connection is clear text, so the password and everybody's attributes can be read "
            "on the way: use ldaps:// or StartTLS"
        )
    elif report.tls.days_left < EXPIRES_SOON_DAYS:
        days = report.tls.days_left
        yield f"the server's certificate expires in {days} day{'' if days == 1 else 's'}"
    if report.bind_dn is None:
        yield (
            "the bind is anonymous: what it may see is what everybody may see, and a server that "
            "tightens this looks empty; use a bind account"
        )


def _about_vendor(report: ProbeReport) -> Iterator[str]:
    detected, configured = report.vendor_detected, report.vendor_configured
    vendor = VENDORS[detected]
    if detected not in (configured, "other"):
        current = report.users.uuid_attribute
        keep = (
            f", and where people were imported already uuid_ldap_attribute: {current}, so that "
            "they stay who they are"
            if vendor.uuid_attribute.lower() != current.lower()
            else ""
        )
        yield (
            f"the server is {vendor.title}, but vendor is {configured}: set vendor: {detected} for "
            f"its defaults{keep}"
        )
    offered = {control.name for control in report.controls if control.offered}
    if report.controls and "paged results" not in offered:
        yield "the server does not offer paged results: a listing beyond its size limit stays short"


def _about_layout(report: ProbeReport) -> Iterator[str]:
    vendor = VENDORS[report.vendor_detected]
    if not vendor.users_container:
        return
    for base in report.users.bases:
        for context in report.naming_contexts:
            place = f"{vendor.users_container},{context}"
            if _is_above(base.base_dn, place):
                yield (
                    f"{vendor.title} keeps people below {place}, and the users DN {base.base_dn} "
                    "is wider: staged and preserved users (cn=provisioning) and copies for old "
                    f"clients (cn=compat) may count as people; set users_dn: {place}"
                )


def _is_above(upper: str, lower: str) -> bool:
    try:
        return dn.is_below(lower, upper)
    except ValueError:
        return False
