"""Looking many ids up with one statement that is always the same text.

A list of a hundred parameters is compiled anew by every length, and never prepared; one parameter
that holds all ids is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType, TypeDecorator

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql.compiler import SQLCompiler


class _Ids(TypeDecorator[list[int]]):
    """Ids as one parameter: the text of an array, or on SQLite of JSON."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[int] | None, dialect: Dialect) -> str | None:
        """Return the parameter as the database reads it."""
        if value is None:
            return None
        text = ",".join(map(str, value))
        return f"[{text}]" if dialect.name == "sqlite" else f"{{{text}}}"


class _Among(FunctionElement[Any]):
    name = "among"
    # Not Boolean: SQLite would be asked whether it equals one, and then looks at every row.
    type = NullType()
    inherit_cache = True


@compiles(_Among)
def _any(element: _Among, compiler: SQLCompiler, **options: object) -> str:
    column, ids = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} = ANY (CAST({ids} AS bigint[]))"


@compiles(_Among, "sqlite")
def _in(element: _Among, compiler: SQLCompiler, **options: object) -> str:
    column, ids = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({ids}))"  # noqa: S608 - compiled


def among(column: ColumnElement[int], ids: Iterable[int]) -> ColumnElement[bool]:
    """Return whether a column has one of these ids; there may be thousands."""
    return _Among(column, bindparam(None, sorted(set(ids)), type_=_Ids(), unique=True))


def among_given(column: ColumnElement[int], name: str) -> ColumnElement[bool]:
    """Return the same for a statement that is made once: ``name`` is given when it is executed."""
    return _Among(column, bindparam(name, type_=_Ids()))
