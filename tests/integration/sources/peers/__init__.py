"""One real server for each polled or streaming trigger type: the module `NAME.py` has a class `Peer`."""
