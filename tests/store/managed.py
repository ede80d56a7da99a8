"""An organization that is changed by hand: the application over a test's store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from syncd.app import App
from syncd.permissions import Principal, operator, preconfigured

if TYPE_CHECKING:
    from pathlib import Path

    from syncd.managing import Management

ORGANIZATION = "acme"
OPERATOR = operator("test")
LDAP = {
    "connection_url": "ldaps://ldap.example.test",
    "users_dn": "ou=people,dc=example,dc=test",
    "bind_type": "anonymous",
    "certificate_trust": "with_system",
}


class Managed:
    """The application, and the shortest ways to manage its one organization."""

    def __init__(
        self, folder: Path, store_url: str, provider: str, organization: str = ORGANIZATION
    ) -> None:
        self.folder = folder
        names = {"id": organization, "name": "Acme Corp"}
        document = {"organization": names, "provider": provider}
        if provider == "ldap":
            document["ldap"] = LDAP
        (folder / "acme.yaml").write_text(yaml.safe_dump(document))
        settings = {"store": {"url": store_url}, "organizations": "acme.yaml"}
        (folder / "syncd.yaml").write_text(yaml.safe_dump(settings))
        self.app = App.load(str(folder / "syncd.yaml"), environ={})

    def by(self, principal: Principal = OPERATOR) -> Management:
        """Return what somebody may do."""
        return self.app.manage(ORGANIZATION, principal)

    def as_role(self, role: str, *, user_id: int | None = 999_999) -> Management:
        """Return what a person with a preconfigured role may do."""
        levels = preconfigured()[role]
        return self.by(
            Principal(name=f"user {role}", levels=levels, owner=role == "Owner", user_id=user_id)
        )

    def made(self, email: str, **more: Any) -> int:
        """Make a person without an invitation; return the id."""
        return int(self.by().users.create(email=email, invite=False, **more)["id"])

    def secret(self, mail: dict[str, Any]) -> str:
        """Return the secret of a link that was handed on."""
        return str(mail["link"]).rsplit("/", 1)[1]

    def verified(self, email: str, password: str = "correct horse", **more: Any) -> int:
        """Make a person who has taken the invitation; return the id."""
        shape = self.by().users.create(email=email, **more)
        self.app.redeem_link(self.secret(shape["mail"]), password)
        return int(shape["id"])
