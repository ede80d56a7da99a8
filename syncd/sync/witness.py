"""A second witness for changed syncs: whether the account still sees whom it saw before.

An account that lost a right gets answers that are whole and bring little. Somebody whom it cannot
see looks like somebody who left, and what changed about him is passed over in silence. A full sync
sees that most are missing, and its limits hold it; a changed sync has nobody to count. So it looks
up some people of whom nothing was told, and leaves the rest to a full sync where many of them are
not to be found.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from syncd.errors import ChangesUnavailable
from syncd.records import Whereabouts

if TYPE_CHECKING:
    from collections.abc import Collection

    from syncd.sync.ports import Directory
    from syncd.sync.store_ports import Store

# One search finds so many; when a tenth of all is hidden, a sample that shows it is near certain.
MOST_ASKED = 100
# Below this the few who left since the last full sync would weigh too much.
FEWEST_ASKED = 20
# Of those asked about; more than that can hardly have left since the last full sync.
MOST_UNSEEN_PERCENT = 10


def require_sight(
    directory: Directory, store: Store, run_id: int, told: Collection[str], absent: Collection[int]
) -> None:
    """Make sure that people of whom nothing was told are still to be seen.

    Args:
        directory: Where they are looked up.
        store: Where they are known from.
        run_id: Which run it is: each one asks about others.
        told: The ids of those who were read in this run.
        absent: The user ids of those who were found to be gone in this run.

    Raises:
        ChangesUnavailable: Too many of them are not to be found.

    """
    # Any place in the order of the ids will do; ids that are UUIDs are spread over all of it.
    start = blake2b(run_id.to_bytes(8, "big"), digest_size=4).hexdigest()
    known = [
        each for each in store.some_living(start, MOST_ASKED + len(absent)) if each[0] not in absent
    ][:MOST_ASKED]
    if len(known) < FEWEST_ASKED:
        return
    asked = [(external_id, dn) for _, external_id, dn in known if external_id not in told]
    located = directory.locate(asked) if asked else {}
    unseen = [each for each in located.values() if each.whereabouts is not Whereabouts.PRESENT]
    if len(unseen) * 100 > MOST_UNSEEN_PERCENT * len(known):
        raise ChangesUnavailable(
            "out_of_sight",
            f"of {len(known)} people that were looked up, the bind account does not see "
            f"{len(unseen)}: {unseen[0].detail}",
        )
