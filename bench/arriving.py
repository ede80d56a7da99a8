"""What it costs to map somebody's claims, and to write him into the store.

Everybody arrives three times: as a newcomer, with nothing changed, and with one role and one group
less; then is looked up as the API does for an access token.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.claimed import GROUPS, Operation, realistic
from bench.manage import stores
from syncd.compose_idp import claim_mapping
from syncd.records import Arrival, Claims
from syncd.settings import load
from syncd.store.arriving import Arrivals
from syncd.store.bearers import bearer
from syncd.store.database import Database
from syncd.store.migrate import upgrade
from syncd.store.people import People
from tests.minting import CLIENT, ISSUER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from syncd.mappers.claims import ClaimMapping

ORGANIZATION = "bench"
ARRIVALS = ("newcomer", "nothing changed", "a role and a group less", "known by access token")
IDP = {
    "issuer": ISSUER,
    "client_id": CLIENT,
    "client_secret": "bench",
    **{f"{name}_url": f"{ISSUER}{name}" for name in ("authorization", "token", "jwks")},
}
MAPPERS: list[dict[str, Any]] = [
    {
        "name": "staff only",
        "type": "essential-claim",
        "claim": "email",
        "matches": ".+@example.org",
    },
    *(
        {"name": name, "type": "claim-to-attribute", "claim": claim, "user_attribute": name}
        for name, claim in (("department", "department"), ("place", "address.locality"))
    ),
    {
        "name": "editors",
        "type": "claim-to-role",
        "claim": "realm_access.roles",
        "equals": "editor",
        "role": "Editor",
    },
    *(
        {
            "name": f"group {number}",
            "type": "claim-to-group",
            "claim": "groups",
            "equals": GROUPS[number],
            "group": f"/teams/{number}",
        }
        for number in range(10)
    ),
]
# JSON is YAML too.
FILE = {
    "organization": {"id": ORGANIZATION, "name": "Bench"},
    "provider": "idp",
    "idp": IDP,
    "mappers": MAPPERS,
}


def composed() -> ClaimMapping:
    """Return the mapping as a process composes it from an organization's file."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        config = Path(folder) / "syncd.yaml"
        config.write_text("organizations: bench.yaml\n", encoding="utf-8")
        config.with_name("bench.yaml").write_text(json.dumps(FILE), encoding="utf-8")
        config.with_name("bench.yaml").chmod(0o600)
        return claim_mapping(load(str(config), {}).organizations[ORGANIZATION])


def claims(person: int, *, less: bool = False) -> Claims:
    """Return what the provider says of the person with a number."""
    values = realistic(
        preferred_username=f"asa.lindqvist.{person}",
        email=f"asa.lindqvist.{person}@example.org",
        groups=GROUPS[1:] if less else GROUPS,
        realm_access={"roles": [] if less else ["editor"]},
    )
    return Claims(ISSUER, f"{person:08d}", values)


def mapping() -> list[Operation]:
    """Return what is measured of the mapping alone."""
    made, person = composed(), claims(1)

    def holds(found: object) -> bool:
        return isinstance(found, Arrival) and len(found.granted) == len(MAPPERS) - 3

    return [
        Operation("a newcomer's claims", lambda: made(person, newcomer=True), holds),
        Operation("somebody's who is known", lambda: made(person, newcomer=False), holds),
    ]


def mapping_table(microseconds: dict[str, float]) -> str:
    """Return the figures of the mapping as text."""
    lines = [f"{f'{len(MAPPERS)} mappers beside the predefined':<44}{'us':>9}"]
    return "\n".join([*lines, *(f"  {name:<42}{us:>9.1f}" for name, us in microseconds.items())])


def measure(kind: str, people: int) -> dict[str, dict[str, float]]:
    """Return the median milliseconds of each arrival, by database."""
    kinds = ("sqlite", "postgresql") if kind == "both" else (kind,)
    found = {}
    for each in kinds:
        with stores(each) as empty:
            database = Database(empty(people))
            try:
                upgrade(database)
                found[each] = _arrived(database, people)
            finally:
                database.close()
    return found


def _arrived(database: Database, people: int) -> dict[str, float]:
    People(database, ORGANIZATION).create_organization("Bench", "idp")
    arrivals, made = Arrivals(database, ORGANIZATION), composed()

    def arrive(person: int, *, less: bool = False) -> None:
        said = claims(person, less=less)
        known = arrivals.knows(said.issuer, said.subject)
        arrivals.arrive(made(said, newcomer=not known), why="bench")

    def known(person: int) -> None:
        found = bearer(database, ORGANIZATION, ISSUER, f"{person:08d}")
        if found is None or not found.may_sign_in:
            raise LookupError(person)

    steps: tuple[Callable[[int], None], ...]
    steps = (arrive, arrive, lambda person: arrive(person, less=True), known)
    numbers = range(people)
    return {
        name: round(statistics.median(_milliseconds(step, numbers)), 2)
        for name, step in zip(ARRIVALS, steps, strict=True)
    }


def _milliseconds(step: Callable[[int], None], people: range) -> Iterator[float]:
    for person in people:
        started = time.perf_counter()
        step(person)
        yield (time.perf_counter() - started) * 1000


def table(arrived: dict[str, dict[str, float]]) -> str:
    """Return the figures of the arrivals as text."""
    lines = [f"{'median milliseconds of an arrival':<44}" + "".join(f"{n:>12}" for n in arrived)]
    lines += [
        f"  {name:<42}" + "".join(f"{of[name]:>12.2f}" for of in arrived.values())
        for name in ARRIVALS
    ]
    return "\n".join(lines)
