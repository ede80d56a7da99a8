"""A throw-away Prometheus server on loopback that scrapes given addresses every second."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.servers.authority import ToolError, program
from tests.servers.slapd import free_port

if TYPE_CHECKING:
    from collections.abc import Iterable

READY_SECONDS = 60
STOP_SECONDS = 20
ASK_SECONDS = 10


class Prometheus:
    """One server; use it as a context manager. ``ports`` are those that it scrapes."""

    def __init__(self, ports: Iterable[int]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="prometheus-"))
        self.url = f"http://127.0.0.1:{free_port()}"
        targets = [f"127.0.0.1:{port}" for port in ports]
        self._configuration = self.folder / "prometheus.yml"
        # JSON is YAML, too.
        self._configuration.write_text(
            json.dumps(
                {
                    "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
                    "scrape_configs": [
                        {"job_name": "syncd", "static_configs": [{"targets": targets}]}
                    ],
                }
            )
        )
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        words = [
            program("prometheus"),
            f"--config.file={self._configuration}",
            f"--storage.tsdb.path={self.folder}/data",
            f"--web.listen-address={self.url.removeprefix('http://')}",
        ]
        with (self.folder / "log").open("wb") as log:
            self._server = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            if self._server.poll() is not None:
                raise ToolError((self.folder / "log").read_text()[-2000:])
            with contextlib.suppress(OSError), self._get("/-/ready"):
                return
            time.sleep(0.05)
        message = "Prometheus did not become ready"
        raise ToolError(message)

    def stop(self) -> None:
        """Stop the server and delete everything it had."""
        server, self._server = self._server, None
        if server is not None and server.poll() is None:
            server.terminate()
            try:
                server.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the result of a query at this moment: each with ``metric`` and ``value``."""
        words = urllib.parse.urlencode({"query": expression})
        with self._get(f"/api/v1/query?{words}") as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found

    def value(self, expression: str) -> float | None:
        """Return the one value of a query, None when there is none yet."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if len(found) == 1 else None

    def wait_for(self, expression: str) -> list[dict[str, Any]]:
        """Return the result of a query as soon as it has one."""
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            found = self.query(expression)
            if found:
                return found
            time.sleep(0.1)
        message = f"Prometheus has nothing for {expression}"
        raise ToolError(message)

    def targets(self) -> list[dict[str, Any]]:
        """Return what it scrapes, with ``health`` and ``lastError``."""
        with self._get("/api/v1/targets") as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["activeTargets"]
        return found

    def _get(self, path: str) -> Any:
        return urllib.request.urlopen(self.url + path, timeout=ASK_SECONDS)
