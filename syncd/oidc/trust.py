"""Owns whom a request to a provider trusts: the system's authorities and the organization's.

Reading the system's takes longer than all the rest of a request, so what was made is kept for a
moment: few at a time, because those of many organizations would fill the memory.
"""

from __future__ import annotations

import functools
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from syncd.errors import cut
from syncd.oidc.failure import Cause, FetchFailed

if TYPE_CHECKING:
    from collections.abc import Hashable

# After it a change in the system's folder of authorities counts; one of its file counts at once.
KEPT_SECONDS: Final = 60
MOST_KEPT: Final = 16


def trust(ca_pem: tuple[str, ...]) -> ssl.SSLContext:
    """Return what checks a server's certificate; ``ca_pem`` is trusted beside the system's.

    Raises:
        FetchFailed: One of the organization's certificates cannot be read.

    """
    paths = ssl.get_default_verify_paths()
    return _made(ca_pem, (paths, _stamp(paths.cafile), time.monotonic() // KEPT_SECONDS))


def _stamp(name: str | None) -> int | None:
    try:
        return None if name is None else Path(name).stat().st_mtime_ns
    except OSError:
        return None


@functools.lru_cache(maxsize=MOST_KEPT)
def _made(ca_pem: tuple[str, ...], system: Hashable) -> ssl.SSLContext:
    del system
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    # An organization may hand in its issuing authority without the root above it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    for number, pem in enumerate(ca_pem, start=1):
        try:
            context.load_verify_locations(cadata=pem)
        except (ssl.SSLError, ValueError) as error:
            raise FetchFailed(
                Cause.CERTIFICATE,
                f"Certificate {number} of the organization cannot be read ({cut(error)}); "
                "it has to be a certificate in PEM form.",
            ) from error
    return context
