"""The thread that copies the log ends when it is told to, whatever it is doing."""

import threading

from workflow_scheduler.stores.sqlite.checkpoints import LOG_PAGES_MAX, Checkpoints

SECONDS = 5


class SlowConnection:
    """A copy that lasts until the test lets it end."""

    def __init__(self):
        self.copying = threading.Event()
        self.may_end = threading.Event()
        self.closed = False

    def wal_checkpoint(self, mode):
        self.copying.set()
        assert self.may_end.wait(SECONDS)

    def close(self):
        self.closed = True


def test_it_ends_when_told_so_during_a_copy():
    connection = SlowConnection()
    checkpoints = Checkpoints(lambda: connection)
    checkpoints.start()
    checkpoints._committed(connection, "main", LOG_PAGES_MAX)
    assert connection.copying.wait(SECONDS)
    ending = threading.Thread(target=checkpoints.close, daemon=True)
    ending.start()
    while not checkpoints._closing:
        threading.Event().wait(0.001)
    connection.may_end.set()
    ending.join(SECONDS)
    assert not ending.is_alive()
    assert connection.closed


def test_it_ends_when_told_so_at_rest():
    checkpoints = Checkpoints(SlowConnection)
    checkpoints.start()
    checkpoints.close()
    assert not checkpoints._thread.is_alive()
