"""The command line: typer commands, rich tables, progress. It talks to ``syncd.app`` only.

Nothing is imported here, so that ``syncd --help`` answers at once.
"""
