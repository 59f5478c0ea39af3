"""The service as a process: what it prints, how it stops, and what it refuses to do."""

import json
import signal
import socket
import subprocess
import urllib.request
from contextlib import contextmanager

import pytest


@pytest.fixture
def up(tmp_path, start):
    """Give a block in which the service runs on the folder of the test."""

    @contextmanager
    def running(*arguments, **more):
        process, url = start(tmp_path, "up", "--port", "0", "--data", str(tmp_path / "data"), *arguments, **more)
        try:
            yield process, url
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(30)
            process.stdout.close()

    return running


def health(url):
    with urllib.request.urlopen(f"{url}/health", timeout=10) as answer:  # noqa: S310 -- our own service
        return json.load(answer)


def test_it_prints_its_address_answers_and_stops_with_status_0(up):
    with up() as (process, url):
        assert health(url) == {"service": "workflow_scheduler", "status": "healthy"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stdout.read() == b""


def test_for_programs_the_address_is_an_object(up):
    with up("--json") as (process, line):
        assert health(json.loads(line)["url"])["status"] == "healthy"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def test_its_key_file_is_private(up, tmp_path):
    with up():
        assert (tmp_path / "data" / "keys.json").stat().st_mode & 0o777 == 0o600


def test_a_folder_has_one_owner(up, tmp_path, command):
    with up():
        second = command("up", "--port", "0", "--data", str(tmp_path / "data"), cwd=tmp_path)
        assert second.code == 1
        assert "error: " in second.err


def test_a_taken_port_is_refused_with_a_way_out(tmp_path, command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = command("up", "--port", str(port), "--data", str(tmp_path / "data"), cwd=tmp_path)
    assert done.code == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.err
    assert "--port" in done.err


def test_another_address_needs_authentication(tmp_path, command):
    done = command("up", "--host", "0.0.0.0", "--port", "0", "--data", str(tmp_path / "data"), cwd=tmp_path)
    assert done.code == 1
    assert "key" in done.err


def test_a_wrong_setting_is_named(tmp_path, command):
    done = command("up", cwd=tmp_path, PORT="many")
    assert done.code == 2
    assert "PORT" in done.err


def test_what_was_deployed_is_there_after_a_restart(up, tmp_path, command):
    (tmp_path / "a.yaml").write_text("version: 1\nname: a\njobs:\n  a: {uses: noop}\n")
    with up() as (process, url):
        assert command("deploy", "a.yaml", cwd=tmp_path, WFS_SERVER=url).code == 0
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    with up() as (_, url):
        assert command("run", "a", "--wait", cwd=tmp_path, WFS_SERVER=url).code == 0


def test_code_needs_an_allowance(up, tmp_path, command):
    (tmp_path / "a.yaml").write_text("version: 1\nname: a\njobs:\n  a: {run: 'echo x'}\n")
    with up() as (_, url):
        done = command("deploy", "a.yaml", cwd=tmp_path, WFS_SERVER=url)
    assert done.code == 1
    assert "WFS_ALLOW_CODE" in done.err


def test_the_module_starts_the_service_as_well(tmp_path, start):
    process, url = start(tmp_path, module="workflow_scheduler.main", PORT="0", WFS_DATA=str(tmp_path / "data"))
    try:
        assert health(url)["status"] == "healthy"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    finally:
        process.stdout.close()
