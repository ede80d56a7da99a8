"""What the demo says and the commands that it runs, plain when nobody watches."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

WIDTH = 100
BOLD, DIM, PLAIN = "\033[1m", "\033[2m", "\033[0m"


class UnexpectedExit(Exception):
    """The command ended with an exit code that the story does not know."""


def _styled(text: str, style: str) -> str:
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return f"{style}{text}{PLAIN}" if colour else text


def heading(text: str) -> None:
    """Start a chapter."""
    print(f"\n{_styled(f'== {text}', BOLD)}\n", flush=True)


def say(text: str) -> None:
    """Tell something in a paragraph."""
    print(textwrap.fill(" ".join(text.split()), WIDTH), flush=True)


def quote(path: Path) -> None:
    """Show a file."""
    print(_styled(f"--- {path.parent.name}/{path.name}", DIM))
    print(_styled(path.read_text(encoding="utf-8").rstrip(), DIM), flush=True)


class Command:
    """The installed command ``syncd``, run in the folder that holds its configuration."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._program = Path(sysconfig.get_path("scripts")) / "syncd"
        settings = {name: v for name, v in os.environ.items() if not name.startswith("SYNCD_")}
        if not sys.stdout.isatty():
            settings.setdefault("COLUMNS", str(WIDTH))
        self._environment = settings

    def __call__(self, *arguments: str, exits: tuple[int, ...] = (0,)) -> None:
        """Show the command line, run it, and show its output; ``exits`` are the codes to expect."""
        print(_styled(f"\n$ syncd {shlex.join(arguments)}", BOLD), flush=True)
        done = subprocess.run(
            [self._program, *arguments],
            check=False,
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode not in exits:
            message = f"syncd {shlex.join(arguments)} ended with exit code {done.returncode}"
            raise UnexpectedExit(message)
        if done.returncode:
            print(_styled(f"(exit code {done.returncode})", DIM), flush=True)
