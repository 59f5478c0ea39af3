"""kill -9 while versions are deployed over and over under load: no deployment hangs, no event is lost between two."""

import copy
import http.client
import random
import threading

from chaos import audit, ledger, scene
from chaos.service import Refused, Service

KILLS = 8
STATUSES = {"DEPLOYED", "DEPLOYMENT_FAILED"}


class Deployer(threading.Thread):
    """Deploys one version of a workflow after the other, whether the service is there or not."""

    def __init__(self, service, workflow_id):
        super().__init__()
        self.service = service
        self.path = f"/api/v1/deployment/workflows/{workflow_id}/deploy"
        self.stopping = threading.Event()
        self.deployed = 0
        self.odd = []

    def run(self):
        number = 0
        while not self.stopping.wait(0.02):
            number += 1
            definition = copy.deepcopy(scene.PING)
            definition["description"] = f"version {number}"
            definition["triggers"]["in"]["condition"] = f"event.type != 'n{number}'"
            try:
                self.service.call("POST", self.path, {"workflow_spec": definition}, timeout=5)
                self.deployed += 1
            except (OSError, http.client.HTTPException):
                continue
            except Refused as refused:
                if refused.status not in (409, 503):
                    self.odd.append(str(refused))


def test_deployments_that_are_killed_leave_nothing_half_done(tmp_path):
    draw = random.Random(31)  # noqa: S311 -- the same times every run
    service = Service(tmp_path)
    service.start()
    ids = {definition["name"]: service.deploy(definition) for definition in (*scene.WORKFLOWS, scene.ticks(5))}
    deployer = Deployer(service, ids["ping"])
    pour = scene.Pour([service.port], tmp_path / "ledger.jsonl", seed=31)
    deployer.start()
    try:
        for _ in range(KILLS):
            service.died_within(draw.uniform(0.3, 1.2))
            service.kill()
            service.start()
            status = service.call("GET", f"/api/v1/deployment/workflows/{ids['ping']}/status")
            assert status["deployment_status"] in {*STATUSES, "DEPLOYING"}
        service.died_within(1.0)
    finally:
        deployer.stopping.set()
        deployer.join()
        pour.close()
    assert deployer.odd == []
    assert deployer.deployed > KILLS
    service.come_to_rest()
    history = service.items(f"/api/v1/deployment/workflows/{ids['ping']}/history")
    assert {one["status"] for one in history} <= STATUSES, [one for one in history if one["status"] not in STATUSES]
    workflow = service.call("GET", f"/api/v1/workflows/{ids['ping']}")
    assert workflow["deployment_status"] in STATUSES
    service.call("POST", f"/api/v1/deployment/workflows/{ids['ping']}/deploy")
    assert service.call("GET", f"/api/v1/workflows/{ids['ping']}")["deployment_status"] == "DEPLOYED"
    assert service.stop() == 0, service.tail()
    tables = audit.Tables(tmp_path)
    found = audit.events_and_runs(tables, ledger.read(tmp_path / "ledger.jsonl")) + audit.schedules(tables)
    assert not found, "\n".join(found[:20])
    versions = {row[0] for row in tables.select("SELECT DISTINCT version FROM runs WHERE workflow = 'ping'")[0]}
    assert len(versions) > 1
    names = tables.select("SELECT name, deployment_status FROM trigger_index WHERE removed_at IS NULL")[0]
    assert {status for _, status in names} == {"active"}
