"""Owns where secrets come from: a key, a ``<key>_file``, or a credentials directory.

What a secret is never appears in a message; the file's path does.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

from syncd.settings.document import Key, displayed, dotted
from syncd.settings.fields import FILE_SUFFIX, listed_secrets_of, secrets_of
from syncd.settings.layers import Layers
from syncd.settings.values import EnvironmentText, base_folder

CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
CONTAINER_SECRETS = Path("/run/secrets")
LARGEST_SECRET_BYTES = 65_536
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class SecretUnreadable(Exception):
    """A secret file cannot be used; the message says why, without its content."""


def credential_directories(environ: Mapping[str, str], container: Path) -> tuple[Path, ...]:
    """Return the directories that secrets may stand in, by name."""
    given = environ.get(CREDENTIALS_VARIABLE)
    return (*([Path(given)] if given else []), container)


def resolve_secrets(
    layers: Layers, model: type[BaseModel], directories: Iterable[Path], organization: str | None
) -> None:
    """Put every secret into the tree as text, from wherever it is given."""
    directories = tuple(directories)
    for key, name in _secret_keys(layers, model, organization):
        file_key: Key = (*key[:-1], f"{key[-1]}{FILE_SUFFIX}")
        inline, named = layers.get(key), layers.get(file_key)
        if inline is not None and named is not None:
            file, line = layers.place(key)
            where = f"{file}:{line}" if line is not None else file
            layers.blame(file_key, f"contradicts {dotted(key)} ({where}); keep one of them")
            layers.document.bad.add(key)
        elif inline is not None:
            _warn_of_readers(layers, key)
        elif isinstance(named, str):
            _from_named_file(layers, key, file_key, named)
        elif named is None and _section_is_there(layers, key):
            _from_directories(layers, key, directories, name)


def _secret_keys(
    layers: Layers, model: type[BaseModel], organization: str | None
) -> Iterator[tuple[Key, str | None]]:
    """Yield each secret's key, those in lists as well, and its name in a credentials directory."""
    for key, _ in secrets_of(model):
        yield key, credential_name(key, organization)
    for key, identifier, secret in listed_secrets_of(model):
        groups = layers.get(key)
        for at, group in enumerate(groups if isinstance(groups, list) else ()):
            if not isinstance(group, dict):
                continue
            named = group.get(identifier)
            usable = isinstance(named, str) and _PLAIN_NAME.fullmatch(named)
            yield (*key, at, secret), f"{organization}.{named}.{secret}" if usable else None


def credential_name(key: Key, organization: str | None) -> str:
    """Return a secret's file name in a credentials directory."""
    if organization is not None:
        return f"{organization}.{key[-1]}"
    return "_".join(str(part) for part in key)


def read_secret(path: Path) -> str:
    """Return a secret file's text without the newline at its end."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise SecretUnreadable("is not a file; name the file that holds the secret")
        with path.open("rb") as stream:
            content = stream.read(LARGEST_SECRET_BYTES + 1)
    except OSError as error:
        reason = error.strerror or "it cannot be opened"
        message = f"cannot be read ({reason}); check the path and its permissions"
        raise SecretUnreadable(message) from None
    if len(content) > LARGEST_SECRET_BYTES:
        raise SecretUnreadable(f"is larger than {LARGEST_SECRET_BYTES} bytes; this is no secret")
    try:
        text = content.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise SecretUnreadable("is not UTF-8 text; save it as UTF-8") from None
    if not text:
        raise SecretUnreadable("is empty; write the secret into it")
    if "\n" in text or "\0" in text:
        raise SecretUnreadable("holds more than one line; keep the secret alone")
    return text


def _section_is_there(layers: Layers, key: Key) -> bool:
    return len(key) == 1 or isinstance(layers.get(key[:-1]), dict)


def _from_named_file(layers: Layers, key: Key, file_key: Key, named: str) -> None:
    if not named.strip() or "\0" in named:
        layers.blame(file_key, "must be the path of a file")
        layers.document.bad.add(key)
        return
    base = base_folder(named, {"directory": layers.directory})
    path = Path(os.path.normpath(base / Path(named).expanduser()))
    try:
        secret = read_secret(path)
    except SecretUnreadable as error:
        layers.blame(file_key, f"{displayed(path)} {error}")
        layers.document.bad.add(key)
        return
    if path.stat().st_mode & stat.S_IROTH:
        message = f"{displayed(path)} can be read by everybody on this machine; chmod o-r it"
        layers.warnings.append(layers.fault(file_key, message))
    layers.put(key, EnvironmentText(secret), f"secret file {displayed(path)}")


def _from_directories(
    layers: Layers, key: Key, directories: Iterable[Path], name: str | None
) -> None:
    for directory in directories if name is not None else ():
        path = directory / str(name)
        if not os.path.lexists(path):
            continue
        place = f"credential {path}"
        try:
            secret = read_secret(path)
        except SecretUnreadable as error:
            layers.put(key, None, place)
            layers.blame(key, str(error))
        else:
            layers.put(key, EnvironmentText(secret), place)
        return


def _warn_of_readers(layers: Layers, key: Key) -> None:
    if layers.place(key)[0] != layers.document.file or key[-1] in {"url", "migration_url"}:
        return
    if key[-1] == "proxy" and "@" not in str(layers.get(key)):
        return
    path = layers.directory / Path(layers.document.file).name
    if path.is_file() and path.stat().st_mode & stat.S_IROTH:
        message = (
            f"stands in a file that everybody on this machine can read; chmod o-r it, or use "
            f"{key[-1]}{FILE_SUFFIX}"
        )
        layers.warnings.append(layers.fault(key, message))
