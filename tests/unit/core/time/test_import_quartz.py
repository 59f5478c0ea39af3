"""What is read from files of Quartz and Spring, and what is refused, with its line."""

from __future__ import annotations

import pytest

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.time.clock import from_iso
from workflow_scheduler.core.time.dialects import compare, entry, quartz, spring

START = from_iso("2027-01-01T00:00:00Z")
XML = """<?xml version="1.0" encoding="UTF-8"?>
<job-scheduling-data xmlns="http://www.quartz-scheduler.org/xml/JobSchedulingData" version="2.0">
  <schedule>
    <job><name>Report</name><job-class>com.acme.ReportJob</job-class>
      <job-data-map><entry><key>a</key><value>1</value></entry></job-data-map></job>
    <trigger>
      <cron>
        <name>nightly</name><job-name>Report</job-name>
        <misfire-instruction>MISFIRE_INSTRUCTION_DO_NOTHING</misfire-instruction>
        <cron-expression>0 0 3 ? * 2-6</cron-expression>
        <time-zone>America/New_York</time-zone>
      </cron>
    </trigger>
    <trigger><simple><name>poll</name><job-name>Report</job-name><start-time>2027-02-01T00:00:00</start-time>
      <repeat-count>-1</repeat-count><repeat-interval>90000</repeat-interval></simple></trigger>
    <trigger><simple><name>thrice</name><repeat-count>3</repeat-count><repeat-interval>1000</repeat-interval>
      </simple></trigger>
    <trigger><calendar-interval><name>months</name></calendar-interval></trigger>
    <trigger><cron><name>both</name><cron-expression>0 0 3 1 * 2</cron-expression></cron></trigger>
  </schedule>
</job-scheduling-data>
"""
JAVA = """
class Jobs {
    @Scheduled(cron = "0 15 10 * * MON-FRI", zone = "Europe/Berlin")
    public void report() { }

    @Scheduled(
        cron = "0 0 9 1-7 * MON"
    )
    void first() throws IOException { }

    @Scheduled(fixedRate = 5, timeUnit = TimeUnit.MINUTES)
    void poll() { }

    @Scheduled(fixedDelayString = "90000", initialDelay = 5)
    void sweep() { }

    @Scheduled(cron = "${jobs.cron}") void configured() { }
    @Scheduled(cron = "*/10 * * * * *") void often() { }
    @Scheduled(cron = "0 0 9 13 * FRI") void friday() { }
    @Scheduled(cron = "-") void off() { }
    @Scheduled(fixedRate = 1500) void uneven() { }
    @Scheduled(cron = "@daily") void daily() { }
}
"""


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("0 0 12 * * ?", "0 12 * * *"),
        ("0 15 10 ? * 6L", "15 10 * * 5L"),
        ("0 15 10 ? * 6#3", "15 10 * * 5#3"),
        ("0 15 10 ? * L", "15 10 * * 6"),
        ("0 15 10 L-2 * ?", "15 10 L-2 * *"),
        ("0 15 10 LW * ?", "15 10 LW * *"),
        ("0 15 10 15W * ?", "15 10 15W * *"),
        ("0 0/5 14,18 * * ?", "0/5 14,18 * * *"),
        ("0 0 8 ? JAN-MAR MON-FRI", "0 8 * JAN-MAR MON-FRI"),
    ],
)
def test_expressions_are_written_as_ours(theirs: str, ours: str) -> None:
    assert quartz.translated(theirs) == (ours, {})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0 0 12 * *", "has 5 fields"),
        ("30 0 12 * * ?", "no seconds here"),
        ("0 0 12 1 * 2", "needs `?`"),
        ("0 0 12 ? * ?", "needs `?`"),
        ("0 0 12 * * *", "needs `?`"),
        ("0 0 12 ? * 8", "`8` is no day of the week"),
        ("0 0 12 1 1 ? 2027,2029", "not consecutive"),
        ("0 0 12 1 1 ? 2027/2", "split the schedule"),
        ("0 0 12 30 2 ?", "never fires"),
        ("0 0 12 L-3W * ?", "L-3W"),
    ],
)
def test_what_cannot_be_taken_over_is_said_with_its_line(line: str, said: str) -> None:
    entries, unread = entry.every_entry(quartz.entries(f"# comment\n\n{line}\n", "UTC"))
    assert entries == []
    assert unread[0].line == 3
    assert said in unread[0].message


