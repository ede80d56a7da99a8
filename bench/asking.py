"""Permission decisions through the API as it runs: its own process, and clients in theirs.

``python -m bench.asking PORT TOKEN USERS BATCH SECONDS SEED`` is one client: it keeps a connection
open, asks as fast as it is answered, and prints how long each request took.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from bench.population import ORGANIZATION
from bench.suite import SYNCD
from syncd.app import App
from syncd.permissions import SECTIONS, Level, operator
from tests.servers.slapd import free_port

PATH = f"/api/v1/organizations/{ORGANIZATION}/permissions/check"
CLIENTS = 2
START_SECONDS = 60
STOP_SECONDS = 20
CONFIGURATION = """\
store: {{url: "{store}"}}
organizations: bench.yaml
http: {{host: 127.0.0.1, port: {port}, base_url: "http://127.0.0.1:{port}"}}
metrics: {{host: 127.0.0.1, port: {metrics}}}
log: {{level: warning}}
"""
ORGANIZATION_FILE = f"organization: {{id: {ORGANIZATION}, name: Bench}}\nprovider: admin\n"


class Asked(NamedTuple):
    """What clients measured together."""

    clients: int
    decisions_per_second: float
    median_ms: float
    p99_ms: float


class NotServed(Exception):
    """The listening process did not come up, or did not answer as it should."""


def ask(store: str, users: int, seconds: float) -> dict[int, Asked]:
    """Serve a filled store, and ask in batches of a hundred and of one."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        port = free_port()
        config = Path(folder) / "syncd.yaml"
        config.write_text(
            CONFIGURATION.format(store=store, port=port, metrics=free_port()), encoding="utf-8"
        )
        config.with_name("bench.yaml").write_text(ORGANIZATION_FILE, encoding="utf-8")
        token = _token(str(config))
        environment = {n: v for n, v in os.environ.items() if not n.startswith("SYNCD_")}
        server = subprocess.Popen(
            [SYNCD, "--config", config, "run", "--only", "web"],
            stdin=subprocess.DEVNULL,
            env=environment,
        )
        try:
            _await(server, port)
            return {batch: _together(port, token, users, batch, seconds) for batch in (100, 1)}
        finally:
            server.terminate()
            server.wait(STOP_SECONDS)


def _token(config: str) -> str:
    app = App.load(config, environ={})
    try:
        tokens = app.manage(ORGANIZATION, operator("bench")).tokens
        made = tokens.create("bench", {"users": Level.VIEW}, lifetime=timedelta(days=1))
    finally:
        app.close()
    return str(made["token"])


def _await(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/healthz")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.1)
        else:
            return
    message = "the web process does not answer"
    raise NotServed(message)


def _together(port: int, token: str, users: int, batch: int, seconds: float) -> Asked:
    """Let clients ask at the same time, each in its own process."""
    clients = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "bench.asking"),
                *map(str, (port, token, users, batch, seconds, seed)),
            ],
            stdout=subprocess.PIPE,
        )
        for seed in range(CLIENTS)
    ]
    times: list[float] = []
    rate = 0.0
    for client in clients:
        said, _ = client.communicate()
        if client.returncode:
            message = "a client was not answered"
            raise NotServed(message)
        found = json.loads(said)
        times += found["milliseconds"]
        rate += found["requests_per_second"] * batch
    times.sort()
    last = times[round(0.99 * (len(times) - 1))]
    return Asked(CLIENTS, round(rate, 1), round(statistics.median(times), 2), round(last, 2))


def main(words: list[str]) -> dict[str, object]:
    """Ask for so many seconds, the first of them not counted."""
    port, token, users, batch, seconds, seed = words
    chance = random.Random(int(seed))
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    times: list[float] = []
    warm = time.perf_counter() + min(2.0, float(seconds) / 3)
    end = warm + float(seconds)
    while (started := time.perf_counter()) < end:
        questions = [
            {
                "user": chance.randrange(1, int(users) + 1),
                "section": chance.choice(SECTIONS),
                "level": chance.choice(("view", "edit")),
            }
            for _ in range(int(batch))
        ]
        connection.request("POST", PATH, json.dumps({"questions": questions}), headers)
        answer = connection.getresponse()
        body = json.loads(answer.read())
        if answer.status != http.client.OK:
            raise NotServed(str(body))
        if started >= warm:
            times.append((time.perf_counter() - started) * 1000)
    return {"requests_per_second": len(times) / float(seconds), "milliseconds": times}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
