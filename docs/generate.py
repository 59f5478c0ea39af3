"""Writes the reference pages that can be made from the code: `make docs`. A tidy test compares them with the code.

`python docs/generate.py` writes; `python docs/generate.py --check` names the pages that are stale.
"""

from __future__ import annotations

import inspect
import itertools
import json
import keyword
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import typer.main
from pydantic import SecretStr

from workflow_scheduler.api.application import resources
from workflow_scheduler.app import job_types, trigger_types
from workflow_scheduler.app.capabilities import capability_table
from workflow_scheduler.cli.exits import Exit
from workflow_scheduler.cli.root import app
from workflow_scheduler.core import errors, reasons
from workflow_scheduler.core.dag.conditions import COUNTS
from workflow_scheduler.core.dag.run_if import NEVER_WITHOUT_NEEDS, RULES, Upstream
from workflow_scheduler.core.definition.problems import aliases
from workflow_scheduler.core.definition.schema import config_schema
from workflow_scheduler.core.definition.trigger_check import SharedKeys
from workflow_scheduler.core.model.workflow import Concurrency, Definition, Job, Retry
from workflow_scheduler.services.trigger_catalogue import catalogue
from workflow_scheduler.settings import Settings
from workflow_scheduler.telemetry import metrics

REFERENCE = Path(__file__).parent / "reference"
MADE = "<!-- Made from the code by `make docs`; change the code, not this page. -->"
_COMMENT = re.compile(r'^    [A-Z_]+ = "([a-z_]+)"  # (.+)$', re.MULTILINE)
_METHODS = ("get", "post", "put", "delete")


def page(title: str, *parts: str) -> str:
    """Return a page with the mark of generated pages."""
    return "\n\n".join([MADE, f"# {title}", *(part.strip() for part in parts if part.strip())]) + "\n"


def cell(value: Any) -> str:
    """Return a value as the text of a table's cell."""
    return " ".join(str(value).split()).replace("|", "\\|")


