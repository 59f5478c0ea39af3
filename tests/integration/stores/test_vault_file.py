import pytest

from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.stores.vault import open_vault, rotate


def test_the_key_file_is_made_once_and_only_its_owner_may_read_it(tmp_path):
    path = tmp_path / "data" / "vault.keys"
    sealed = open_vault(path).seal(b"x", "c")
    assert path.stat().st_mode & 0o777 == 0o600
    assert open_vault(path).open(sealed, "c") == b"x"
    assert [entry.name for entry in path.parent.iterdir()] == ["vault.keys"]


def test_rotation_keeps_the_older_keys(tmp_path):
    path = tmp_path / "vault.keys"
    sealed = open_vault(path).seal(b"x", "c")
    vault = rotate(path)
    assert vault.open(sealed, "c") == b"x"
    assert vault.stale(sealed)
    assert not open_vault(path).stale(vault.seal(b"y", "c"))
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_file_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "vault.keys"
    open_vault(path)
    path.chmod(0o644)
    with pytest.raises(StoreUnavailable, match="other users"):
        open_vault(path)


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'[{"id":"AA==","secret":"AA=="}]', b"\xff"])
def test_a_broken_key_file_is_never_replaced(tmp_path, text):
    path = tmp_path / "vault.keys"
    path.write_bytes(text)
    path.chmod(0o600)
    with pytest.raises(StoreUnavailable):
        open_vault(path)
    assert path.read_bytes() == text
