"""Reading the end of certificates that openssl made."""

from __future__ import annotations

import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from syncd.ldap.validity import first_end, not_after
from tests.servers.authority import Authority, program

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority whose certificate lasts 30 days."""
    return Authority(tmp_path_factory.mktemp("authority"))


def _as_openssl_says(certificate: Path) -> datetime:
    told = subprocess.run(
        [program("openssl"), "x509", "-noout", "-enddate", "-in", certificate],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(told.strip()[len("notAfter=") :]), UTC)


# From 2050 on the time is written in another form (RFC 5280 section 4.1.2.5).
@pytest.mark.parametrize("days", [-1, 3, 365 * 40])
def test_the_end_is_read(authority: Authority, days: int) -> None:
    """A server's own certificate ends when openssl says that it does, in each form of time."""
    certificate, _ = authority.issue(f"server{days}", days=days)
    end = first_end(certificate.read_text())
    assert end == _as_openssl_says(certificate)
    assert abs(end - datetime.now(UTC) - timedelta(days=days)) < timedelta(hours=1)


def test_the_first_of_several_ends_counts(authority: Authority) -> None:
    """A bundle ends with the certificate in it that ends first, whatever stands around."""
    certificate, _ = authority.issue("short", days=2)
    bundle = f"a note\n{authority.pem}\n{certificate.read_text()}"
    assert first_end(bundle) == _as_openssl_says(certificate)


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----\n",
    ],
)
def test_what_cannot_be_read_has_no_end(pem: str) -> None:
    """A damaged certificate is left out: connecting reports it better."""
    assert first_end(pem) is None


def test_any_cut_certificate_is_an_error(authority: Authority) -> None:
    """However little of a certificate is there, reading it ends in the one kind of error."""
    whole = ssl.PEM_cert_to_DER_cert(authority.pem)
    for length in range(len(whole)):
        with pytest.raises(ValueError):
            not_after(whole[:length])
