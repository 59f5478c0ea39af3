"""`python -m workflow_scheduler.cli` is the command line."""

import sys

from workflow_scheduler.cli.root import main

sys.exit(main())
