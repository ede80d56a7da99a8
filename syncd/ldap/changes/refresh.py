"""What one content synchronization search has said, and what that means once it has ended.

RFC 4533 section 3.3.2: after a present phase whoever was neither sent nor named is gone; in a
delete phase the deleted are named one by one. Which it was is known at the end only, so everything
is kept until then, and an end without success and a Sync Done control means nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from syncd.ldap import results
from syncd.ldap.ber import Malformed
from syncd.ldap.changes.sync_messages import (
    REFRESH_PRESENT,
    SYNC_DONE,
    SYNC_ID_SET,
    SYNC_INFO,
    SYNC_STATE,
    State,
    SyncDone,
    SyncState,
    decode_done,
    decode_info,
    decode_state,
)
from syncd.records import Verdict

if TYPE_CHECKING:
    from syncd.ldap.messages import Control, Intermediate, Result
    from syncd.ldap.search import Page
    from syncd.records import ListingOutcome


class Refresh:
    """Takes the parts of one answer as they come; ``end`` judges the whole."""

    def __init__(self) -> None:
        self.sent: set[str] = set()
        self.deleted: dict[str, None] = {}
        self.named_present: set[str] = set()
        self._cookie: bytes | None = None
        self._done: SyncDone | None = None
        self._present_ended = False
        self._fault: str | None = None
        self._entries = 0

    @property
    def cookie(self) -> str | None:
        """The newest cookie; None when the server gave none, so that the old one stays."""
        cookie = self._done.cookie if self._done and self._done.cookie else self._cookie
        # An empty one would ask for everybody.
        return cookie.decode("utf-8", "replace") if cookie else None

    @property
    def present(self) -> set[str] | None:
        """After a present phase, the ids named in it; None when there was no such phase."""
        if self._done is None or (self._done.refresh_deletes and not self._present_ended):
            return None
        return self.named_present

    def page(self, page: Page) -> list[bytes]:
        """Take a page; return the entries that are new or changed."""
        entries = []
        for index, raw in enumerate(page):
            state = self._state(page.controls.get(index, ()))
            if state is None or state.state in {State.ADD, State.MODIFY}:
                entries.append(raw)
            if state is not None:
                self._note(state)
        self._entries += len(entries)
        return entries

    def intermediate(self, message: Intermediate) -> None:
        """Take an intermediate message; those of other names are none of ours."""
        if message.name != SYNC_INFO:
            return
        try:
            info = decode_info(message.value or b"")
        except Malformed as error:
            self._fault = f"a Sync Info message cannot be read ({error})"
            return
        self._cookie = info.cookie or self._cookie
        if info.choice == REFRESH_PRESENT:
            self._present_ended = True
        elif info.choice == SYNC_ID_SET and info.refresh_deletes:
            self.deleted.update(dict.fromkeys(info.ids))
        elif info.choice == SYNC_ID_SET:
            self.named_present.update(info.ids)

    def result(self, result: Result) -> None:
        """Take the final message."""
        control = result.control(SYNC_DONE)
        if result.code != results.SUCCESS or control is None:
            return
        try:
            self._done = decode_done(control.value or b"")
        except Malformed as error:
            self._fault = f"the Sync Done control cannot be read ({error})"

    def end(self, outcome: ListingOutcome) -> ListingOutcome:
        """Return how the search ended, counting only the entries that were handed out."""
        outcome = replace(outcome, entries=self._entries)
        if outcome.verdict is Verdict.TRUNCATED:
            return outcome
        because = self._fault
        if because is None and self._done is None:
            because = "the last message has no Sync Done control"
        if because is None:
            return outcome
        sentence = f"The server's answer is no content synchronization: {because}."
        return replace(outcome, verdict=Verdict.TRUNCATED, because=sentence)

    def _state(self, controls: tuple[Control, ...]) -> SyncState | None:
        control = next((each for each in controls if each.oid == SYNC_STATE), None)
        if control is None:
            self._fault = "an entry came without a Sync State control"
            return None
        try:
            return decode_state(control.value or b"")
        except Malformed as error:
            self._fault = f"a Sync State control cannot be read ({error})"
            return None

    def _note(self, said: SyncState) -> None:
        self._cookie = said.cookie or self._cookie
        if said.state is State.DELETE:
            self.deleted[said.entry_uuid] = None
        elif said.state is State.PRESENT:
            self.named_present.add(said.entry_uuid)
        else:
            self.sent.add(said.entry_uuid)
