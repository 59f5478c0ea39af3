"""`python -m workflow_scheduler` starts the service."""

import sys

from workflow_scheduler.main import main

sys.exit(main())
