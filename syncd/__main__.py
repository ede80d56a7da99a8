"""Lets ``python -m syncd`` do what the command ``syncd`` does."""

from __future__ import annotations


def run() -> None:
    """Run the command line."""
    from syncd.cli.main import main

    main()


if __name__ == "__main__":
    run()
