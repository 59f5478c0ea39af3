"""Secrets at rest: sealed with authenticated encryption, opened only inside the process."""

from __future__ import annotations

from typing import Protocol


class Vault(Protocol):
    """Seals and opens small secrets; `context` is bound to the ciphertext so that it cannot be moved elsewhere."""

    def seal(self, plain: bytes, context: str) -> bytes:
        """Return the ciphertext of `plain`."""
        ...

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return the plain bytes.

        Raises:
            Rejected: the key or the context does not fit.

        """
        ...


class Secrets(Protocol):
    """Named secrets of a tenant."""

    async def get(self, tenant_id: str, name: str) -> str | None:
        """Return the secret's value, or None when the tenant has no secret of that name."""
        ...

    async def live(self, tenant_id: str, name: str) -> tuple[str, ...]:
        """Return the values that are taken now: the secret's, then the one before while it is being rotated."""
        ...
