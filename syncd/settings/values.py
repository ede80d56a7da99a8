"""Owns the types of single values: durations, comma lists, paths, flags, choices and secrets.

Values from YAML are taken strictly. Values from the environment are always text, marked as
``EnvironmentText``, and are read as what their key expects.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    Secret,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)

LONGEST_SECONDS = 36_500 * 86_400
HIDDEN = "********"

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([smhd]?)\Z")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_USER_INFORMATION = re.compile(r"(?<=://)[^/?#@\s]*:[^/?#\s]*(?=@)")
_LONGEST_USER_INFORMATION = re.compile(r"(?<=://)[^/?#@\s]*:.*(?=@)")
_PASSWORD_PARAMETER = re.compile(
    r"(?i)((?:[?&]|\A)[^=&\s]*(?:password|secret|passwd)[^=&\s]*=)[^&\s]+"
)


class EnvironmentText(str):
    """A text from the environment, to be read as what its key expects."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value is, in the words of messages and of the reference."""

    words: str


class Section(BaseModel):
    """A group of keys: unknown keys are refused, values taken strictly, results frozen."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, validate_default=False
    )


def masked_url(text: str) -> str:
    """Return a URL whose password, wherever it stands, is masked."""
    return _PASSWORD_PARAMETER.sub(rf"\1{HIDDEN}", _USER_INFORMATION.sub(_masked_user, text))


def _masked_user(match: re.Match[str]) -> str:
    return f"{match.group().partition(':')[0]}:{HIDDEN}"


class SecretUrl(Secret[str]):
    """A URL that may hold a password; ``get_secret_value()`` returns it whole."""

    def _display(self) -> str:
        return self.masked()

    def masked(self) -> str:
        """Return the URL without its password, even one that lacks its percent-escapes."""
        whole = _LONGEST_USER_INFORMATION.sub(_masked_user, self.get_secret_value())
        return masked_url(whole)


def _read_flag(value: object) -> object:
    if isinstance(value, EnvironmentText):
        word = value.strip().lower()
        if word in {"true", "yes", "on", "1"}:
            return True
        if word in {"false", "no", "off", "0"}:
            return False
        raise ValueError("must be true or false")
    return value


def _read_integer(value: object) -> object:
    if isinstance(value, EnvironmentText) and re.fullmatch(r"\s*[-+]?[0-9]{1,18}\s*", value):
        return int(value)
    return value


def _read_number(value: object) -> object:
    if isinstance(value, EnvironmentText) and re.fullmatch(r"\s*[0-9]{1,9}(\.[0-9]+)?\s*", value):
        return float(value)
    return value


def read_duration(value: object) -> float:
    """Read seconds, or a number with a unit: ``90s``, ``15m``, ``12h``, ``30d``."""
    allowed = "must be seconds, or a number with a unit such as 90s, 15m, 12h or 30d"
    if isinstance(value, str):
        match = _DURATION.match(value.strip())
        if match is None:
            raise ValueError(allowed)
        seconds = float(match.group(1)) * _SECONDS[match.group(2)]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value
    else:
        raise ValueError(allowed)  # noqa: TRY004 - pydantic collects value errors
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"{allowed}, and not negative")
    if seconds > LONGEST_SECONDS:
        raise ValueError("must be at most 36500d")
    return int(seconds) if seconds == int(seconds) else seconds


def _read_positive_duration(value: object) -> float:
    seconds = read_duration(value)
    if seconds <= 0:
        raise ValueError("must be longer than 0 seconds")
    return seconds


def read_list(value: object) -> object:
    """Read a list, or a text with commas."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return tuple(value) if isinstance(value, list) else value


def _one_or_several(value: object) -> object:
    if isinstance(value, str):
        return (str(value),)
    return tuple(value) if isinstance(value, list) else value


def _absolute(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        return value
    if not value.strip() or "\0" in value:
        raise ValueError("must be the path of a file")
    return Path(os.path.normpath(base_folder(value, info.context) / Path(value).expanduser()))


def base_folder(value: object, context: Mapping[str, Any] | None) -> Path:
    """Return where a relative path starts: at the file that names it, or where syncd was called."""
    if isinstance(value, EnvironmentText) or not context:
        return Path.cwd()
    return Path(context["directory"])


def _network(value: str) -> str:
    try:
        return str(ip_network(value, strict=False))
    except ValueError:
        raise ValueError("must be a network such as 10.0.0.0/8, or an address") from None


def _plain(value: str) -> str:
    return str(value)


Text = Annotated[
    str, StringConstraints(min_length=1, pattern=r"\S"), AfterValidator(_plain), Kind("text")
]
AnyText = Annotated[str, AfterValidator(_plain), Kind("text, may be empty")]
Flag = Annotated[bool, BeforeValidator(_read_flag), Kind("true or false")]
Count = Annotated[int, Field(ge=0), BeforeValidator(_read_integer), Kind("whole number from 0")]
Positive = Annotated[int, Field(ge=1), BeforeValidator(_read_integer), Kind("whole number from 1")]
Port = Annotated[
    int, Field(ge=1, le=65_535), BeforeValidator(_read_integer), Kind("port number, 1 to 65535")
]
Percent = Annotated[
    float, Field(ge=0, le=100), BeforeValidator(_read_number), Kind("percentage, 0 to 100")
]
_DURATION_SCHEMA = WithJsonSchema(
    {
        "anyOf": [
            {"type": "number", "minimum": 0},
            {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?\s*[smhd]?$"},
        ]
    }
)
Duration = Annotated[float, PlainValidator(read_duration), _DURATION_SCHEMA, Kind("duration")]
Period = Annotated[
    float, PlainValidator(_read_positive_duration), _DURATION_SCHEMA, Kind("duration above 0")
]
TEXTS_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
}
CommaList = Annotated[
    tuple[Text, ...],
    Field(min_length=1),
    BeforeValidator(read_list),
    WithJsonSchema(TEXTS_SCHEMA),
    Kind("list, or text with commas"),
]
# Values that hold commas themselves, such as DNs: a text is one value.
Several = Annotated[
    tuple[Text, ...],
    BeforeValidator(_one_or_several),
    WithJsonSchema(TEXTS_SCHEMA),
    Kind("one, or a list"),
]
Networks = Annotated[
    tuple[Annotated[Text, AfterValidator(_network)], ...],
    BeforeValidator(read_list),
    WithJsonSchema(TEXTS_SCHEMA),
    Kind("list of networks"),
]
FileName = Annotated[
    Path,
    BeforeValidator(_absolute),
    PlainSerializer(str),
    WithJsonSchema({"type": "string"}),
    Kind("path"),
]
SecretText = Annotated[SecretStr, Field(min_length=1), Kind("secret")]


def spelled(**spellings: str) -> BeforeValidator:
    """Accept further spellings of a choice (Keycloak's), whatever their letter case."""
    return BeforeValidator(
        lambda value: spellings.get(value.lower(), value) if isinstance(value, str) else value
    )


SyncMode = Annotated[Literal["import", "force"], spelled(**{"import": "import", "force": "force"})]
