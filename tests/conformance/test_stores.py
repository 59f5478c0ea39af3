import pytest

from workflow_scheduler.testing.conformance.store import StoreConformance


@pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
class TestStores(StoreConformance):
    pass
