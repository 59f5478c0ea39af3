import pytest

from workflow_scheduler.core.time.clock import from_iso
from workflow_scheduler.core.time.retry_after import retry_after_seconds

NOW = from_iso("2027-03-14T09:30:00Z")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("17", 17),
        (" 17 ", 17),
        ("0", 0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("99999999999999999999", 86_400),
        ("Sun, 14 Mar 2027 09:31:00 GMT", 60),
        ("Sun, 14 Mar 2027 09:29:00 GMT", 0),
        ("Sun, 14 Mar 2032 09:29:00 GMT", 86_400),
        ("Sun, 14 Mar 2027 09:31:00 -0000", None),
        ("Sun, 99 Mar 2027 09:31:00 GMT", None),
        ("\u0661", None),
    ],
)
def test_retry_after(value, seconds):
    assert retry_after_seconds(value, NOW) == seconds
