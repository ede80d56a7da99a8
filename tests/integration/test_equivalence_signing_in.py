"""Whoever signs in between syncs, the store ends as a first sync would have made it."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

import pytest

from syncd.directories import compose_directory
from syncd.errors import SignInRefused
from syncd.store.arriving_entries import EntryArrivals
from tests import soak
from tests.acceptance.preloaded import ON_SQLITE
from tests.integration.test_equivalence import (
    EDITS,
    OUTER_GROUP,
    ROLE_UNITS,
    STRATEGIES,
    UNITS,
    Life,
    _configured,
    _differences,
    _groups,
    _people,
)
from tests.servers.slapd import Slapd, person

if TYPE_CHECKING:
    from pathlib import Path

    from syncd.app import App

BATCHES = 4
VISITS = 3
PASSWORD = "correct horse"
# Two usually, and in a soak all with all.
USUAL = [("dn", "syncrepl", 1), ("member_of", "modify_timestamp", 1)]
HISTORIES = USUAL + [
    (strategy, detection, seed)
    for seed in soak.seeds()
    for strategy in STRATEGIES
    for detection in ("syncrepl", "modify_timestamp", "full")
]


class LifeWithPasswords(Life):
    """A directory whose people sign in, too."""

    def __init__(self, slapd: Slapd, seed: int, *, by_uid: bool) -> None:
        super().__init__(slapd, seed, by_uid=by_uid)
        self.visits = random.Random(seed)  # noqa: S311 - made-up lives, the same in each test run
        self.outcomes: list[str] = []

    def _join(self) -> None:
        before = set(self.people)
        super()._join()
        for name in self.people.keys() - before:
            self.slapd.modify(self._dn(name), {"userPassword": [PASSWORD]})

    def sign_in(self, app: App) -> None:
        """Let somebody sign in."""
        if not self.people:
            return
        name = self.visits.choice(sorted(self.people))
        arrivals = EntryArrivals(app.database(), "acme", name="Acme Corp")
        before = arrivals.position()
        directory = compose_directory(app.settings.organizations["acme"])
        record = directory.prove(name, PASSWORD).record
        try:
            arrived = arrivals.arrive(record, after=before)
        except SignInRefused as refusal:
            outcome = refusal.reason
        else:
            outcome = "new" if arrived.created else "changed" if arrived.changed else "as he was"
            assert arrived.enabled
            assert arrived.username == name
        self._tell("sign in", name, outcome)
        self.outcomes.append(outcome)


@pytest.mark.rule("2.1.4", server="openldap")
@ON_SQLITE
@pytest.mark.parametrize(("strategy", "detection", "seed"), HISTORIES)
def test_any_history_with_sign_ins_ends_as_a_first_sync_would(
    store_url: str,
    tmp_path: Path,
    sqlite_template: Path,
    *,
    strategy: str,
    detection: str,
    seed: int,
) -> None:
    """People, roles and groups, by full syncs and by those of the changed entries."""
    units = "".join(
        f"dn: {dn}\nobjectClass: organizationalUnit\nou: {dn[3:7]}\n\n"
        for dn in (*UNITS[1:], *ROLE_UNITS[1:])
    )
    overlays = ["memberof"] if strategy == "member_of" else ["refint"]
    with Slapd(
        ldif=units + person("sentinel") + OUTER_GROUP, overlays=(*overlays, "syncprov")
    ) as slapd:
        life = LifeWithPasswords(slapd, seed, by_uid=strategy == "uid")
        way = "auto" if detection == "full" else detection
        app = _configured(tmp_path / "lived", slapd, store_url, strategy, way)
        app.sync("acme")
        for batch in range(BATCHES):
            for _ in range(EDITS):
                life.edit()
                for _ in range(VISITS):
                    life.sign_in(app)
            done = app.sync("acme", changed=detection != "full")
            assert done["status"] == "done", (life.told, done["reasons"])
            if detection == "modify_timestamp":
                # Whom that does not see leave.
                done = app.sync("acme")
            assert app.quarantine("acme") == [], life.told
            life.told.append("--")
            if not batch % 2:
                continue
            fresh = tmp_path / f"fresh-{batch}.db"
            shutil.copy(sqlite_template, fresh)
            first = _configured(tmp_path / f"first-{batch}", slapd, f"sqlite:///{fresh}", strategy)
            first.sync("acme")
            assert _differences(_people(app), _people(first)) == [], life.told
            assert _groups(app) == _groups(first), life.told
            first.close()
        assert {"new", "changed", "as he was"} <= set(life.outcomes), life.told
        assert app.plan("acme")["changes"] == [], life.told
        app.close()