def test_a_list_may_name_its_expressions() -> None:
    text = 'clean = "0 0 3 * * ?"\n0 30 2 ? * 1 2027-2028 weekly report\n0/15 * * * * ? heartbeat\n'
    clean, weekly, heartbeat = entry.every_entry(quartz.entries(text, "America/New_York"))[0]
    assert (clean.name, clean.trigger["cron"]) == ("clean", "0 3 * * *")
    assert weekly.name == "weekly-report"
    assert weekly.trigger == {
        "type": "cron", "cron": "30 2 * * 0", "timezone": "America/New_York",
        "start_at": "2027-01-01T00:00:00", "end_at": "2028-12-31T23:59:59",
    }  # fmt: skip
    assert heartbeat.trigger == {"type": "interval", "every": "15s"}
    assert [one.line for one in (clean, weekly, heartbeat)] == [1, 2, 3]
    assert any("America/New_York" in note for note in clean.notes)
    found = compare.differences(weekly, START).items
    assert [(one.local, one.fires) for one in found] == [("2027-03-14T03:00:00", "now"), ("2028-03-12T03:00:00", "now")]


def test_triggers_of_an_xml_file_become_entries() -> None:
    entries, unread = entry.every_entry(quartz.entries(XML, "UTC"))
    nightly, poll = entries
    assert nightly.trigger == {
        "type": "cron", "cron": "0 3 * * 1-5", "timezone": "America/New_York", "catchup": "none",
    }  # fmt: skip
    assert nightly.line == 7
    assert any("com.acme.ReportJob" in note for note in nightly.notes)
    assert any("job-data-map" in note for note in nightly.notes)
    assert poll.trigger == {"type": "interval", "every": "90s", "start_at": "2027-02-01T00:00:00"}
    assert [(one.source.partition(":")[0], one.line) for one in unread] == [
        ("thrice", 16),
        ("months", 18),
        ("both", 19),
    ]


@pytest.mark.parametrize(
    "text",
    ['<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "<x>", "<a>" * 100],
    ids=["document type", "cut off", "deep"],
)
def test_a_file_that_is_no_plain_xml_is_refused(text: str) -> None:
    with pytest.raises(ValidationFailed, match="XML"):
        list(quartz.entries(text, "UTC"))


def test_scheduled_methods_of_spring_become_entries() -> None:
    entries, unread = entry.every_entry(quartz.entries(JAVA, "UTC"))
    found = {one.name: one.trigger for one in entries}
    assert found == {
        "report": {"type": "cron", "cron": "15 10 * * MON-FRI", "timezone": "Europe/Berlin"},
        "first": {"type": "cron", "cron": "0 9 * * MON#1", "timezone": "UTC"},
        "poll": {"type": "interval", "every": "300s"},
        "sweep": {"type": "interval", "every": "90s"},
        "daily": {"type": "cron", "cron": "@daily", "timezone": "UTC"},
    }
    assert [one.line for one in entries] == [3, 6, 11, 14, 22]
    said = {one.line: one.message for one in unread}
    assert list(said) == [17, 18, 19, 20, 21]
    for line, word in ((17, "placeholder"), (18, "seconds"), (19, "must both hold"), (20, "switched off")):
        assert word in said[line]


def test_both_day_fields_hold_in_spring() -> None:
    assert spring.translated("0 0 9 8-14 * MON,THU") == "0 9 * * MON#2,THU#2"
    assert spring.translated("0 0 9 1-14 * 0") == "0 9 * * 0#1,0#2"
    assert spring.translated("0 0 9 */2 * MON") == "0 9 */2 * MON"
    for text in ("0 0 9 1-6 * MON", "0 0 9 L * MON", "0 0 9 1-7 * MON-FRI"):
        with pytest.raises(ValidationFailed, match="either suffices"):
            spring.translated(text)
