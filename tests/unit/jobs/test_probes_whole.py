"""Every kind of connection can be tried."""

from workflow_scheduler.core.model.connection import KINDS, Aws, Google, Http, Slack, Sql
from workflow_scheduler.jobs import probes


def test_every_kind_has_a_probe():
    own = {Aws, Google, Http, Slack, Sql}
    assert set(KINDS.values()) == own | set(probes._SERVERS)
