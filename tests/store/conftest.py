"""The organization that the store's conformance tests drive, on SQLite and PostgreSQL in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.store.organization import Organization

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def acme(store_url: str) -> Iterator[Organization]:
    """An organization whose lease this test holds, with nobody in it yet."""
    organization = Organization(store_url)
    with organization.leased():
        yield organization
    organization.database.close()
