"""The sample workflows that are shipped: in a checkout `examples/`, in an installed package a copy of it."""

from __future__ import annotations

from pathlib import Path

import workflow_scheduler
from workflow_scheduler.core.errors import NotFound

NAMES = ("heartbeat", "ci", "orders", "invoice", "report")
PUSH = "payloads/github_push.json"


def folder() -> Path:
    """Return the folder of the samples.

    Raises:
        NotFound: the installation lacks them.

    """
    package = Path(workflow_scheduler.__file__).parent
    for place in (package / "examples", package.parents[1] / "examples"):
        if (place / PUSH).is_file():
            return place
    raise NotFound("the sample workflows are missing from this installation", fix="install the package again")
