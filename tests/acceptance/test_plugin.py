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
        cwd=project, env={**os.environ, "PYTHONPATH": str(target)}, capture_output=True, text=True, timeout=120,
        check=False,
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
