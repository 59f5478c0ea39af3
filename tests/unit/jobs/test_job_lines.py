from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.jobs.lines import LINE_BYTES_MAX, LineSplitter, Tail

chunks = st.lists(st.binary(max_size=40))


def split(parts):
    lines = []
    splitter = LineSplitter(lines.append)
    for part in parts:
        splitter.feed(part)
    splitter.close()
    return lines


def test_lines_are_complete_whatever_the_chunks():
    assert split([b"one\ntw", b"o\n\nthr", b"ee"]) == ["one", "two", "", "three"]


def test_windows_line_ends():
    assert split([b"one\r\n", b"two\r", b"\n"]) == ["one", "two"]


def test_a_long_line_comes_in_pieces():
    lines = split([b"x" * (LINE_BYTES_MAX * 2 + 1), b"\nend"])
    assert [len(line) for line in lines] == [LINE_BYTES_MAX, LINE_BYTES_MAX, 1, 3]


def test_a_long_line_is_not_kept_in_memory():
    lines = []
    splitter = LineSplitter(lines.append)
    for _ in range(100):
        splitter.feed(b"x" * 10_000)
    assert len(splitter._rest) <= LINE_BYTES_MAX
    assert sum(len(line) for line in lines) > 900_000


@given(chunks)
def test_chunks_do_not_matter(parts):
    assert split(parts) == split([b"".join(parts)])


@given(chunks, st.integers(0, 20))
def test_the_tail_is_the_end_of_the_stream(parts, size):
    tail = Tail(size)
    for part in parts:
        tail.feed(part)
    whole = b"".join(parts)
    assert tail.bytes() == (whole[-size:] if size else b"")
    assert tail.total == len(whole)
    assert tail.truncated is (len(whole) > size)
