"""Whether a signature is one of these bytes by this key (RFC 7518 section 3, RFC 8037).

The algorithm is the key's, never what a token says; PyJWT's algorithm objects do the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from jwt.algorithms import ECAlgorithm, get_default_algorithms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.hashes import HashAlgorithm
    from jwt.algorithms import Algorithm

    from syncd.oidc.keys import Key


class PreparedECAlgorithm(ECAlgorithm):
    """PyJWT's, without making anew what is the same each time: that is a tenth of its time.

    For keys that are public and on the curve of the algorithm, as those of a KeySet are.
    """

    def __init__(self, hash_alg: type[HashAlgorithm], octets: int) -> None:
        """Take the hash, and how long r and s are."""
        super().__init__(hash_alg)
        self._scheme = ECDSA(hash_alg())
        self._octets = octets

    def verify(self, msg: bytes, key: Any, sig: bytes) -> bool:  # noqa: ANN401 — as PyJWT has it
        """Return whether the key made the signature: r and s side by side."""
        octets = self._octets
        if len(sig) != 2 * octets:
            return False
        r, s = int.from_bytes(sig[:octets], "big"), int.from_bytes(sig[octets:], "big")
        try:
            key.verify(encode_dss_signature(r, s), msg, self._scheme)
        except InvalidSignature:
            return False
        return True


_ALL: Final = get_default_algorithms()
# Keyed by the client secret; whoever can verify these can sign them.
SHARED: Final = frozenset({"HS256", "HS384", "HS512"})
# `none` is no algorithm here, whatever a configuration says.
ALGORITHMS: Final[Mapping[str, Algorithm]] = {
    **{name: _ALL[name] for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")},
    "ES256": PreparedECAlgorithm(ECAlgorithm.SHA256, 32),
    "ES384": PreparedECAlgorithm(ECAlgorithm.SHA384, 48),
    "ES512": PreparedECAlgorithm(ECAlgorithm.SHA512, 66),
    "EdDSA": _ALL["EdDSA"],
    "Ed25519": _ALL["EdDSA"],
    **{name: _ALL[name] for name in sorted(SHARED)},
}


def verify(key: Key, signing_input: bytes, signature: bytes) -> bool:
    """Return whether the key, or one of its candidates, made the signature."""
    algorithm = ALGORITHMS[key.algorithm]
    for candidate in key.candidates:
        if algorithm.verify(signing_input, candidate, signature):
            return True
    return False
