"""What is said of wrong files: file, line, key, what was found, what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from syncd.settings import MAPPER_MODELS

if TYPE_CHECKING:
    from tests.unit.settings.conftest import Place

MAPPER_TYPES = ", ".join(MAPPER_MODELS)
DURATION = "must be seconds, or a number with a unit such as 90s, 15m, 12h or 30d"

DAEMON = [
    (
        "http: {prot: 1}",
        "syncd.yaml:1: http.prot: there is no such key (did you mean port?); "
        "allowed: host, port, base_url, trusted_proxies, tls_certificate, tls_key",
    ),
    (
        "xyzzy: 1",
        "syncd.yaml:1: xyzzy: there is no such key; allowed: store, organizations, http, metrics, "
        "log, sync, sessions, sign_in, tokens, retention, outbound, smtp",
    ),
    (
        'http: {port: "8480"}',
        'syncd.yaml:1: http.port: must be a port number, 1 to 65535; found "8480"',
    ),
    (
        "http: {port: 65536}",
        "syncd.yaml:1: http.port: must be a port number, 1 to 65535; found the number 65536",
    ),
    (
        "http:\n  host: no",
        "syncd.yaml:2: http.host: must be text; found the boolean false (written no); "
        "put it in quotes",
    ),
    ("http: 5", "syncd.yaml:1: http: must be a group of keys; found a number"),
    ("http:", "syncd.yaml:1: http: must be a group of keys; found nothing"),
    ('http: {host: ""}', 'syncd.yaml:1: http.host: must be text that is not empty; found ""'),
    (
        "http: {base_url: syncd.example.org}",
        "syncd.yaml:1: http.base_url: must be a URL such as https://syncd.example.org; "
        'found "syncd.example.org"',
    ),
    (
        "http: {trusted_proxies: [10.0.0.0/8, frog]}",
        "syncd.yaml:1: http.trusted_proxies[1]: must be a network such as 10.0.0.0/8, or an "
        'address; found "frog"',
    ),
    (
        "metrics: {port: on}",
        "syncd.yaml:1: metrics.port: must be a port number, 1 to 65535; "
        "found the boolean true (written on)",
    ),
    (
        "log: {level: INFO}",
        "syncd.yaml:1: log.level: must be one of debug, info, warning, error; "
        'found "INFO"; did you mean info?',
    ),
    (
        "sync: {workers: 0}",
        "syncd.yaml:1: sync.workers: must be a whole number from 1; found the number 0",
    ),
    ("sessions: {idle: 3 weeks}", f'syncd.yaml:1: sessions.idle: {DURATION}; found "3 weeks"'),
    (
        "sessions: {idle: 13h}",
        "syncd.yaml:1: sessions.idle: must not be longer than sessions.absolute",
    ),
    (
        "retention: {runs: -1}",
        f"syncd.yaml:1: retention.runs: {DURATION}, and not negative; found the number -1",
    ),
    (
        "retention: {runs: 40000d}",
        'syncd.yaml:1: retention.runs: must be at most 36500d; found "40000d"',
    ),
    (
        "retention: {runs: 12:30}",
        "syncd.yaml:1: retention.runs: looks like a number to base 60 or a time to some YAML "
        "readers and like text to others; put it in quotes, or write a plain decimal number",
    ),
    (
        "smtp: {host: mail}",
        'syncd.yaml:1: smtp.from: is required: e-mail address, such as "syncd@example.org"',
    ),
    (
        "smtp: {host: mail, from: nobody}",
        'syncd.yaml:1: smtp.from: must be an e-mail address; found "nobody"',
    ),
    (
        "smtp: {host: mail, from: a@b, username: x}",
        "syncd.yaml:1: smtp.username: needs smtp.password beside it",
    ),
    (
        "smtp: {host: mail, from: a@b, password: 12345}",
        "syncd.yaml:1: smtp.password: must be text; found a number; put it in quotes",
    ),
    (
        "http: {tls_key: syncd.yaml}",
        "syncd.yaml:1: http.tls_key: needs http.tls_certificate beside it",
    ),
    (
        "store: {url: 'mysql://u:hunter2@h/x'}",
        "syncd.yaml:1: store.url: must be sqlite:///PATH or postgresql+psycopg://USER@HOST/DATABASE,"
        " and starts with mysql://",
    ),
    (
        "store: {url: 'sqlite://'}",
        "syncd.yaml:1: store.url: must name a file: a database in memory is lost when the command "
        "ends",
    ),
    (
        "store: {url: 'sqlite:///a', migration_url: 'postgresql://h/b'}",
        "syncd.yaml:1: store.migration_url: must be the same kind of database as store.url",
    ),
    (
        "organizations: [gone.yaml]",
        'syncd.yaml:1: organizations: finds no organization file: no file matches "gone.yaml"',
    ),
    (
        "log: {level: info}\nlog: {level: info}",
        "syncd.yaml:2: log: stands twice, first on line 1; keep one",
    ),
    (
        "- a\n- b",
        "syncd.yaml:1: must hold keys and values, such as `provider: ldap`, not a list or a text",
    ),
    (
        "log:\n\tlevel: info",
        "syncd.yaml:2: is not valid YAML here: indent with spaces, not with tabs",
    ),
    (
        "log: {level: info",
        "syncd.yaml:1: is not valid YAML here: a quote or a bracket is not "
        "closed, or closed too often",
    ),
    (
        "a: 1\n---\nb: 1",
        "syncd.yaml:2: is not valid YAML here: keep one document, without a `---` in the middle",
    ),
    ("log: !yes x", "syncd.yaml:1: log: has a YAML tag; put the value in quotes"),
    (
        "log: &a\n  level: *a",
        "syncd.yaml:1: log.level: repeats itself through an alias; write it out",
    ),
    ("log:\n  <<: {level: info}", "syncd.yaml:2: log.<<: is a YAML merge; write the keys out"),
    ("? [a]\n: 1", "syncd.yaml:1: has a list or a mapping as a key; use a name"),
    ("log: \x01", "syncd.yaml: holds a character that YAML does not allow; remove it"),
]


@pytest.mark.parametrize(("text", "fault"), DAEMON, ids=[case[0] for case in DAEMON])
def test_a_wrong_daemon_file_is_named_with_line_key_found_and_allowed(
    place: Place, text: str, fault: str
) -> None:
    """Each wrong daemon file brings exactly one fault with these words."""
    place.daemon(text)
    place.organization()
    assert place.faults() == [fault]


ROLES = "import_roles: {roles_dn: 'ou=r', "
LDAP = [
    (
        "connection_url: ldaps://b",
        ["9: ldap.connection_url: stands twice, first on line 4; keep one"],
    ),
    (
        "conection_url: x",
        ["9: ldap.conection_url: there is no such key (did you mean connection_url?); allowed: …"],
    ),
    (
        "roles_dn: x",
        ["9: ldap.roles_dn: there is no such key here, it belongs under ldap.import_roles; …"],
    ),
    (
        "vendor: openldp",
        [
            "9: ldap.vendor: must be one of active_directory, openldap, 389ds, freeipa, opendj, "
            'other; found "openldp"; did you mean openldap?'
        ],
    ),
    ("batch_size: 0", ["9: ldap.batch_size: must be a whole number from 1; found the number 0"]),
    (
        "batch_size: true",
        ["9: ldap.batch_size: must be a whole number from 1; found the boolean true"],
    ),
    ("page_size: 0", ["9: ldap.page_size: must be a whole number from 1; found the number 0"]),
    ("trust_email: maybe", ['9: ldap.trust_email: must be true or false; found "maybe"']),
    (
        "read_timeout: 0",
        ["9: ldap.read_timeout: must be longer than 0 seconds; found the number 0"],
    ),
    (
        "user_search_filter: uid=x",
        [
            "9: ldap.user_search_filter: must be empty, or start with ( and end with ), such as "
            '(objectClass=person); found "uid=x"'
        ],
    ),
    (
        "user_search_filter: (a=b)(c=d)",
        [
            "9: ldap.user_search_filter: must be one filter in parentheses, and the first one ends "
            'at character 5; join several as (&(…)(…)); found "(a=b)(c=d)"'
        ],
    ),
    (
        "user_search_filter: (&(a=b)",
        [
            "9: ldap.user_search_filter: lacks 1 closing parenthesis; write ( and ) in values as "
            '\\28, \\29; found "(&(a=b)"'
        ],
    ),
    (
        "user_object_classes: []",
        ["9: ldap.user_object_classes: must have at least one value; found an empty list"],
    ),
    (
        "sentinels: [frog]",
        ['9: ldap.sentinels[0]: must be a DN such as ou=people,dc=example,dc=org; found "frog"'],
    ),
    (
        "full_sync_at: 61 * * * *",
        ['9: ldap.full_sync_at: must have 0 to 59 (or *) as its minute; found "61 * * * *"'],
    ),
    (
        "full_sync_at: daily",
        [
            "9: ldap.full_sync_at: must be a cron line of five fields (minute hour day month "
            'weekday), such as 30 2 * * *; found "daily"'
        ],
    ),
    (
        "import_roles: {}",
        ['9: ldap.import_roles.roles_dn: is required: DN, such as "ou=roles,dc=example,dc=org"'],
    ),
    (
        f"{ROLES}user_roles_retrieve_strategy: LOAD_RECURSIVELY}}",
        [
            "9: ldap.import_roles.user_roles_retrieve_strategy: must be one of "
            "load_by_member_attribute, get_from_user_member_of, "
            'load_by_member_attribute_recursively; found "LOAD_RECURSIVELY"; did you mean '
            "load_by_member_attribute_recursively?"
        ],
    ),
    (
        f"{ROLES}name_map: {{1: 2}}}}",
        ["9: ldap.import_roles.name_map.1: must be text; found a number; put it in quotes"],
    ),
    (
        f"{ROLES}membership_attribute_type: member_of}}",
        [
            "9: ldap.import_roles.membership_attribute_type: is member_of, but "
            "load_by_member_attribute needs dn or uid"
        ],
    ),
    (
        f"{ROLES}membership_attribute_type: DN, "
        "user_roles_retrieve_strategy: get_from_user_member_of}",
        [
            "9: ldap.import_roles.membership_attribute_type: is dn, but get_from_user_member_of "
            "needs member_of"
        ],
    ),
    (
        f"{ROLES}name_map: {{boss:  owner }}}}",
        [
            '9: ldap.import_roles.name_map: gives the preconfigured role "owner" to "boss"; set '
            "may_grant_privileged: true if the directory's admins may decide that"
        ],
    ),
    (
        "bind_credential_file: x",
        [
            "9: ldap.bind_credential_file: contradicts ldap.bind_credential "
            "(organizations/acme.yaml:7); keep one of them"
        ],
    ),
    (
        "bind_type: anonymous",
        [
            "6: ldap.bind_dn: contradicts bind_type: anonymous; remove one",
            "7: ldap.bind_credential: contradicts bind_type: anonymous; remove one",
        ],
    ),
    (
        "insecure_clear_text_bind: true",
        [
            "9: ldap.insecure_clear_text_bind: is on, but every connection_url is ldaps://; "
            "remove it"
        ],
    ),
    (
        "full_sync_period: null",
        ["9: ldap.full_sync_period: must be provided when periodic_full_sync is on"],
    ),
    (
        "changed_sync_period: null",
        ["9: ldap.changed_sync_period: must be provided when periodic_changed_users_sync is on"],
    ),
]


@pytest.mark.parametrize(("line", "faults"), LDAP, ids=[case[0] for case in LDAP])
def test_a_wrong_directory_section_is_named_on_its_line(
    place: Place, line: str, faults: list[str]
) -> None:
    """Each wrong line of the ldap section brings these faults and no other."""
    place.ldap(line)
    assert shortened(place.faults(), faults) == [f"organizations/acme.yaml:{f}" for f in faults]


def shortened(found: list[str], expected: list[str]) -> list[str]:
    """Cut each fault where the expected one ends in an ellipsis."""
    length = len("organizations/acme.yaml:")
    return [
        fault[: length + len(wanted) - 1] + "…" if wanted.endswith("…") else fault
        for fault, wanted in zip(found, expected, strict=True)
    ]


MAPPERS = [
    ("frog", "mappers[0]: must be a mapper with name and type; found a text"),
    (
        "{name: x, type: user-atribute}",
        f"mappers[0]: type must be one of {MAPPER_TYPES}; "
        'found "user-atribute"; did you mean user-attribute?',
    ),
    (
        "{name: x}",
        f"mappers[0]: needs a type, one of {MAPPER_TYPES}; only the predefined mappers (username, "
        "first name, last name, email, createTimestamp, modifyTimestamp) are named without one, "
        "with enabled: false",
    ),
    (
        "{name: Manual, type: full-name}",
        "mappers[0].name: is reserved (manual, default, import roles); choose another name",
    ),
    (
        "{name: x, type: full-name, ldap_atribute: cn}",
        "mappers[0].ldap_atribute: there is no such key (did you mean ldap_attribute?); "
        "allowed: name, enabled, renamed_from, type, ldap_attribute",
    ),
    (
        "{name: x, type: hardcoded-role, role: Owner}",
        'mappers[0].role: gives everybody the preconfigured role "Owner"; set '
        "may_grant_privileged: true if that is meant",
    ),
    (
        "{name: username, enabled: false}",
        "mappers[0].enabled: switches the username off and no other mapper sets it; "
        "people need one",
    ),
    (
        "{name: x, type: user-attribute, user_attribute: Email, ldap_attribute: mail}",
        'mappers[0].user_attribute: is set by the predefined mapper "email" too; keep one, or '
        "switch a predefined mapper off with {name: …, enabled: false}",
    ),
    (
        "{name: x, type: full-name}\n  - {name: X, type: full-name}",
        'mappers[1].name: is "X", as in mappers[0]; names must be unique',
    ),
    (
        "{name: x, type: full-name}\n  - {name: y, type: full-name, renamed_from: x}",
        'mappers[1].renamed_from: names "x", which is still a mapper here; a name has one owner',
    ),
    (
        "{name: x, type: full-name, renamed_from: Manual}",
        'mappers[0].renamed_from: names "Manual", which no mapper was: its grants would be taken '
        "over",
    ),
    (
        "{name: x, type: role}",
        'mappers[0].roles_dn: is required: DN, such as "ou=roles,dc=example,dc=org"',
    ),
]


@pytest.mark.parametrize(("mappers", "fault"), MAPPERS, ids=[case[0] for case in MAPPERS])
def test_a_wrong_mapper_is_named(place: Place, mappers: str, fault: str) -> None:
    """Each wrong list of mappers brings exactly one fault."""
    place.organization(
        "organization: {id: acme, name: A}\nprovider: admin\nmappers:\n  - " + mappers + "\n"
    )
    line = 5 if fault.startswith("mappers[1]") else 4
    assert place.faults() == [f"organizations/acme.yaml:{line}: {fault}"]


ORGANIZATION = [
    (
        "organization: {id: Acme_1, name: A}\nprovider: admin",
        "1: organization.id: must be 1 to 63 of a-z, 0-9 and -, not starting with -; "
        'found "Acme_1"',
    ),
    (
        "organization: {id: acme, name: no}\nprovider: admin",
        "1: organization.name: must be text; found the boolean false (written no); "
        "put it in quotes",
    ),
    ("provider: admin", "organization: is required: a group of keys"),
    (
        "organization: {id: acme, name: A}",
        'provider: is required: one of admin, idp, ldap, such as "ldap"',
    ),
    (
        "organization: {id: acme, name: A}\nprovider: LDPA",
        '2: provider: must be one of admin, idp, ldap; found "LDPA"; did you mean ldap?',
    ),
    (
        "organization: {id: acme, name: A}\nprovider: ldap",
        "ldap: is required for provider: ldap",
    ),
    (
        "organization: {id: acme, name: A}\nprovider: admin\nlimits: {disable: {percent: 101}}",
        "3: limits.disable.percent: must be a percentage, 0 to 100; found the number 101",
    ),
    (
        "organization: {id: acme, name: A}\nprovider: admin\ndeletion: {policy: remove}",
        '3: deletion.policy: must be one of keep, disable, delete; found "remove"',
    ),
    (
        "organization: {id: acme, name: A}\nprovider: admin\ncertificates: [key.pem]",
        '3: certificates[0]: holds a private key; only certificates belong here; found "key.pem"',
    ),
    (
        "organization: {id: acme, name: A}\nprovider: admin\ncertificates: syncd.pem",
        "3: certificates: must be a readable PEM file; organizations/syncd.pem cannot be read "
        '(No such file or directory); found "syncd.pem"',
    ),
]


@pytest.mark.parametrize(("text", "fault"), ORGANIZATION, ids=[case[1] for case in ORGANIZATION])
def test_a_wrong_organization_file_is_named(place: Place, text: str, fault: str) -> None:
    """Each wrong organization file brings exactly one fault."""
    place.write("organizations/key.pem", "-----BEGIN PRIVATE KEY-----\n")
    place.organization(text)
    start = "organizations/acme.yaml:1: " if not fault[0].isdigit() else "organizations/acme.yaml:"
    assert place.faults() == [f"{start}{fault}"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ldap.example.org", "must be ldaps://HOST or ldap://HOST, with :PORT"),
        ("ldaps://", "must be ldaps://HOST or ldap://HOST"),
        ("ldaps://h:0", "must be ldaps://HOST or ldap://HOST"),
        ("ldaps://h:x", "must be ldaps://HOST or ldap://HOST"),
        ("ldaps://[::1", "must be ldaps://HOST or ldap://HOST"),
        ("https://h", "must be ldaps://HOST or ldap://HOST"),
        ("ldaps://cn=x:pw@h", "must be ldaps://HOST or ldap://HOST"),
        ("ldaps://h/dc=x", "and nothing behind it; the base goes to users_dn"),
    ],
)
def test_a_wrong_directory_url_is_named(place: Place, url: str, words: str) -> None:
    """A host, a scheme and at most a port; anything else belongs elsewhere."""
    place.ldap()
    path = place.folder / "organizations/acme.yaml"
    path.write_text(path.read_text().replace("ldaps://ldap.example.org", f"[ldaps://a, '{url}']"))
    (fault,) = place.faults()
    assert fault.startswith("organizations/acme.yaml:4: ldap.connection_url[1]: ")
    assert words in fault
    assert ":pw@" not in fault


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        ("", "must hold a certificate in PEM form"),
        (
            "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
            "holds a certificate that is damaged; export it again as PEM",
        ),
    ],
)
def test_a_wrong_certificate_is_named(place: Place, pem: str, words: str) -> None:
    """A file without a certificate, or with a damaged one, is found before a connection is."""
    place.write("organizations/ca.pem", pem)
    place.organization("organization: {id: acme, name: A}\nprovider: admin\ncertificates: ca.pem\n")
    (fault,) = place.faults()
    assert words in fault


def test_a_former_name_has_one_heir(place: Place) -> None:
    """Two mappers cannot both own what a third one granted."""
    place.organization(
        "organization: {id: acme, name: A}\nprovider: admin\nmappers:\n"
        "  - {name: a, type: hardcoded-role, role: x, renamed_from: c}\n"
        "  - {name: b, type: hardcoded-role, role: y, renamed_from: c}\n"
    )
    assert [fault.split(": ")[1] for fault in place.faults()] == [
        "mappers[0].renamed_from",
        "mappers[1].renamed_from",
    ]


def test_all_faults_of_all_files_come_at_once(place: Place) -> None:
    """Wrong keys and contradictions of the daemon's and every organization's file are listed."""
    place.daemon("http: {port: x}\nsessions: {idle: 13h}\n")
    place.ldap("batch_size: 0", "changed_sync_period: null", "import_roles: {ldap_filter: x}")
    place.organization("organization: {id: acme, name: B}\nprovider: admin\nfoo: 1\n", "beta")
    keys = [fault.split(": ")[:2] for fault in place.faults({"SYNCD_METRICS__PORT": "y"})]
    assert keys == [
        ["syncd.yaml:1", "http.port"],
        ["syncd.yaml:2", "sessions.idle"],
        ["organizations/acme.yaml:9", "ldap.batch_size"],
        ["organizations/acme.yaml:10", "ldap.changed_sync_period"],
        ["organizations/acme.yaml:11", "ldap.import_roles.ldap_filter"],
        ["organizations/acme.yaml:11", "ldap.import_roles.roles_dn"],
        ["organizations/beta.yaml:1", "organization.id"],
        ["organizations/beta.yaml:3", "foo"],
        ["environment variable SYNCD_METRICS__PORT", "metrics.port"],
    ]


def test_an_unreadable_file_is_a_fault(place: Place) -> None:
    """A folder, or a file that is not UTF-8, is named with what to do."""
    place.organization()
    (place.folder / "organizations/sub.yaml").mkdir()
    (place.folder / "organizations/latin.yaml").write_bytes(b"organization:\n  name: M\xfcller\n")
    assert place.faults() == [
        "organizations/latin.yaml:2: is not UTF-8 text; save the file as UTF-8",
        "organizations/sub.yaml: is a folder; name the YAML file in it",
    ]


def test_a_certificate_that_nobody_vouches_for_is_said_before_the_first_connection(
    place: Place,
) -> None:
    """Trusting only the organization's certificates needs at least one."""
    place.ldap()
    text = (place.folder / "organizations/acme.yaml").read_text()
    place.organization(text.replace("with_system", "only"))
    assert place.faults() == [
        "organizations/acme.yaml:5: ldap.certificate_trust: is only, but there are no "
        "certificates, so no server would be trusted; add the directory's CA to "
        "`certificates`, or set with_system"
    ]
