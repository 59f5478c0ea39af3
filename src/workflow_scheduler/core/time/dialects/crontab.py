"""crontab files of cron(8): Vixie cron and cronie.

Their clock rules are ours: a fixed time in a gap runs right after it, in a fold once; expressions with `*` in minute or
hour follow real time. Times are in the zone of the host, or in that of a `CRON_TZ` line above the entry.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import msgspec
import re2

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.time import cron, zone
from workflow_scheduler.core.time.dialects.entry import Imported, Names, Rules, Unread, because, literal, single

_SETTING = re2.compile(r"""^\s*["']?([A-Za-z_][A-Za-z0-9_]*)["']?\s*=\s*(.*)$""")
_FIELDS = 5
_COMMAND_NOT_RUN = frozenset({"MAILTO", "MAILFROM", "CRON_TZ", "SHELL", "LOGNAME", "HOME", "CRON_WITHIN"})


def entries(text: str, timezone: str, *, system: bool = False) -> Iterator[Imported | Unread]:
    """Yield the entries of a crontab; `timezone` is that of the host, `system` says that lines name a user.

    Raises:
        ValidationFailed: `timezone` is not an IANA name.

    """
    zone.load(timezone)
    names = Names()
    settings: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        setting = _SETTING.match(stripped)
        if setting is not None:
            settings[setting.group(1)] = setting.group(2).strip().strip("\"'")
            continue
        yield msgspec.structs.replace(_entry(stripped, settings, names, (timezone, system)), line=number)


def _entry(line: str, settings: dict[str, str], names: Names, terms: tuple[str, bool]) -> Imported | Unread:
    place, system = settings.get("CRON_TZ") or terms[0], terms[1]
    many = (1 if line.startswith("@") else _FIELDS) + system
    parts = line.split(None, many)
    if len(parts) <= many:
        return Unread(line, "the line has too few fields, or no command")
    expression = " ".join(parts[: many - system])
    try:
        parsed = cron.parse(expression)
        zone.load(place)
    except ValidationFailed as error:
        return Unread(line, because(error))
    command, given = _split(parts[many])
    words = command.split()
    notes = _notes(settings, parts[many - 1] if system else None)
    if given is not None:
        command = f"printf '%s\\n' {shlex.quote(given)} | ( {command} )"
        notes.append("the text after `%` is given on standard input")
    variables = {name: literal(value) for name, value in settings.items() if name not in _COMMAND_NOT_RUN}
    job = {"run": literal(command)} | ({"env": variables} if variables else {})
    trigger = {"type": "cron", "cron": parsed.expression, "timezone": place}
    return Imported(names.of(words[0].rpartition("/")[2] if words else ""), line, trigger, single(job), Rules(), notes)


def _split(text: str) -> tuple[str, str | None]:
    r"""Return the command and what it is given on standard input: `%` ends it, `\%` is a percent sign."""
    parts = text.replace("\\%", "\0").split("%")
    lines = [part.replace("\0", "%") for part in parts]
    return lines[0], "\n".join(lines[1:]) if len(lines) > 1 else None


def _notes(settings: dict[str, str], user: str | None) -> list[str]:
    found = [f"it ran as user `{user}`; jobs run as the user of the service"] if user else []
    if settings.get("SHELL", "/bin/sh") not in {"/bin/sh", "sh"}:
        found.append(f"it ran in {settings['SHELL']}")
    if settings.get("MAILTO"):
        found.append(f"its output went to {settings['MAILTO']} by mail; here it is kept in the run's log")
    return found
