"""What the source never does: read the clock, draw, wait, or evaluate what users write."""

import ast

CLOCK = "src/workflow_scheduler/core/time/clock.py"
TIMELY = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "datetime.datetime.now", "time.time",
    "time.time_ns", "time.sleep", "time.monotonic", "asyncio.sleep", "random.random", "random.randint",
    "random.choice", "random.uniform", "random.shuffle",
}  # fmt: skip
EVALUATING = {"eval", "exec", "compile", "__import__", "pickle.loads", "pickle.load", "marshal.loads", "yaml.load"}
ROUGH_IMPORTS = {"pickle", "marshal", "jinja2", "yaml", "requests", "httpx", "psycopg", "croniter", "apscheduler"}
PATTERN_CALLS = {f"re.{name}" for name in ("compile", "match", "search", "fullmatch", "sub", "split", "findall")}


def calls(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def uses(project, wanted):
    return sorted(
        {
            f"{name}:{called}"
            for name in project.python("src")
            if name != CLOCK
            for called, _ in calls(project.tree(name))
            if called in wanted
        }
    )


def test_time_and_chance_come_from_the_clock(project, allowed):
    allowed("clock", uses(project, TIMELY))


def test_nothing_is_evaluated(project, allowed):
    allowed("evaluation", uses(project, EVALUATING))


def test_no_import_of_what_is_stale_or_unsafe(project, allowed):
    found = []
    for name in project.python("src"):
        for node in ast.walk(project.tree(name)):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            found += [f"{name}:{module}" for module in modules if module.split(".")[0] in ROUGH_IMPORTS]
    allowed("imports", found)


def test_patterns_of_the_standard_library_are_constants(project, allowed):
    """Patterns that users write go to RE2; what the source compiles with `re` stands in the source."""
    found = [
        f"{name}:{called}"
        for name in project.python("src")
        for function in ast.walk(project.tree(name))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for called, node in calls(function)
        if called in PATTERN_CALLS and not isinstance(node.args[0], ast.Constant)
    ]
    allowed("patterns", found)


def test_the_command_line_imports_no_web_framework(project):
    import subprocess
    import sys

    code = "import sys, workflow_scheduler.cli.root; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"fastapi", "starlette", "pydantic", "uvicorn", "aiohttp", "rich", "apsw", "asyncpg", "ruamel"}
    assert heavy & {module.split(".")[0] for module in loaded} == set()
