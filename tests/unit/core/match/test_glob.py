"""Globs by GitHub's documented examples."""

from __future__ import annotations

import pytest

from workflow_scheduler.core.match.glob import compile_glob, compile_globs

CASES: list[tuple[str, list[str], list[str]]] = [
    ("feature/*", ["feature/my-branch", "feature/your-branch", "feature/"], ["feature/beta-a/my-branch", "feature"]),
    ("feature/**", ["feature/beta-a/my-branch", "feature/your-branch", "feature/mona/the/octocat"], ["features/a"]),
    ("main", ["main"], ["maine", "a/main", ""]),
    ("releases/mona-the-octocat", ["releases/mona-the-octocat"], ["releases"]),
    ("*", ["main", "releases", ""], ["all/the/branches"]),
    ("**", ["all/the/branches", "every/tag", "x"], []),
    ("*feature", ["mona-feature", "feature", "ver-10-feature"], ["a/feature", "features"]),
    ("v2*", ["v2", "v2.0", "v2.9"], ["v3", "v2/0"]),
    ("v[12].[0-9]+.[0-9]+", ["v1.10.1", "v2.0.0"], ["v3.0.0", "v1.0", "v1x0.0"]),
    ("*.jsx?", ["page.js", "page.jsx"], ["page.ts", "a/page.js", "page.jsxx"]),
    ("*.js", ["app.js", "index.js"], ["src/app.js", "app.jsx"]),
    ("**.js", ["index.js", "js/index.js", "src/js/app.js"], ["index.ts"]),
    ("docs/*", ["docs/README.md", "docs/file.txt"], ["docs/a/b.md"]),
    ("docs/**", ["docs/README.md", "docs/mona/octocat.txt"], ["doc/README.md", "docs"]),
    ("docs/**/*.md", ["docs/README.md", "docs/mona/hello-world.md", "docs/a/markdown/file.md"], ["docs/a.txt"]),
    ("**/docs/**", ["docs/hello.md", "dir/docs/my-file.txt", "space/docs/plan/space.doc"], ["mydocs/a"]),
    ("**/README.md", ["README.md", "js/README.md"], ["js/xREADME.md", "README.mdx"]),
    ("**/*src/**", ["a/src/app.js", "my-src/code/js/app.js"], ["a/srcs"]),
    ("**/*-post.md", ["my-post.md", "path/their-post.md"], ["post.md"]),
    ("**/migrate-*.sql", ["migrate-10909.sql", "db/migrate-v1.0.sql", "db/sept/migrate-v1.sql"], ["db/migrate.sql"]),
    ("**/*.py", ["a.py", "src/a.py", "src/b/a.py"], ["a.pyc"]),
    ("c\\+\\+", ["c++"], ["ccc", "c"]),
    ("[CB]at", ["Cat", "Bat"], ["at", "Rat"]),
    ("[1-2]00", ["100", "200"], ["300"]),
    ("a.b", ["a.b"], ["axb"]),
    ("é*", ["été"], ["ete"]),
    ("\\*", ["*"], ["a"]),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "good", "bad"), CASES)
def test_one_pattern(pattern: str, good: list[str], bad: list[str]) -> None:
    test = compile_glob(pattern)
    assert [text for text in good if not test(text)] == []
    assert [text for text in bad if test(text)] == []


def test_a_later_pattern_overrules_an_earlier_one() -> None:
    releases = compile_globs(("releases/**", "!releases/**-alpha"))
    assert releases.matches("releases/10")
    assert not releases.matches("releases/beta/3-alpha")
    again = compile_globs(("*.md", "!README.md", "README*"))
    assert again.matches("hello.md")
    assert again.matches("README.md")
    assert not compile_globs(("!README.md", "*.txt")).matches("README.md")


def test_a_list_of_plain_names_says_so() -> None:
    assert compile_globs(("main", "dev")).literals == {"main", "dev"}
    assert compile_globs(("main", "dev*")).literals is None
    assert compile_globs(("main", "!dev")).literals is None
    assert compile_globs(("main", "dev")).matches("dev")


def test_the_first_match_of_many_is_named() -> None:
    assert compile_globs(("src/**",)).any(["docs/a", "src/b", "src/c"]) == "src/b"
    assert compile_globs(("src/**",)).any([]) is None


@pytest.mark.parametrize("pattern", ["[abc", "+x", "?", "*?", "a++", "x\\", "", "a" * 501])
def test_patterns_that_cannot_be_read_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        compile_glob(pattern)


def test_a_list_without_a_positive_pattern_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        compile_globs(("!main",))


def test_a_hostile_pattern_takes_linear_time() -> None:
    test = compile_glob("**a" * 100)
    assert not test("a" * 99 + "b" * 50_000)
