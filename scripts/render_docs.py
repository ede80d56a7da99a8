#!/usr/bin/env python3
"""Write the pages of docs/ that are made from the code; with --check only say which are stale."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS = Path(__file__).resolve().parent.parent / "docs"


def configuration() -> str:
    """Return the configuration reference."""
    from syncd.settings import render_reference  # noqa: PLC0415 - each page needs another room

    return render_reference()


def conformance() -> str:
    """Return the rules and the tests that prove them."""
    from tests.conformance import render  # noqa: PLC0415 - each page needs another room

    return render()


PAGES: dict[str, Callable[[], str]] = {
    "configuration": configuration,
    "conformance": conformance,
}


def main() -> int:
    """Render the pages that are named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="*", choices=[*PAGES, []], help="default: all")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if one is stale")
    arguments = parser.parse_args()
    stale = 0
    for name in arguments.pages or PAGES:
        page, text = DOCS / f"{name}.md", PAGES[name]()
        if page.is_file() and page.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        if not arguments.check:
            page.write_text(text, encoding="utf-8")
        print(f"{page.name}: {'stale' if arguments.check else 'written'}")
    return 1 if arguments.check and stale else 0


if __name__ == "__main__":
    sys.path.insert(0, str(DOCS.parent))
    sys.exit(main())
