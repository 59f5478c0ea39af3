"""What every store must do.

Derive from StoreConformance with a fixture `store` that gives an open, empty Store.
"""

from __future__ import annotations

from workflow_scheduler.testing.conformance.store_batches import StoreBatches
from workflow_scheduler.testing.conformance.store_listings import StoreListings
from workflow_scheduler.testing.conformance.store_transactions import StoreTransactions


class StoreConformance(StoreTransactions, StoreBatches, StoreListings):
    """The suite."""
