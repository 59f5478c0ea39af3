"""pydantic's findings as plain sentences at their place in the text, with the nearest known name."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Collection, Iterator
from typing import Any, get_args, get_origin

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic_core import ErrorDetails

from workflow_scheduler.core.definition.absent import field_hint
from workflow_scheduler.core.definition.document import Document, Path
from workflow_scheduler.core.errors import FieldError, did_you_mean, unknown_field

_KINDS = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "mapping_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "none_required": "empty",
}
_NAME_RULE = "letters, digits, `_`, `.` and `-`, at most 128 characters, and begins with a letter, a digit or `_`"


def field_names(model: type[BaseModel]) -> list[str]:
    """Return every key that `model` accepts, aliases first."""
    names: list[str] = []
    for name, field in model.model_fields.items():
        names += aliases(field.validation_alias)
        if field.alias:
            names.append(field.alias)
        if not names or model.model_config.get("populate_by_name") or not field.alias:
            names.append(name)
    return [name for name in dict.fromkeys(names) if not name.endswith("_")]


def aliases(alias: object) -> list[str]:
    """Return the keys that a validation alias stands for."""
    if isinstance(alias, str):
        return [alias]
    if isinstance(alias, AliasChoices):
        return [choice for choice in alias.choices if isinstance(choice, str)]
    return []


def explain(
    error: ValidationError,
    model: type[BaseModel],
    document: Document,
    prefix: Path = (),
    *,
    also_known: Collection[str] = (),
    skip: Callable[[tuple[str | int, ...]], bool] | None = None,
) -> list[FieldError]:
    """Return the findings of `error` about the value at `prefix`, which was validated as `model`.

    `also_known` are keys that may stand beside the model's own ones; they are suggested as well. `skip` says for
    pydantic's location of a finding whether to leave it out.
    """
    found = []
    value = _at(document.value, prefix)
    for detail in error.errors(include_url=False):
        if skip is None or not skip(detail["loc"]):
            path = _real_path(value, detail["loc"])
            found.append(_issue(detail, path, model, document, prefix, also_known))
    return list(dict.fromkeys(found))


def _issue(
    detail: ErrorDetails,
    path: Path,
    model: type[BaseModel],
    document: Document,
    prefix: Path,
    also_known: Collection[str],
) -> FieldError:
    whole = (*prefix, *path)
    kind = detail["type"]
    if kind == "extra_forbidden":
        known = [name for part in models_at(model, path[:-1]) for name in field_names(part)]
        known += list(also_known) if len(path) == 1 else []
        word = str(path[-1]) if path else ""
        near = did_you_mean(word, known)
        hint = field_hint(word) if near is None else ""
        message = unknown_field(word, known) + (f": {hint}" if hint else "")
        return document.issue(whole, message, key=True, suggestion=near)
    if kind == "missing":
        word = str(detail["loc"][-1])
        return document.issue((*whole, word), f"`{word}` is required")
    if kind in {"literal_error", "enum"}:
        return _choice(detail, whole, document)
    return document.issue(whole, sentence(detail))


def _choice(detail: ErrorDetails, whole: Path, document: Document) -> FieldError:
    expected = str(detail.get("ctx", {}).get("expected", ""))
    options = [part.strip().strip("'") for part in expected.replace(" or ", ", ").split(", ")]
    near = did_you_mean(str(detail["input"]), options)
    listed = ", ".join(f"`{option}`" for option in options)
    message = f"{_shown(detail['input'])} is not known here; must be {'one of ' if len(options) > 1 else ''}{listed}"
    return document.issue(whole, message + (f"; did you mean `{near}`?" if near else ""), suggestion=near)


def sentence(detail: ErrorDetails) -> str:
    """Return what pydantic found as a plain sentence."""
    wanted = _KINDS.get(detail["type"])
    if wanted is not None:
        return f"must be {wanted}, not {_shown(detail['input'])}"
    context = detail.get("ctx", {})
    bounds: dict[str, Callable[[], str]] = {
        "greater_than_equal": lambda: f"must be at least {context['ge']}",
        "greater_than": lambda: f"must be more than {context['gt']}",
        "less_than_equal": lambda: f"must be at most {context['le']}",
        "less_than": lambda: f"must be less than {context['lt']}",
        "string_too_short": lambda: f"must have at least {context['min_length']} characters",
        "string_too_long": lambda: f"must have at most {context['max_length']} characters",
        "too_short": lambda: f"must have at least {context['min_length']} entries",
        "too_long": lambda: f"must have at most {context['max_length']} entries",
        "string_pattern_mismatch": lambda: f"{_shown(detail['input'])} is not allowed; a name has {_NAME_RULE}",
    }
    if detail["type"] in bounds:
        return bounds[detail["type"]]()
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return message[:1].lower() + message[1:] if message.startswith("Input should") else message


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    return f"`{text if len(text) <= 60 else text[:57] + '…'}`"  # noqa: PLR2004 -- a line's worth


def _at(value: Any, path: Path) -> Any:
    for step in path:
        if not isinstance(value, dict) or step not in value:
            return None
        value = value[step]
    return value


def _real_path(value: Any, location: tuple[str | int, ...]) -> Path:
    """Return the part of pydantic's location that exists in the value; union tags and the missing key are left out."""
    path: list[str | int] = []
    for step in location:
        is_key = isinstance(value, dict) and step in value
        is_index = isinstance(value, list) and isinstance(step, int) and step < len(value)
        if is_key or is_index:
            value = value[step]
            path.append(step)
    return tuple(path)


def models_at(model: type[BaseModel], path: Path) -> list[type[BaseModel]]:
    """Return the models that may stand at `path` inside `model`."""
    here: list[Any] = [model]
    for step in path:
        here = [inner for part in here for inner in _step(part, step)]
    return [part for part in here if isinstance(part, type) and issubclass(part, BaseModel)]


def _step(annotation: Any, step: str | int) -> Iterator[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            if step in {name, field.alias, *aliases(field.validation_alias)}:
                yield from _members(field.annotation)
        return
    arguments = get_args(annotation)
    if arguments:
        yield from _members(arguments[-1] if arguments[-1] is not Ellipsis else arguments[0])


def _members(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin in {typing.Union, types.UnionType}:
        for argument in get_args(annotation):
            yield from _members(argument)
    elif origin is typing.Annotated:
        yield from _members(get_args(annotation)[0])
    else:
        yield annotation
