"""The files of the project, parsed once, and the list of exceptions."""

import ast
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Project:
    """The tracked files below the root."""

    def __init__(self, root):
        self.root = root

    @cache  # noqa: B019 -- lives as long as the session
    def files(self):
        """Return the paths of all text files that belong to the project, relative to the root."""
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        return tuple(name for name in listed if (self.root / name).is_file())

    @cache  # noqa: B019 -- lives as long as the session
    def text(self, name):
        """Return the text of a file, or an empty one for binary files."""
        try:
            return (self.root / name).read_text()
        except UnicodeDecodeError:
            return ""

    def python(self, *folders):
        """Return the Python files in the folders."""
        return [name for name in self.files() if name.endswith(".py") and name.startswith(folders)]

    @cache  # noqa: B019 -- lives as long as the session
    def tree(self, name):
        """Return the syntax tree of a Python file."""
        return ast.parse(self.text(name))


@pytest.fixture(scope="session")
def project():
    return Project(ROOT)


@pytest.fixture(scope="session")
def exceptions():
    """Return the allowed places by the name of the rule."""
    return tomllib.loads((ROOT / "tests/tidy/exceptions.toml").read_text())


@pytest.fixture
def allowed(exceptions):
    """Give a function that takes a rule and the places that break it; it fails for new and for needless exceptions."""

    def check(rule, broken):
        given = exceptions.get(rule, {})
        assert sorted(set(broken) - set(given)) == [], f"these break the rule `{rule}`"
        assert sorted(set(given) - set(broken)) == [], f"these exceptions of `{rule}` are not needed any more"

    return check
