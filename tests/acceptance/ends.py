"""Ways in which a store comes to an end under a sync: its server is killed, its disk is full."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.servers.postgres import Postgres

# A limit is for the program's own files, not for what measures its coverage.
UNMEASURED = ("env", "-u", "COVERAGE_PROCESS_CONFIG", "-u", "COVERAGE_PROCESS_START")


def backend(cluster: Postgres) -> None:
    """Kill the server process of syncd's connections; the server ends all others and recovers."""
    pids = cluster.sql("select pid from pg_stat_activity where application_name = 'syncd'")
    os.kill(int(pids.splitlines()[0]), signal.SIGKILL)


def server(cluster: Postgres) -> None:
    """Kill all processes of the server at once, as the end of its machine would."""
    postmaster = cluster._server
    assert postmaster is not None
    os.kill(postmaster.pid, signal.SIGSTOP)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            process_id, parent = stat.parent.name, stat.read_text().rpartition(")")[2].split()[1]
            if int(parent) == postmaster.pid:
                os.kill(int(process_id), signal.SIGKILL)
    postmaster.kill()
    postmaster.wait()
    cluster._server = None


def up_again(cluster: Postgres) -> None:
    """Start a server that was killed, or wait for one that recovers."""
    if cluster._server is None:
        cluster.start()
    else:
        cluster._wait_until_ready(cluster._server)


def on_a_small_disk(store: Path, saved: Path, command: Sequence[str]) -> list[str]:
    """Return the program that runs a command with the store's folder on a disk that runs full.

    What it left there is in the folder ``saved`` afterwards. The test is skipped where a file
    system may not be mounted.
    """
    bytes_there = sum(file.stat().st_size for file in store.iterdir())
    unshare = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--user", "--map-root-user"))]
    mount = f"mount -t tmpfs -o size={bytes_there + 256 * 1024} tmpfs {store}"
    if subprocess.run([*unshare, "sh", "-c", mount], check=False, capture_output=True).returncode:
        pytest.skip("this user may not make a file system of his own")
    steps = f'cp -a {store}/. {saved}/ && {mount} && cp -a {saved}/. {store}/ && "$@"; code=$?'
    script = f"{steps}; cp -a {store}/. {saved}/; exit $code"
    return [*unshare, "sh", "-c", script, "sh", *command]
