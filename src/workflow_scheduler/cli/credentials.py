"""The file in which `login` keeps addresses and keys; readable by its owner only."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from workflow_scheduler.core.errors import ValidationFailed

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


class Credentials(msgspec.Struct):
    """The address that is used where none is named, and the key of each address."""

    server: str | None = None
    keys: dict[str, str] = msgspec.field(default_factory=dict)


def path() -> Path:
    """Return where the file is: WFS_CONFIG, else below XDG_CONFIG_HOME or ~/.config."""
    if named := os.environ.get("WFS_CONFIG"):
        return Path(named)
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "workflow-scheduler" / "credentials.json"


def load() -> Credentials:
    """Return what is stored; nothing where there is no file.

    Raises:
        ValidationFailed: the file cannot be read.

    """
    file = path()
    try:
        return msgspec.json.decode(file.read_bytes(), type=Credentials)
    except (FileNotFoundError, NotADirectoryError):
        return Credentials()
    except (OSError, ValueError) as error:
        message = f"{file} cannot be read: {error}"
        raise ValidationFailed(message, fix="remove it and run `workflow-scheduler login`") from None


def store(credentials: Credentials) -> Path:
    """Write the file, for its owner only, and return where it is.

    Raises:
        ValidationFailed: it cannot be written.

    """
    file = path()
    try:
        file.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        new = file.with_suffix(".new")
        new.unlink(missing_ok=True)
        new.touch(mode=_FILE_MODE)
        new.write_bytes(msgspec.json.encode(credentials))
        new.replace(file)
    except OSError as error:
        raise ValidationFailed(f"{file} cannot be written: {error}", fix="set WFS_CONFIG to a file you own") from None
    return file
