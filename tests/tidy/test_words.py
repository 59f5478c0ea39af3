"""What no file says: unfinished work, machines, registries."""

import re

import pytest

SELF = "tests/tidy/test_words.py"
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b(?!.*#\d+)")
MACHINE = re.compile(r"(?<![\w.$}])/(?:work|home|root|Users)/\w")
REGISTRIES = re.compile("|".join(("py" + r"pi\.org", "python" + "hosted", r"npm" + r"js\.org", "proxy" + r"\.golang")))
VAGUE = ("manager", "helper", "helpers", "util", "utils", "common", "handler", "processor", "misc")


def places(project, pattern, leave_out=()):
    return [
        f"{name}:{number}"
        for name in project.files()
        if name not in leave_out and name != SELF
        for number, line in enumerate(project.text(name).splitlines(), 1)
        if pattern.search(line)
    ]


def test_unfinished_work_names_its_issue(project):
    assert places(project, UNFINISHED, {"LICENSE", "uv.lock"}) == []


def test_no_paths_of_a_machine(project):
    assert places(project, MACHINE, {"uv.lock"}) == []


def test_no_hosts_of_registries(project):
    assert places(project, REGISTRIES, {"uv.lock"}) == []


def test_modules_are_named_after_what_they_are(project):
    names = [name.rsplit("/", 1)[-1].removesuffix(".py") for name in project.python("src")]
    assert [name for name in names if set(name.split("_")) & set(VAGUE)] == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "uv.lock", "Makefile"])
def test_the_project_has_its_papers(project, name):
    assert len(project.text(name)) > 500
