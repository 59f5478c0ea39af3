"""The vault: small secrets sealed with AES-256-GCM under keys in a file that only the service's user can read.

Each secret is encrypted under a data key of its own, and the data key under the first key of the key file (an
envelope): re-keying a secret touches 60 bytes, and no long-lived key encrypts more than 32-byte keys. A sealed secret
is::

    version (1) | key id (8) | nonce (12) | sealed data key (48) | nonce (12) | sealed secret (n + 16)

The header and the caller's context are authenticated with both parts, so a ciphertext opened under another name, in
another tenant, or with a changed header is refused.

Rotation: `rotate` puts a new key at the head of the file. New secrets are sealed under it; older keys stay in the file
for as long as something is sealed under them. `stale` says whether a secret should be sealed again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from workflow_scheduler.core.errors import Rejected, StoreUnavailable

_VERSION = 1
_KEY_ID_BYTES = 8
_KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_HEADER_BYTES = 1 + _KEY_ID_BYTES
_WRAPPED_BYTES = _NONCE_BYTES + _KEY_BYTES + _TAG_BYTES
_OTHERS_MAY = 0o077


class Key(msgspec.Struct, frozen=True):
    """One key of the file: its id and its secret, both random bytes (base64 in the file)."""

    id: bytes
    secret: bytes


class FileVault:
    """Implements `core.ports.vault.Vault` with the keys it is given; the first one seals."""

    def __init__(self, keys: Sequence[Key]) -> None:
        """Keep the keys; `open_vault` reads them from a file."""
        if not keys or any(len(key.id) != _KEY_ID_BYTES or len(key.secret) != _KEY_BYTES for key in keys):
            raise StoreUnavailable("the key file holds no usable key", fix="restore the key file from a backup")
        self._sealing = keys[0]
        self._keys = {key.id: AESGCM(key.secret) for key in keys}

    def seal(self, plain: bytes, context: str) -> bytes:
        """Return `plain` encrypted under a new data key; `context` must be given again to open it."""
        header = bytes((_VERSION,)) + self._sealing.id
        bound = header + context.encode()
        data_key = os.urandom(_KEY_BYTES)
        outer, inner = os.urandom(_NONCE_BYTES), os.urandom(_NONCE_BYTES)
        wrapped = outer + self._keys[self._sealing.id].encrypt(outer, data_key, bound)
        return header + wrapped + inner + AESGCM(data_key).encrypt(inner, plain, bound)

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return the plain bytes.

        Raises:
            Rejected: the bytes are not a sealed secret, the key is not in the file, or the context does not fit.

        """
        header, rest = sealed[:_HEADER_BYTES], sealed[_HEADER_BYTES:]
        if len(rest) < _WRAPPED_BYTES + _NONCE_BYTES + _TAG_BYTES or header[0] != _VERSION:
            raise Rejected("this is not a sealed secret")
        key = self._keys.get(header[1:])
        if key is None:
            raise Rejected(
                f"this secret is sealed under the key {header[1:].hex()}, which is not in the key file",
                fix="restore the key file that belongs to this database, or set the secret again",
            )
        bound = header + context.encode()
        wrapped, body = rest[:_WRAPPED_BYTES], rest[_WRAPPED_BYTES:]
        try:
            data_key = key.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], bound)
            return AESGCM(data_key).decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], bound)
        except InvalidTag:
            raise Rejected("the secret was changed, or belongs to another tenant or name") from None

    def stale(self, sealed: bytes) -> bool:
        """Return whether `sealed` is under an older key than the one that seals now."""
        return sealed[1:_HEADER_BYTES] != self._sealing.id


def open_vault(path: Path) -> FileVault:
    """Return the vault of the key file `path`; a missing file is made, with one new key and mode 0600.

    Raises:
        StoreUnavailable: the file cannot be read or made, other users may read it, or it holds no key.

    """
    try:
        if not path.exists():
            _write(path, [_new_key()])
        return FileVault(_read(path))
    except OSError as error:
        raise StoreUnavailable(f"the key file cannot be used: {error}") from error


def rotate(path: Path) -> FileVault:
    """Put a new key at the head of the key file and return the vault that seals with it.

    Raises:
        StoreUnavailable: the file cannot be read or written.

    """
    try:
        _write(path, [_new_key(), *_read(path)])
        return FileVault(_read(path))
    except OSError as error:
        raise StoreUnavailable(f"the key file cannot be used: {error}") from error


def _new_key() -> Key:
    return Key(os.urandom(_KEY_ID_BYTES), os.urandom(_KEY_BYTES))


def _read(path: Path) -> list[Key]:
    if path.stat().st_mode & _OTHERS_MAY:
        raise StoreUnavailable(f"other users may read the key file {path}", fix=f"chmod 600 {path}")
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Key])
    except msgspec.MsgspecError as error:
        raise StoreUnavailable(f"{path} is not a key file: {error}", fix="restore it from a backup") from error


def _write(path: Path, keys: Sequence[Key]) -> None:
    """Replace the file so that a crash leaves either the old keys or the new ones, on the disk and not in a cache."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, msgspec.json.format(msgspec.json.encode(list(keys))) + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
