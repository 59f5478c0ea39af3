r"""How a value must be quoted where it is filled into a shell command.

`run: deploy ${input.branch}` must never let a branch called `x; rm -rf /` become two commands. A value is therefore
written according to the place it stands in, which this scanner finds by reading the command's own text as a POSIX
shell would:

=====================  ========================================================
place                  the value is written
=====================  ========================================================
bare: `cmd ${x}`       as one single-quoted word
in `"…"`               with a backslash before ``\ " $ ` ``
in `'…'`               with every quote as `'\''`
=====================  ========================================================

Places where no quoting is safe are refused when the workflow is saved: after a backslash, in back-quotes, in
`$'…'`, in arithmetic `$((…))`, in a comment, in a here-document, and inside `${…}` of the shell itself. There, and
for text that another program will interpret once more (`bash -c`, `ssh`, `eval`), hand the value over in `env:` and
use it as `"$NAME"`. A value that begins with `-` stays one word, but the program may take it for an option: write
`--` before it.
"""

from __future__ import annotations

import shlex
from enum import Enum

_DOUBLE = str.maketrans({"\\": "\\\\", '"': '\\"', "$": "\\$", "`": "\\`"})


class Place(Enum):
    """Where in a shell command a value stands."""

    BARE = "bare"
    DOUBLE = "double"
    SINGLE = "single"


def quote(text: str, place: Place) -> str:
    """Return `text` so that the shell takes it as it is at this place; NUL cannot be passed and is dropped."""
    text = text.replace("\0", "")
    if place is Place.BARE:
        return shlex.quote(text)
    if place is Place.DOUBLE:
        return text.translate(_DOUBLE)
    return text.replace("'", "'\\''")


class Scanner:
    """Reads the literal parts of a command in order; `place()` tells where the next value would stand."""

    def __init__(self) -> None:
        """Begin before the command's first character."""
        self._stack = ["bare"]
        self._escaped = False
        self._comment = False
        self._here = False
        self._previous = "\n"

    def feed(self, text: str) -> None:
        """Read on through literal text."""
        place = 0
        while place < len(text):
            place += self._step(text, place)

    def place(self) -> Place:
        """Return the place of a value here.

        Raises:
            ValueError: no quoting is safe here; the text says where that is.

        """
        top = self._stack[-1]
        refused = {
            "backquote": "in back-quotes",
            "ansi": "in $'…'",
            "arithmetic": "in arithmetic $((…))",
            "brace": "inside the shell's own ${…}",
        }
        where = refused.get(top)
        if self._escaped:
            where = "after a backslash"
        elif self._comment:
            where = "in a comment"
        elif self._here:
            where = "after a here-document `<<`"
        elif "backquote" in self._stack:
            where = "in back-quotes"
        elif any(outer in self._stack for outer in ("arithmetic", "brace")):
            where = where or "inside $((…)) or the shell's own ${…}"
        if where is not None:
            message = f'a value cannot be filled in {where}; hand it over in `env` and write "$NAME"'
            raise ValueError(message)
        self._previous = "x"
        return {"bare": Place.BARE, "paren": Place.BARE, "double": Place.DOUBLE, "single": Place.SINGLE}[top]

    def _step(self, text: str, at: int) -> int:
        """Read one token and return its length."""
        char, top = text[at], self._stack[-1]
        length = 1
        if self._escaped:
            self._escaped = False
        elif self._comment:
            self._comment = char != "\n"
        elif top == "single":
            self._close(char == "'")
        elif char == "\\":
            self._escaped = True
        elif top == "ansi":
            self._close(char == "'")
        elif char == "`":
            self._toggle("backquote")
        elif char == "$":
            length = self._dollar(text, at)
        elif top == "double":
            self._close(char == '"')
        else:
            self._bare(text, at, top)
        self._previous = text[at + length - 1]
        return length

    def _bare(self, text: str, at: int, top: str) -> None:
        char = text[at]
        if char == "'":
            self._stack.append("single")
        elif char == '"':
            self._stack.append("double")
        elif char == "(":
            self._stack.append("arithmetic" if top == "arithmetic" or text.startswith("((", at) else "paren")
        elif char == ")":
            self._close(top in {"paren", "arithmetic"})
        elif char == "}":
            self._close(top == "brace")
        elif char == "#" and self._previous in " \t\n;&|()" and top != "brace":
            self._comment = True
        elif char == "<" and top != "arithmetic" and text.startswith("<<", at):
            self._here = self._previous != "<" and not text.startswith("<<<", at)

    def _dollar(self, text: str, at: int) -> int:
        for opening, kind in (("$((", "arithmetic"), ("$[", "arithmetic"), ("$(", "paren"), ("${", "brace")):
            if text.startswith(opening, at):
                self._stack.append(kind)
                if opening == "$((":
                    self._stack.append(kind)
                return len(opening)
        if text.startswith("$'", at) and self._stack[-1] != "double":
            self._stack.append("ansi")
            return 2
        return 1

    def _close(self, closes: bool) -> None:
        if closes and len(self._stack) > 1:
            self._stack.pop()

    def _toggle(self, kind: str) -> None:
        if self._stack[-1] == kind:
            self._stack.pop()
        else:
            self._stack.append(kind)
