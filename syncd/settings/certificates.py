"""Owns the type of certificates: PEM files or PEM texts, read when the configuration is."""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, PlainValidator, ValidationInfo, WithJsonSchema

from syncd.settings.values import EnvironmentText, Kind, Section, Text, base_folder

LARGEST_PEM_BYTES = 1_048_576
_PEM = re.compile(
    r"-----BEGIN (?:TRUSTED )?CERTIFICATE-----\s(.+?)-----END (?:TRUSTED )?CERTIFICATE-----",
    re.DOTALL,
)


class Certificate(Section):
    """A certificate: where it came from and its PEM text."""

    source: Text
    pem: Text


def _read_certificate(value: object, info: ValidationInfo) -> Certificate:
    if isinstance(value, Certificate):
        return value
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a PEM file's path or a PEM text")
    if "-----BEGIN" in value:
        return Certificate(source="inline", pem=_checked_pem(value))
    path = base_folder(value, info.context) / Path(value).expanduser()
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_PEM_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it cannot be opened"
        raise ValueError(f"must be a readable PEM file; {path} cannot be read ({reason})") from None
    return Certificate(source=str(path), pem=_checked_pem(content.decode("latin-1")))


def _checked_pem(text: str) -> str:
    if "PRIVATE KEY-----" in text:
        raise ValueError("holds a private key; only certificates belong here")
    bodies = _PEM.findall(text)
    if not bodies:
        raise ValueError("must hold a certificate in PEM form (-----BEGIN CERTIFICATE-----)")
    for body in bodies:
        try:
            content = base64.b64decode("".join(body.split()), validate=True)
        except binascii.Error:
            content = b""
        if not content.startswith(b"\x30"):
            raise ValueError("holds a certificate that is damaged; export it again as PEM")
    return "\n".join(match.group() for match in _PEM.finditer(text)) + "\n"


def _split_paths(value: object) -> object:
    if isinstance(value, str):
        whole = "-----BEGIN" in value
        parts = [value] if whole else [part.strip() for part in value.split(",") if part.strip()]
        same = EnvironmentText if isinstance(value, EnvironmentText) else str
        return tuple(same(part) for part in parts)
    return tuple(value) if isinstance(value, list) else value


Certificates = Annotated[
    tuple[
        Annotated[
            Certificate, PlainValidator(_read_certificate), WithJsonSchema({"type": "string"})
        ],
        ...,
    ],
    BeforeValidator(_split_paths),
    Kind("list of PEM files or PEM texts"),
]
