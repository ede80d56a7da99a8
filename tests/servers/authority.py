"""Certificates for tests, from an authority of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class ToolError(RuntimeError):
    """A program that a test needs is missing or failed; the message is what it said."""


def program(name: str) -> str:
    """Return the path of an installed program, those for administrators included."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    found = shutil.which(name, path=path)
    if found is None:
        message = f"{name} is not installed: run scripts/system-packages"
        raise ToolError(message)
    return found


def run(words: Sequence[str], *, stdin: str | None = None, folder: Path) -> None:
    """Run a program to its end."""
    done = subprocess.run(
        words, input=stdin, cwd=folder, text=True, capture_output=True, check=False
    )
    if done.returncode:
        message = f"{words[0]} failed: {done.stderr[-2000:]}"
        raise ToolError(message)


class Authority:
    """A certificate authority and what it signs, made with openssl in a few milliseconds."""

    def __init__(self, folder: Path, name: str = "Test CA") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.certificate = folder / "ca.pem"
        self._openssl(
            *("req", "-x509", *self._new_key("ca.key"), "-days", "30", "-out", "ca.pem"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign", "-subj", f"/CN={name}"),
        )

    @property
    def pem(self) -> str:
        """The authority's certificate."""
        return self.certificate.read_text()

    def issue(
        self, name: str, *, names: str = "DNS:localhost,IP:127.0.0.1,IP:::1", days: int = 30
    ) -> tuple[Path, Path]:
        """Return the files of a server certificate and its key; negative days have passed."""
        key, request, certificate = (f"{name}.{end}" for end in ("key", "csr", "pem"))
        self._openssl("req", *self._new_key(key), "-out", request, "-subj", f"/CN={name}")
        (self.folder / "extensions").write_text(f"subjectAltName={names}\n")
        # Signing with a past end needs explicit dates, which only "ca" takes; so the clock of
        # "x509 -days" is given a negative number, which openssl accepts.
        self._openssl(
            *("x509", "-req", "-in", request, "-CA", "ca.pem", "-CAkey", "ca.key"),
            *("-CAcreateserial", "-days", str(days), "-extfile", "extensions"),
            *("-out", certificate),
        )
        return self.folder / certificate, self.folder / key

    def _openssl(self, *words: str) -> None:
        run([program("openssl"), *words], folder=self.folder)

    @staticmethod
    def _new_key(name: str) -> list[str]:
        curve = "ec_paramgen_curve:prime256v1"
        return ["-newkey", "ec", "-pkeyopt", curve, "-nodes", "-keyout", name]
