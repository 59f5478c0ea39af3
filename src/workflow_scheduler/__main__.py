"""`python -m workflow_scheduler` starts the service."""

import gc
import sys

gc.disable()  # until the service is ready: all that a start makes stays, and to look through it takes a fifth as long

from workflow_scheduler.main import main  # noqa: E402

sys.exit(main())
