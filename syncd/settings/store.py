"""Owns the keys that say where people are kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, PlainValidator, ValidationInfo, WithJsonSchema

from syncd.settings.conflict import Conflict, conflict
from syncd.settings.values import FileName, Kind, SecretUrl, Section, base_folder

DEFAULT_STORE = "sqlite:///var/syncd.db"
_SQLITE = ("sqlite", "sqlite+pysqlite")
_POSTGRESQL = ("postgresql", "postgresql+psycopg")
_MEMORY = frozenset({"", ":memory:"})


def _read_store_url(value: object, info: ValidationInfo) -> object:
    allowed = "must be sqlite:///PATH or postgresql+psycopg://USER@HOST/DATABASE"
    if isinstance(value, SecretUrl):
        return value
    if not isinstance(value, str):
        raise ValueError(allowed)  # noqa: TRY004 - pydantic collects value errors
    scheme, separator, rest = value.strip().partition("://")
    if not separator or scheme not in {*_SQLITE, *_POSTGRESQL}:
        raise ValueError(f"{allowed}, and starts with {scheme}://" if separator else allowed)
    if scheme in _POSTGRESQL:
        return SecretUrl(f"postgresql+psycopg://{rest}")
    if rest and not rest.startswith("/"):
        raise ValueError(f"{allowed}; a path needs three slashes, an absolute one four")
    path, question, query = rest[1:].partition("?")
    if path in _MEMORY:
        raise ValueError("must name a file: a database in memory is lost when the command ends")
    base = base_folder(value, info.context)
    return SecretUrl(f"sqlite:///{os.path.normpath(base / path)}{question}{query}")


StoreUrl = Annotated[
    SecretUrl,
    PlainValidator(_read_store_url),
    WithJsonSchema({"type": "string", "writeOnly": True}),
    Kind("database URL"),
]


class Store(Section):
    """The management store."""

    url: StoreUrl = Field(
        default=SecretUrl(DEFAULT_STORE),
        examples=["sqlite:///../var/syncd.db"],
        description=(
            "Where people are kept: SQLite for one machine, PostgreSQL for production. A relative "
            "path starts at this file's folder."
        ),
    )
    url_file: FileName | None = Field(
        default=None, description="A file that holds the URL, when it has a password in it."
    )
    migration_url: StoreUrl | None = Field(
        default=None,
        description="The same database with the rights to change its schema; default: `url`.",
    )
    migration_url_file: FileName | None = Field(
        default=None, description="A file that holds the migration URL."
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what contradicts itself."""
        schemes = [
            url.get_secret_value().partition(":")[0]
            for url in (self.url, self.migration_url)
            if url is not None
        ]
        if len(set(schemes)) > 1:
            yield conflict(
                "migration_url", "url", because="must be the same kind of database as store.url"
            )
