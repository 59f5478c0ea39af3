"""What every store must do with batches."""

from __future__ import annotations