def table(head: tuple[str, ...], rows: Iterator[tuple[Any, ...]] | list[tuple[Any, ...]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def json_block(value: Any) -> str:
    """Return a value as a JSON block."""
    return "```json\n" + msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n```"


def settings_page() -> str:
    """Return the page of settings."""
    rows = []
    for field in Settings.model_fields.values():
        default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        shown = f"`{default}`" if str(default) else "empty"
        rows.append((f"`{field.validation_alias}`", shown, field.description))
    text = "Environment variables, or lines of a `.env` file in the working directory. Nothing is required."
    return page("Settings", text, table(("name", "default", "meaning"), rows))


def fields_table(schema: Mapping[str, Any]) -> str:
    """Return the fields of a JSON Schema as a table."""
    required = set(schema.get("required", ()))
    rows = []
    for name, part in schema.get("properties", {}).items():
        default = "required" if name in required else f"`{msgspec.json.encode(part.get('default')).decode()}`"
        rows.append((f"`{name}`", default, part.get("description") or part.get("title", "")))
    return table(("field", "default", "meaning"), rows) if rows else "It has no fields."


def trigger_types_page() -> str:
    """Return the page of trigger types."""
    parts = ["`workflow-scheduler trigger types NAME` shows the same. Each trigger may also have:"]
    parts.append(fields_table(SharedKeys.model_json_schema()))
    for one in catalogue(trigger_types()):
        parts += [f"## `{one['name']}`: {one['title']}", one["documentation"], fields_table(one["schema"])]
        for example in one["examples"]:
            parts += [f"Example: {example['title']}.", json_block(example["config"])]
    return page("Trigger types", *parts)


def job_types_page() -> str:
    """Return the page of job types."""
    parts = ["`uses` names the type and `with` configures it. `${…}` in a value holds a CEL expression."]
    for name, module in sorted(job_types().items()):
        allowance = "Needs `WFS_ALLOW_CODE=true`." if module.needs_code_allowance else ""
        parts += [f"## `{name}`: {module.title}", inspect.getdoc(module) or "", allowance]
        parts += [fields_table(config_schema(module.Config)), "Examples of `with`:"]
        parts += [json_block(example) for example in module.examples]
    return page("Job types", *parts)


def definition_page() -> str:
    """Return the page of the definition file."""
    parts = [
        (
            "YAML 1.2 or JSON. `workflow-scheduler schema` prints the JSON Schema, which the service also serves at"
            " `/schemas/workflow/v1.json`; `workflow-scheduler validate FILE` names every mistake with line and column."
        ),
        "Durations are `90s`, `15m`, `2h`, `7d`. Unknown keys are errors.",
        "```yaml\n" + (Path(__file__).parents[1] / "examples" / "ci.yaml").read_text().strip() + "\n```",
    ]
    kinds = (("The workflow", Definition), ("A job", Job), ("`retry` of a job", Retry), ("`concurrency`", Concurrency))
    for title, kind in kinds:
        parts += [f"## {title}", fields_table(kind.model_json_schema(by_alias=True))]
    parts.append("See also [trigger types](trigger-types.md) and [job types](job-types.md).")
    return page("Definition file", *parts)


def run_if_page() -> str:
    """Return the truth tables of `run_if` and of the conditions of needs."""
    ends = ("succeeded", "failed", "skipped", "allowed")
    rows = []
    for there in itertools.product((1, 0), repeat=len(ends)):
        up = Upstream(*there)
        shown = ["yes" if one else "no" for one in there]
        rows.append((*shown, *("runs" if rule(up) else "skipped" for rule in RULES.values())))
    rows[-1] = (*rows[-1][:4], *("refused" if name in NEVER_WITHOUT_NEEDS else "runs" for name in RULES))
    counted = [(f"`{name}`", *(ends[kind] for kind in kinds)) for name, kinds in COUNTS.items()]
    parts = [
        "A job runs when its `run_if` holds for the ends of the jobs that it needs, and its `if` is true.",
        (
            "A job that is needed has succeeded; has failed (also when it was cancelled, or skipped because something"
            " before it failed); was skipped for another reason (its `if` was false, or it handles a failure that never"
            " came); or has failed with `allow_failure`, which is an allowed failure."
        ),
        "Whether a rule holds depends only on which ends there are among the needed jobs, not on how many of each:",
        table((*ends, *(f"`{name}`" for name in RULES)), rows),
        (
            "The last line is a job without `needs`. A skipped job whose rule wants success counts as failed for the"
            " jobs after it when something before it failed, so that a failure reaches a handler at the end of a chain."
        ),
        "## `condition` of a need",
        (
            "With `needs: [{job: a, condition: on_failure}]` the end of `a` counts as another one; `run_if` is then"
            " `all_success`. `on_success` is the same as the name alone."
        ),
        table(("condition", *(f"{end} counts as" for end in ends)), counted),
    ]
    return page("When a job runs", *parts)


def reasons_page() -> str:
    """Return the page of outcomes and reason codes."""
    known = dict(_COMMENT.findall(inspect.getsource(reasons)))
    rows = [(f"`{one.value}`", known[one.value]) for one in reasons.Reason]
    outcomes = ", ".join(f"`{one.value}`" for one in reasons.Outcome)
    text = f"Every decision about an event and a trigger has one outcome and one reason. The outcomes: {outcomes}."
    return page("Reasons", text, table(("code", "meaning"), rows))


def problems_page() -> str:
    """Return the page of error codes."""
    rows = []
    waiting: list[type[errors.SchedulerError]] = [errors.SchedulerError]
    while waiting:
        kind = waiting.pop(0)
        if not kind.__module__.startswith("workflow_scheduler.core"):
            continue
        text = (kind.__doc__ or "").strip().split("\n")[0]
        rows.append((f"`{kind.code}`", kind.status, "yes" if kind.retryable else "no", text))
        waiting += sorted(kind.__subclasses__(), key=lambda one: one.code)
    text = "Errors are RFC 9457 problem documents: `{type, title, status, detail, code, fix, errors}`."
    return page("Problems", text, table(("code", "status", "try again", "meaning"), rows))


def metrics_page() -> str:
    """Return the page of metrics."""
    families = sorted(metrics.Metrics().collect(), key=lambda one: one.name)
    rows = []
    for family in families:
        name = family.name + ("_total" if family.type == "counter" else "")
        rows.append((f"`{name}`", family.type, ", ".join(getattr(family, "_labelnames", ())), family.documentation))
    return page("Metrics", "Served at `/metrics` for Prometheus.", table(("metric", "kind", "labels", "meaning"), rows))


def http_page() -> str:
    """Return the summary of the HTTP API."""
    context: Any = None
    document = resources(context).openapi()
    rows = []
    for path in sorted(document["paths"]):
        for method in _METHODS:
            operation = document["paths"][path].get(method)
            if operation is not None:
                rows.append((method.upper(), f"`{path}`", operation.get("summary", "")))
    text = "The whole document is at `/openapi.json`, readable at `/docs`. Lists are `{items, next}`; errors are"
    return page("HTTP API", f"{text} [problems](problems.md).", table(("method", "path", "what"), rows))


def commands(command: Any, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command below a group."""
    for name, below in command.commands.items():
        if hasattr(below, "commands"):
            yield from commands(below, (*names, name))
        else:
            yield (*names, name), below


def cli_page() -> str:
    """Return the page of the command line."""
    parts = [
        "`workflow-scheduler`, or short `wfs`. Data goes to standard output, messages to standard error.",
        (
            "`--server ADDRESS` (or `WFS_SERVER`) names the service, `WFS_API_KEY` holds the key. `--json` gives one"
            " JSON object, `--jsonl` one on each line. All three may stand before or after the command."
        ),
        "## Exit codes",
        table(("code", "name"), [(one.value, one.name.lower().replace("_", " ")) for one in Exit]),
    ]
    for names, command in commands(typer.main.get_command(app), ()):
        arguments = [one for one in command.params if one.param_type_name == "argument"]
        usage = " ".join(["workflow-scheduler", *names, *(one.metavar or one.name.upper() for one in arguments)])
        parts += [f"## `{' '.join(names)}`", command.help or "", f"```\n{usage}\n```"]
        rows = [
            (", ".join(f"`{flag}`" for flag in one.opts), getattr(one, "help", "") or "")
            for one in command.params
            if one.param_type_name == "option" and one.name != "help"
        ]
        if rows:
            parts.append(table(("option", "meaning"), rows))
    return page("Command line", *parts)


def engines_page() -> str:
    """Return the page of engines, from their own words."""
    names, rows = capability_table()
    return page("Engines", "Which to choose: [engines](../how-to/engines.md).", table(("", *names), rows))


PAGES: dict[str, Callable[[], str]] = {
    "cli.md": cli_page,
    "definition.md": definition_page,
    "http-api.md": http_page,
    "job-types.md": job_types_page,
    "metrics.md": metrics_page,
    "problems.md": problems_page,
    "reasons.md": reasons_page,
    "run-if.md": run_if_page,
    "settings.md": settings_page,
    "trigger-types.md": trigger_types_page,
    "engines.md": engines_page,
}


CLIENT = "../../src/workflow_scheduler/client/triggers"
_CLASSES = {"workflow": "Upstream", "github": "GitHub", "rrule": "RRule"}


def client_class(name: str) -> str:
    """Return the name of the class that stands for a trigger type in the Python client."""
    return _CLASSES.get(name) or "".join(word.capitalize() for word in name.split("_"))


def annotation(schema: Mapping[str, Any]) -> str:
    """Return the type of a field as the client writes it."""
    parts: list[str] = []
    if "enum" in schema or "const" in schema:
        choices = schema.get("enum", [schema.get("const")])
        parts.append(f"Literal[{', '.join(json.dumps(choice) for choice in choices)}]")
    elif "anyOf" in schema:
        parts += [annotation(part) for part in schema["anyOf"]]
    elif schema.get("type") == "array":
        parts.append(f"Sequence[{annotation(schema.get('items', {}))}]")
    else:
        kinds = schema.get("type", "any" if "$ref" not in schema else "object")
        parts += [_TYPES[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    words = list(dict.fromkeys(word for part in parts for word in part.split(" | ")))
    words.sort(key=lambda word: word == "None")
    return "Any" if "Any" in words else " | ".join(words)


_TYPES = {
    "string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None",
    "object": "Mapping[str, Any]", "any": "Any",
}  # fmt: skip


def client_module(module: Any) -> str:
    """Return the module of the client that holds the class of one trigger type."""
    schema = config_schema(module.Config)
    shared = set(SharedKeys.model_fields)
    whole = {**schema.get("properties", {}), **getattr(module, "short_fields", {})}
    fields = {name: part for name, part in whole.items() if not part.get("deprecated") and name not in shared}
    needed = {aliases(part.validation_alias)[0] if part.validation_alias else name
              for name, part in module.Config.model_fields.items() if part.is_required()}  # fmt: skip
    first = [name for name in fields if name in needed and annotation(fields[name]).startswith(("str", "float"))]
    lines = [f"    {name}: {annotation(fields[name])}" for name in first] + ["    _: KW_ONLY"]
    for name, part in fields.items():
        if name not in first:
            own = f"{name}_" if keyword.iskeyword(name) else name
            kind = annotation(part)
            plain, none = kind.removesuffix(" | None"), " | None" if kind.endswith(" | None") else ""
            open_ = kind if kind == "Any" else f"{plain} | UnsetType{none}"
            lines.append(f"    {own}: {kind}" if name in needed else f"    {own}: {open_} = UNSET")
    told = [f"        {name}: {_sentence(part)}" for name, part in fields.items()]
    text = "\n".join(
        [
            f'"""Made from the trigger type `{module.name}` by `make docs`; change the type, not this file."""', "",
            "from __future__ import annotations", "", *_imports(lines), "",
            "from workflow_scheduler.client.trigger import Trigger", "", "",
            "@dataclass(frozen=True)", f"class {client_class(module.name)}(Trigger):",
            f'    """{_first_sentence(module)}', "",
            *(["    Attributes:", *told, ""] if told else []), '    """', "",
            f'    type: ClassVar[str] = "{module.name}"', *(lines if fields else []), "",
        ]
    )  # fmt: skip
    return formatted(text)


def _first_sentence(module: Any) -> str:
    text = " ".join(inspect.cleandoc(module.__doc__).split("\n\n")[0].split())
    return text.split(". ")[0].rstrip(".") + "."


def _sentence(part: Mapping[str, Any]) -> str:
    text = " ".join(str(part.get("description") or part.get("title") or "").split())
    return text if len(text) <= 95 else textwrap.shorten(text, 95, placeholder=" …")  # noqa: PLR2004 -- a line


def _imports(lines: list[str]) -> list[str]:
    used = "\n".join(lines)
    words = {"collections.abc": ("Mapping", "Sequence"), "dataclasses": ("KW_ONLY",), "typing": ("Any", "Literal")}
    always = {"dataclasses": ("dataclass",), "typing": ("ClassVar",)}
    found = []
    for source, names in words.items():
        wanted = sorted({*always.get(source, ()), *(name for name in names if name in used and len(lines) > 1)})
        if wanted:
            wanted = sorted(wanted, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
            found.append(f"from {source} import {', '.join(wanted)}")
    return found + (["", "from msgspec import UNSET, UnsetType"] if "UNSET" in used else [])


def client_names() -> str:
    """Return the module that names all classes of the client's triggers."""
    modules = {client_class(name): name for name in trigger_types()}
    names = sorted(modules, key=lambda name: (not name.isupper(), name))
    lines = [f"from workflow_scheduler.client.triggers.{modules[name]} import {name}" for name in names]
    text = [
        '"""One class for each trigger type, made from the installed types by `make docs`."""', "",
        *sorted(lines), "", f"__all__ = {tuple(names)}", "",
    ]  # fmt: skip
    return formatted("\n".join(text))


def formatted(text: str) -> str:
    """Return Python source as the project formats it."""
    command = [sys.executable, "-m", "ruff", "format", "--line-length", "120", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout  # noqa: S603


PAGES |= {f"{CLIENT}/{name}.py": partial(client_module, module) for name, module in trigger_types().items()}
PAGES[f"{CLIENT}/__init__.py"] = client_names


def stale() -> list[str]:
    """Return the names of pages that differ from the code."""
    found = []
    for name, make in PAGES.items():
        file = REFERENCE / name
        if not file.is_file() or file.read_text() != make():
            found.append(name)
    return found


def main() -> int:
    """Write all pages, or name those that are stale."""
    if "--check" in sys.argv[1:]:
        names = stale()
        if names:
            sys.stderr.write(f"stale: {', '.join(names)}; run `make docs`\n")
        return 1 if names else 0
    REFERENCE.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        (REFERENCE / name).parent.mkdir(exist_ok=True)
        (REFERENCE / name).write_text(make())
    return 0


if __name__ == "__main__":
    sys.exit(main())
