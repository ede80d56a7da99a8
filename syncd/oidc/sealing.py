"""Keeps a provider's tokens in a store in which nobody can read them.

AES-256-GCM (NIST SP 800-38D) under a key that HKDF (RFC 5869) makes of the client secret. So the
store alone is worth nothing to whoever copies it; and with another secret what was sealed is gone,
which costs a refresh and a hint at sign-out.
"""

from __future__ import annotations

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

# What is sealed begins with it, so that another way of sealing can follow one day.
VERSION: Final = b"\x01"
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
_PURPOSE: Final = b"syncd: tokens of a provider"


class Sealing:
    """Seals for one organization under the secret of its registration; any thread may use it."""

    def __init__(self, client_secret: str, organization_id: str) -> None:
        key = HKDF(
            algorithm=SHA256(), length=KEY_BYTES, salt=_PURPOSE, info=organization_id.encode()
        ).derive(client_secret.encode())
        self._cipher = AESGCM(key)

    def seal(self, plain: bytes) -> bytes:
        """Return what only this secret opens; another text each time."""
        nonce = os.urandom(NONCE_BYTES)
        return VERSION + nonce + self._cipher.encrypt(nonce, plain, VERSION)

    def open(self, sealed: bytes) -> bytes | None:
        """Return what was sealed; None: under another secret, for another organization, or hurt."""
        version, rest = sealed[:1], sealed[1:]
        if version != VERSION or len(rest) < NONCE_BYTES:
            return None
        try:
            return self._cipher.decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], VERSION)
        except InvalidTag:
            return None
