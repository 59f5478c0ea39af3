"""Reading definition files: text to Definition, with every mistake of the file's structure at once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from pydantic import ValidationError

from workflow_scheduler.core.definition.document import (
    TEXT_BYTES_MAX,
    Document,
    invalid,
    line_and_column,
    plain_document,
    text_error,
)
from workflow_scheduler.core.definition.json_text import check_value, is_json, parse_json
from workflow_scheduler.core.definition.nodes import document_of
from workflow_scheduler.core.definition.problems import explain
from workflow_scheduler.core.definition.yaml_text import parse_yaml
from workflow_scheduler.core.errors import DefinitionInvalid, FieldError, TooLarge
from workflow_scheduler.core.model.workflow import Definition

Format = Literal["yaml", "json"]


class LoadedDefinition(msgspec.Struct, frozen=True):
    """A definition with what it was made from.

    `value` is the definition as it was written, as plain JSON values (the node form: converted); `source` is the text,
    where there was one.
    """

    definition: Definition
    value: dict[str, Any]
    document: Document
    source: str | None = None
    format: Format = "json"

    @property
    def hash(self) -> str:
        """The hash of the content: the same for every spelling and order of keys."""
        return digest(self.value)


class Reading(msgspec.Struct, frozen=True):
    """A document read without stopping at its mistakes; `definition` is None when its structure is broken."""

    document: Document
    definition: Definition | None
    errors: tuple[FieldError, ...]
    source: str | None
    format: Format

    def loaded(self) -> LoadedDefinition:
        """Return the definition.

        Raises:
            DefinitionInvalid: there are mistakes; all of them are in its `errors`.

        """
        if self.errors or self.definition is None:
            raise invalid(self.errors)
        return LoadedDefinition(self.definition, self.document.value, self.document, self.source, self.format)


def digest(value: Mapping[str, Any]) -> str:
    """Return the sha256 of a definition's canonical JSON."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def parse(text: str | bytes, format: Format | None = None) -> LoadedDefinition:  # noqa: A002 -- its name in the API
    """Return the one definition of a YAML or JSON text; the format is recognised when it is not given.

    Raises:
        DefinitionInvalid: the text or its structure is wrong; `errors` names every place.
        TooLarge: the text is larger than a definition may be.

    """
    found = read(text, format)
    if len(found) != 1:
        message = f"the file holds {len(found)} definitions where one is wanted"
        raise invalid([text_error(message)])
    return found[0].loaded()


def parse_all(text: str | bytes, format: Format | None = None) -> list[LoadedDefinition]:  # noqa: A002
    """Return every definition of a text; YAML may hold several, separated by `---`.

    Raises:
        DefinitionInvalid: the text or a structure is wrong; `errors` names every place in every document.
        TooLarge: the text is larger than a definition may be.

    """
    found = read(text, format)
    errors = [error for reading in found for error in reading.errors]
    if errors:
        raise invalid(errors)
    return [reading.loaded() for reading in found]


def from_value(value: Any) -> LoadedDefinition:
    """Return the definition of a value that was decoded already.

    Raises:
        DefinitionInvalid: its structure is wrong.

    """
    return read_value(value).loaded()


def read_value(value: Any) -> Reading:
    """Read a value that was decoded already.

    Raises:
        DefinitionInvalid: it passes a bound.

    """
    check_value(value)
    return _read_document(plain_document(value), None, "json")


def read(text: str | bytes, format: Format | None = None) -> list[Reading]:  # noqa: A002
    """Return every document of a text with its mistakes.

    Raises:
        DefinitionInvalid: the text is neither YAML nor JSON, holds nothing, or passes a bound.
        TooLarge: the text is larger than a definition may be.

    """
    decoded = _decode(text)
    documents, used = _parse(decoded, format)
    if not documents:
        raise invalid([text_error("the file is empty", 1, 1)])
    return [_read_document(document, decoded, used) for document in documents]


def documents_of(text: str | bytes) -> list[Document]:
    """Return the documents of a text, whatever they are.

    Raises:
        DefinitionInvalid: the text is neither YAML nor JSON, holds nothing, or passes a bound.
        TooLarge: the text is larger than a definition may be.

    """
    documents, _ = _parse(_decode(text), None)
    if not documents:
        raise invalid([text_error("the file is empty", 1, 1)])
    return documents


def _decode(text: str | bytes) -> str:
    size = len(text) if isinstance(text, bytes) else len(text.encode(errors="replace"))
    if size > TEXT_BYTES_MAX:
        raise TooLarge(f"a definition has at most {TEXT_BYTES_MAX:,} bytes; this one has {size:,}")
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        good = text[: error.start].decode("utf-8-sig")
        raise invalid([text_error("the file is not UTF-8", *line_and_column(good, len(good)))]) from error


def _parse(text: str, wanted: Format | None) -> tuple[list[Document], Format]:
    if wanted == "json":
        return [parse_json(text)], "json"
    if wanted is None and text.lstrip()[:1] in {"{", "["}:
        if is_json(text):
            return [parse_json(text)], "json"
        try:
            return parse_yaml(text), "yaml"
        except DefinitionInvalid:
            return [parse_json(text)], "json"  # says what is wrong with it as JSON, which it looks like
    return parse_yaml(text), "yaml"


def _read_document(document: Document, source: str | None, format: Format) -> Reading:  # noqa: A002
    document = document_of(document)
    errors = list(document.errors)
    definition = None
    if not isinstance(document.value, dict):
        errors.append(document.issue((), "a definition is a mapping that begins with `version: 1` and `name:`"))
    else:
        try:
            definition = Definition.model_validate(document.value)
        except ValidationError as error:
            errors += explain(error, Definition, document)
    return Reading(document, definition, tuple(errors), source, format)
