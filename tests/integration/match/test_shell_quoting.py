"""Values filled into commands reach the program unchanged, in real shells, at every place that is allowed."""

import shutil
import subprocess
import sys

import pytest

from workflow_scheduler.core.match import template

SHELLS = [path for name in ("sh", "bash", "dash", "zsh") if (path := shutil.which(name))]
VALUES = [
    "plain", "", "two words", "a'b", 'a"b', "$(echo pwned)", "`echo pwned`", "$HOME ${HOME}", "a\\", "\\", "\\'", '\\"',
    "x; echo pwned", "x && echo pwned", "x | cat", "x > /dev/null", "*", "~", "!!", "#x", "'\"'\"'",
    "new\nline", "tab\tx",
    "é ☃", "-n", "a\\nb", "$'x'", "((1))", "{a,b}", "'; echo pwned; '", '"; echo pwned; "', "$((1+1))", "%s",
]  # fmt: skip
PRINT = f"{sys.executable} -c 'import sys; sys.stdout.write(sys.argv[1])'"
PLACES = [
    "${input.v}",
    '"${input.v}"',
    "'${input.v}'",
    'pre"${input.v}"post',
    "pre${input.v}post",
    "'pre${input.v}post'",
]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("place", PLACES)
def test_the_program_gets_the_value_as_it_is(shell, place):
    parts = [template.parse({"command": f"{PRINT} {place}; printf '\\0'"}, "f", shell_fields=("command",))] * len(
        VALUES
    )
    script = "\n".join(
        part.render({"input": {"v": value}})["command"] for part, value in zip(parts, VALUES, strict=True)
    )
    done = subprocess.run([shell, "-c", script], capture_output=True, check=True)
    around = ("pre", "post") if "pre" in place else ("", "")
    assert done.stdout.decode().split("\0")[:-1] == [value.join(around) for value in VALUES]


@pytest.mark.parametrize("shell", SHELLS)
def test_inside_a_command_substitution(shell):
    command = template.parse({"command": f'printf %s "$({PRINT} ${{input.v}})x"'}, "f", shell_fields=("command",))
    for value in VALUES:
        if value.endswith("\n"):
            continue
        script = command.render({"input": {"v": value}})["command"]
        done = subprocess.run([shell, "-c", script], capture_output=True, check=True)
        assert done.stdout.decode() == value + "x"
