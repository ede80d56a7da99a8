"""Arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Org = Annotated[str, typer.Argument(metavar="ORG", help="the organization's id, as in its file")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="a run's id, such as r-000017")]
Username = Annotated[str, typer.Argument(metavar="USERNAME", help="the person's username")]
Why = Annotated[
    str | None, typer.Option("--why", metavar="TEXT", help="the reason, for the journal")
]
