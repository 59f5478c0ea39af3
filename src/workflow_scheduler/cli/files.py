"""Reading what users name on the command line: definition files, input files, standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import typer

from workflow_scheduler.cli.options import pairs
from workflow_scheduler.core.errors import DefinitionInvalid, FieldError

if TYPE_CHECKING:
    from workflow_scheduler.core.definition.document import Document
    from workflow_scheduler.core.definition.load import Reading

_SUFFIXES = (".yaml", ".yml", ".json")


def content(name: str) -> bytes:
    """Return the bytes of a file, or of standard input for `-`.

    Raises:
        BadParameter: the file cannot be read.

    """
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"cannot read {name}: {error.strerror}") from None


def definition_files(names: list[str]) -> list[str]:
    """Return the files that are named; a folder stands for the definitions in it.

    Raises:
        BadParameter: a folder holds none.

    """
    found: list[str] = []
    for name in names:
        if name == "-" or not Path(name).is_dir():
            found.append(name)
            continue
        inside = sorted(str(path) for path in Path(name).iterdir() if path.suffix in _SUFFIXES)
        if not inside:
            raise typer.BadParameter(f"{name} holds no .yaml, .yml or .json file")
        found += inside
    return found


def readings(name: str) -> list[Reading]:
    """Return the documents of a definition file with the mistakes of their structure.

    Raises:
        DefinitionInvalid: the text is neither YAML nor JSON; BadParameter: the file cannot be read.

    """
    from workflow_scheduler.core.definition.load import read

    return read(content(name), "json" if name.endswith(".json") else None)


def value_of(name: str) -> Any:
    """Return the value of a JSON or YAML file.

    Raises:
        BadParameter: it is neither.

    """
    values = values_of(name)
    if len(values) != 1:
        raise typer.BadParameter(f"{name} must hold one JSON or YAML value")
    return values[0]


def input_of(data: list[str], file: str | None) -> Any:
    """Return the input that `-d name=value` fields and a file give together.

    Raises:
        BadParameter: the file holds no object to which fields could be added, or one of them cannot be read.

    """
    value = value_of(file) if file is not None else {}
    if not data:
        return value
    if not isinstance(value, dict):
        raise typer.BadParameter("-d adds fields to an object, and the file holds another value")
    return {**value, **pairs(data)}


def values_of(name: str) -> list[Any]:
    """Return the value of a JSON file, or those of the documents of a YAML file.

    Raises:
        BadParameter: it is neither.

    """
    text = content(name)
    try:
        return [msgspec.json.decode(text)]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if name.endswith(".json"):
            raise typer.BadParameter(f"{name} is not JSON: {error}") from None
    return [document.value for document in _yaml(name, text)]


def documents_of(name: str) -> list[Document]:
    """Return the documents of a YAML or JSON file with the lines of their values.

    Raises:
        BadParameter: it is neither.

    """
    return _yaml(name, content(name))


def _yaml(name: str, text: bytes) -> list[Document]:
    from workflow_scheduler.core.definition.yaml_text import parse_yaml

    try:
        documents = parse_yaml(text.decode())
    except (DefinitionInvalid, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{name} is neither JSON nor YAML: {error}") from None
    if any(document.errors for document in documents):
        raise typer.BadParameter(f"{name} must hold JSON or YAML values without duplicate keys")
    return documents


def located(reading: Reading, errors: tuple[FieldError, ...]) -> list[FieldError]:
    """Return mistakes that a service found in a document, each with its line and column in the file."""
    from workflow_scheduler.core.definition.check import located as place

    return [place(reading.document, FieldError(one.field, one.message, suggestion=one.suggestion)) for one in errors]
