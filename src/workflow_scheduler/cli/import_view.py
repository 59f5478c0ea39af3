"""What an import found: definitions as YAML, in files or on standard output, and what was lost on the way."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import typer

from workflow_scheduler.cli import output

_SHOWN = 20


def as_yaml(definitions: list[dict[str, Any]]) -> str:
    """Return definitions as the documents of one YAML text."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    text = io.StringIO()
    yaml.dump_all(definitions, text)
    return text.getvalue()


def save(items: list[dict[str, Any]], folder: Path) -> None:
    """Write one file for each entry; a file that is there already is left alone.

    Raises:
        BadParameter: a file exists, or the folder cannot be written.

    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for item in items:
            with (folder / f"{item['name']}.yaml").open("x", encoding="utf-8") as file:
                file.write(as_yaml([item["definition"]]))
    except FileExistsError as error:
        raise typer.BadParameter(f"{error.filename} exists; choose another --out") from None
    except OSError as error:
        raise typer.BadParameter(f"cannot write to {folder}: {error.strerror}") from None


def tell(result: dict[str, Any], *, written: bool) -> None:
    """Write the definitions, unless they were `written` to files, and what there is to say about each."""
    if not written and result["items"]:
        output.write(as_yaml([item["definition"] for item in result["items"]]).rstrip())
    for item in result["items"]:
        output.note(f"{item['name']}: {item['source']}")
        for text in item["notes"]:
            output.note(f"  note: {text}")
        for one in item["lost"]:
            output.note(f"  lost: {_place(one)}{one['path']}: {one['message']}")
        differing = item["differences"]
        for one in differing[:_SHOWN]:
            output.note(f"  {one['note']} ({one['timezone']})")
        more = len(differing) - _SHOWN
        if more > 0:
            output.note(f"  and {more}{'' if item['complete'] else ' or more'} others; --json lists them")
    for one in result["unread"]:
        output.note(f"not imported: {_place(one)}{one['source']}: {one['message']}")
    total = sum(len(item["differences"]) for item in result["items"])
    lost = sum(len(item["lost"]) for item in result["items"])
    output.note(
        f"{len(result['items'])} imported, {len(result['unread'])} not; {total} occurrences differ in five years"
        + (f"; {lost} things could not be expressed" if lost else "")
    )


def _place(one: dict[str, Any]) -> str:
    return "" if one["line"] is None else f"line {one['line']}: "
