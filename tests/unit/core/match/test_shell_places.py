"""Where values may stand in shell commands, and where they may not."""

import pytest

from workflow_scheduler.core.match.shell import Place, Scanner, quote


def place_after(text):
    scanner = Scanner()
    scanner.feed(text)
    return scanner.place()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", Place.BARE),
        ("echo ", Place.BARE),
        ('echo "a ', Place.DOUBLE),
        ('echo "a" ', Place.BARE),
        ("echo 'a ", Place.SINGLE),
        ("echo 'it' \"is\" ", Place.BARE),
        ('echo "$(cat ', Place.BARE),
        ('echo "$(cat "', Place.DOUBLE),
        ('echo "$(cat x) ', Place.DOUBLE),
        ("(cd /tmp; ls ", Place.BARE),
        ('echo \\" ', Place.BARE),
        ('echo "\\"', Place.DOUBLE),
        ("echo a#b ", Place.BARE),
        ("echo '#' ", Place.BARE),
        ("# all\necho ", Place.BARE),
        ("cat <<< ", Place.BARE),
        ("echo $HOME ", Place.BARE),
        ("echo ${HOME} ", Place.BARE),
        ("echo $((1 + 2)) ", Place.BARE),
        ("echo $((1 << 2)) ", Place.BARE),
        ("echo `date` ", Place.BARE),
        ("echo $'a\\'b' ", Place.BARE),
        ("case x in a) echo ", Place.BARE),
    ],
)
def test_places(text, place):
    assert place_after(text) is place


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("echo \\", "backslash"),
        ('echo "\\', "backslash"),
        ("echo `cat ", "back-quotes"),
        ('echo `cat "', "back-quotes"),
        ("echo $'a ", "$'…'"),
        ("echo $((1 + ", "arithmetic"),
        ("echo $((1 + (", "arithmetic"),
        ("((x = ", "arithmetic"),
        ("echo $[1 + ", "arithmetic"),
        ("# about ", "comment"),
        ("echo x # about ", "comment"),
        ("cat <<EOF\n", "here-document"),
        ("cat <<-EOF\n", "here-document"),
        ("echo ${HOME:-", "own ${…}"),
        ('echo "${HOME:-', "own ${…}"),
    ],
)
def test_places_that_are_refused(text, where):
    with pytest.raises(ValueError, match="hand it over in `env`") as caught:
        place_after(text)
    assert where in str(caught.value)


def test_the_text_after_a_value_is_read_on_from_there():
    scanner = Scanner()
    scanner.feed('echo "')
    assert scanner.place() is Place.DOUBLE
    scanner.feed('" ')
    assert scanner.place() is Place.BARE
    scanner.feed(" # and")
    with pytest.raises(ValueError, match="comment"):
        scanner.place()


def test_a_hash_right_after_a_value_does_not_begin_a_comment():
    scanner = Scanner()
    scanner.feed("echo ")
    scanner.place()
    scanner.feed("# x ")
    assert scanner.place() is Place.BARE


@pytest.mark.parametrize(
    ("place", "quoted"),
    [
        (Place.BARE, "'a $x `y` \"z\" \\'"),
        (Place.DOUBLE, 'a \\$x \\`y\\` \\"z\\" \\\\'),
        (Place.SINGLE, 'a $x `y` "z" \\'),
    ],
)
def test_quoting(place, quoted):
    assert quote('a $x `y` "z" \\', place) == quoted


def test_an_empty_value_is_still_a_word():
    assert quote("", Place.BARE) == "''"
