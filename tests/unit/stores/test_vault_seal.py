import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.errors import Rejected, StoreUnavailable
from workflow_scheduler.stores.vault import FileVault, Key

OLD, NEW = (Key(os.urandom(8), os.urandom(32)) for _ in range(2))


@given(st.binary(max_size=2_000), st.text(st.characters(codec="utf-8"), max_size=50))
def test_what_is_sealed_can_be_opened_in_its_context_only(plain, context):
    vault = FileVault([OLD])
    sealed = vault.seal(plain, context)
    assert vault.open(sealed, context) == plain
    with pytest.raises(Rejected):
        vault.open(sealed, context + "x")


@given(st.data())
def test_no_changed_byte_is_accepted(data):
    vault = FileVault([OLD, NEW])
    sealed = vault.seal(b"secret", "tenant/name")
    place = data.draw(st.integers(0, len(sealed) - 1))
    changed = bytes(byte ^ (data.draw(st.integers(1, 255)) if at == place else 0) for at, byte in enumerate(sealed))
    with pytest.raises(Rejected):
        vault.open(changed, "tenant/name")


@given(st.binary(max_size=120))
def test_other_bytes_are_refused(noise):
    with pytest.raises(Rejected):
        FileVault([OLD]).open(noise, "c")


def test_the_plain_text_does_not_show_and_two_seals_differ():
    vault = FileVault([OLD])
    sealed = [vault.seal(b"very secret indeed", "c") for _ in range(2)]
    assert sealed[0] != sealed[1]
    assert all(b"secret" not in one for one in sealed)


def test_after_a_rotation_old_secrets_open_and_new_ones_use_the_new_key():
    sealed = FileVault([OLD]).seal(b"x", "c")
    both = FileVault([NEW, OLD])
    assert both.open(sealed, "c") == b"x"
    assert both.stale(sealed)
    assert not both.stale(both.seal(b"x", "c"))
    with pytest.raises(Rejected, match="not in the key file"):
        FileVault([NEW]).open(sealed, "c")


@pytest.mark.parametrize("keys", [[], [Key(b"short", b"x" * 32)], [Key(b"x" * 8, b"short")]])
def test_unusable_keys_are_refused(keys):
    with pytest.raises(StoreUnavailable):
        FileVault(keys)
