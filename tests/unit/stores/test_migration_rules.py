import pytest

from workflow_scheduler.core.errors import Conflict
from workflow_scheduler.stores.migrations.runner import Migration, migrations, pending


def files(*numbers):
    return [Migration(number, "pre", f"m{number}", "", f"sum{number}") for number in numbers]


def applied(*numbers):
    return [(number, f"m{number}", f"sum{number}") for number in numbers]


def test_both_databases_have_the_same_migrations():
    numbers = [[(m.number, m.phase, m.name) for m in migrations(dialect)] for dialect in ("sqlite", "postgres")]
    assert numbers[0] == numbers[1] != []


def test_what_has_not_run_is_pending_in_order():
    assert [m.number for m in pending(files(1, 2, 3), [])] == [1, 2, 3]
    assert [m.number for m in pending(files(1, 2, 3), applied(1))] == [2, 3]
    assert pending(files(1), applied(1)) == []


@pytest.mark.parametrize(
    ("known", "done", "message"),
    [
        (files(1), applied(1, 2), "does not know"),
        (files(1), [(1, "m1", "other")], "is not the file that was applied"),
        (files(1, 2, 3), applied(1, 3), "0002 .* never applied"),
    ],
)
def test_drift_is_refused(known, done, message):
    with pytest.raises(Conflict, match=message) as refused:
        pending(known, done)
    assert refused.value.fix
