"""What an operator is told of mappers that have a former name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.records import Remark

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def rename_remarks(renamed: Mapping[str, str], there: Collection[str]) -> list[Remark]:
    """Return what is to be said of mappers with a former name, by those that had given something.

    Nothing of one that was renamed in an earlier run: its configuration may say so as long as it
    likes.
    """
    remarks: list[Remark] = []
    for now, was in sorted(renamed.items()):
        if was in there and now in there:
            detail = (
                f"renamed_from: {was} has no effect: both names have given something already, and "
                f"what {was} gave is taken back"
            )
        elif was in there:
            detail = f"it was called {was}, and what that gave is its own now"
        elif now not in there:
            detail = f"renamed_from: {was} has no effect: nothing here was given under that name"
        else:
            continue
        remarks.append(Remark("renamed_mapper", now, "", detail))
    return remarks
