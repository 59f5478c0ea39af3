"""The pytest plug-in: the fixture `workflow_test`. pytest loads it everywhere: it imports the service on use only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from workflow_scheduler.testing.workflows import WorkflowTest


@pytest.fixture
def workflow_test(tmp_path: Path) -> Callable[..., WorkflowTest]:
    """What makes a WorkflowTest in the folder of the test, to be entered with `async with`."""
    from workflow_scheduler.testing.workflows import WorkflowTest as Kit

    made: list[Path] = []

    def make(*workflows: Any, **options: Any) -> WorkflowTest:
        made.append(tmp_path / f"service-{len(made) + 1}")
        return Kit(*workflows, folder=made[-1], **options)

    return make
