"""Makes the program's next version: a copy of the package with one more migration."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import syncd
from syncd.store import migrate
from tests.acceptance.world import Answer

if TYPE_CHECKING:
    from tests.acceptance.world import World

MIGRATION = '''
"""What the next version adds."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "{revision}", "{before}", None, None
works_with_previous = {works}


def upgrade():
    """Add columns to tables that every program writes, and a table."""
    op.add_column("users", sa.Column("nickname{revision}", sa.Text(), nullable=True))
    weight = sa.Column("weight{revision}", sa.Integer(), nullable=False, server_default="0")
    op.add_column("runs", weight)
    op.create_index("ix_users_nickname{revision}", "users", ["nickname{revision}"])
    op.create_table(
        "badges{revision}",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), primary_key=True),
    )
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER TABLE badges{revision} ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE badges{revision} FORCE ROW LEVEL SECURITY")
        op.execute(
            "CREATE POLICY organization ON badges{revision}"
            " USING (organization_id = current_setting('syncd.organization', true))"
        )


def downgrade():
    """Nobody asks for it."""
'''
PATIENCE_SECONDS = 60


class NextVersion:
    """A version of the program after this one, or after ``before``; its command runs in worlds."""

    def __init__(
        self, folder: Path, number: str, *, works: bool, before: NextVersion | None = None
    ) -> None:
        source: Path = before.package if before else Path(syncd.__path__[0])
        known: str = before.revision if before else migrate.revisions()[-1]
        self.package: Path = folder / "syncd"
        self.number = number
        self.revision: str = f"{int(known) + 1:04}"
        # What is compiled is copied along, with the times that make it valid.
        shutil.copytree(source, self.package)
        (self.package / "__init__.py").write_text(f'__version__ = "{number}"\n')
        migration = MIGRATION.format(revision=self.revision, before=known, works=works)
        place = self.package / "store" / "migrations" / "versions" / f"{self.revision}_next.py"
        place.write_text(migration)
        self.environment = {"PYTHONPATH": str(folder)}

    def syncd(self, world: World, *words: str) -> Answer:
        """Run this version's installed command in a world."""
        process = subprocess.run(
            world.command(*words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=world.folder,
            env=dict(os.environ) | self.environment,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return Answer(process.returncode, process.stdout, process.stderr, words)

    def json(self, world: World, *words: str) -> Any:
        """Run it with --json; return its document."""
        answer = self.syncd(world, "--json", *words)
        assert answer.code == 0, answer
        return answer.document
