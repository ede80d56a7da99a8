"""An organization whose provider's settings change while people are signed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.oidc.entering import ORGANIZATION, Entering

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.bent_provider import BentProvider


@pytest.fixture
def changing(both: Entering) -> Iterator[Entering]:
    """An organization that has its own settings again afterwards."""
    yield both
    both.configure()


@pytest.mark.rule("H16", server="bent sqlite postgresql")
@pytest.mark.parametrize("key", ["jwks_url", "token_url", "authorization_url"])
def test_whom_other_settings_let_in_is_out(
    changing: Entering, provider: BentProvider, key: str
) -> None:
    """Sessions end with the settings they were made by, and the journal says what changed."""
    entered = changing.enter()
    assert changing.holds(entered) is not None
    changing.configure(**{key: f"{changing.idp[key]}?version=2"})
    assert changing.holds(entered) is None
    again = changing.enter()
    assert changing.holds(again) is not None
    journal = changing.app.journal(ORGANIZATION, limit=200)["items"]
    told = [each for each in journal if each["actor"] == "configuration"]
    shown = changing.app.change_set(ORGANIZATION, told[0]["change_set"])
    assert f"{changing.idp[key]}?version=2" in str(shown)


def test_the_same_settings_end_nothing(changing: Entering, provider: BentProvider) -> None:
    """A reload that leaves the provider as it was, or changes what it asks for, ends no session."""
    entered = changing.enter()
    changing.configure(default_scopes=["openid", "profile"])
    assert changing.holds(entered) is not None
