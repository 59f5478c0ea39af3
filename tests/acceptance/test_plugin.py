"""The template of a plug-in, built and installed beside the program as a user would do it, without a network."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

TEMPLATE = Path(__file__).parents[2] / "examples" / "plugin"
BUILD = "from setuptools import build_meta; import sys; print(build_meta.build_wheel(sys.argv[1]))"
FLOW = """
version: 1
name: tell-about-outages
triggers:
  github: {type: statuspage, url: "https://www.githubstatus.com", impact: major}
jobs:
  text: {uses: incident_text, with: {incident: "${event.data}"}}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the installed plug-in, and a copy of its project beside it."""
    folder = tmp_path_factory.mktemp("plugin")
    project, wheels, target = folder / "project", folder / "wheels", folder / "installed"
    shutil.copytree(TEMPLATE, project, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"))
    wheels.mkdir()
    subprocess.run([sys.executable, "-c", BUILD, str(wheels)], cwd=project, check=True, capture_output=True)
    (wheel,) = wheels.iterdir()
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(target)
    return target, project


def test_its_own_tests_pass_once_it_is_installed(installed):
    target, project = installed
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests"],
        cwd=project, env={**os.environ, "PYTHONPATH": str(target), "PYTEST_ADDOPTS": ""}, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_definitions_may_name_its_types(installed, command, tmp_path):
    target, _ = installed
    (tmp_path / "flow.yaml").write_text(FLOW)
    shown = command("trigger", "types", "statuspage", cwd=tmp_path, PYTHONPATH=str(target))
    assert "Incidents with less impact start nothing." in shown.out
    assert command("validate", "flow.yaml", cwd=tmp_path, PYTHONPATH=str(target)).code == 0
    absent = command("validate", "flow.yaml", cwd=tmp_path)
    assert absent.code == 1
    assert "statuspage" in absent.out + absent.err


WHOLE = """
from workflow_scheduler.triggers import kafka as k
name, shape = {names}
title, icon, since, extras, examples = "t", "i", "1.0", "", ()
Config, index_keys, matches, open, source_key = k.Config, k.index_keys, k.matches, k.open, k.source_key
"""


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import no_such_library", "cannot be loaded: ModuleNotFoundError: No module named 'no_such_library'"),
        ("name = 'half'", "has no `title`, `icon`, `shape`, `since`, `extras`, `Config`, `examples`"),
        (WHOLE.format(names=("odd", "round")), "has the shape `round`"),
        (WHOLE.format(names=("kafka", "stream")),
         "two plug-ins are named `kafka`: workflow_scheduler.triggers.kafka and broken_plugin"),
    ],
)  # fmt: skip
def test_a_plugin_that_is_not_whole_is_named(code, says, command, tmp_path):
    info = tmp_path / "broken_plugin-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[workflow_scheduler.triggers]\nhalf = broken_plugin\n")
    (tmp_path / "broken_plugin.py").write_text(code)
    for arguments in (("trigger", "types"), ("up", "--port", "0", "--data", str(tmp_path / "data"))):
        done = command(*arguments, cwd=tmp_path, PYTHONPATH=str(tmp_path))
        assert done.code != 0
        assert says in done.err
        assert "Traceback" not in done.err
        if "two plug-ins" not in says:
            assert "the plug-in `half` (broken_plugin) of the package broken-plugin 1.2" in done.err
