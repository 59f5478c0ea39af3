"""kill -9 of the service while commands run: nothing of the first attempt is there when the second one begins."""

import os
import signal
from pathlib import Path

from chaos.service import Service, wait_until

COMMAND = "echo $$ >> {file}; sleep 600 & echo $! >> {file}; {loose}wait"
LOOSE = "setsid sleep 601 & echo $! >> {file}; "


def alive(pid):
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def written(file):
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def begin(tmp_path, loose=""):
    service, file = Service(tmp_path), tmp_path / "processes"
    service.start()
    command = COMMAND.format(file=file, loose=loose.format(file=file))
    service.deploy(
        {"version": 1, "name": "long", "triggers": {"m": {"type": "manual"}}, "jobs": {"it": {"run": command}}}
    )
    service.call("POST", "/api/v1/triggers/workflows/long/manual", {})
    wait_until(lambda: len(written(file)) == (3 if loose else 2), what="the start of the command")
    return service, file, written(file)


def end(pids):
    for pid in pids:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


def test_the_processes_of_a_command_end_with_the_service_that_is_killed(tmp_path):
    service, file, first = begin(tmp_path)
    assert all(alive(pid) for pid in first)
    service.kill()
    wait_until(lambda: not any(alive(pid) for pid in first), seconds=10, what="the end of the first attempt")
    service.start()
    wait_until(lambda: len(written(file)) == 4, what="the second attempt")
    assert service.stop() == 0
    wait_until(lambda: not any(alive(pid) for pid in written(file)), seconds=10, what="the end of the second attempt")


def test_a_process_that_left_its_group_is_ended_at_the_next_start(tmp_path):
    service, file, first = begin(tmp_path, LOOSE)
    service.kill()
    assert alive(first[2])
    service.start()
    assert not alive(first[2])
    service.stop()
    end(written(file))
