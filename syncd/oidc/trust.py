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
# X509_V_ERR_* of OpenSSL's x509_vfy.h; the ssl module has no names for them.
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_WRONG_NAME: Final = (62, 64)


def trust(ca_pem: tuple[str, ...]) -> ssl.SSLContext:
    """Return what checks a server's certificate; ``ca_pem`` is trusted beside the system's.

    Raises:
        FetchFailed: One of them cannot be read.

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
                f"Certificate {number} beside the system's cannot be read ({cut(error)}); "
                "it has to be a certificate in PEM form.",
            ) from error
    return context


def verdict(error: ssl.SSLCertVerificationError, *, url: str, certificates: str) -> str:
    """Return why a server's certificate was refused and what to do.

    Args:
        error: What came of the handshake.
        url: The key, or the words, for where the server's name stands.
        certificates: The key for further authorities.

    """
    said = cut(error.verify_message)
    if error.verify_code in _WRONG_NAME:
        return f"the server's certificate is for another name ({said}); check {url}."
    if error.verify_code == _EXPIRED:
        return f"a certificate of the server has expired ({said}); renew it there."
    if error.verify_code == _NOT_YET_VALID:
        return f"the server's certificate is not valid yet ({said}); compare both clocks."
    return (
        f"nobody trusted has issued the server's certificate ({said}); add the authority's "
        f"certificate to {certificates}."
    )
