"""Files and functions stay small."""

import ast

FILE_LINES = 400
FUNCTION_LINES = 50


def lengths(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documented = ast.get_docstring(node) is not None
            start = node.body[0].end_lineno + 1 if documented else node.lineno
            body = 0 if documented and len(node.body) == 1 else node.end_lineno - start + 1
            head = node.body[0].lineno - node.lineno if documented else 0
            yield node.name, body + head


def test_a_file_has_at_most_400_lines(project, allowed):
    names = project.python("src", "tests", "bench", "docs")
    allowed("file-lines", [name for name in names if len(project.text(name).splitlines()) > FILE_LINES])


def test_a_function_has_at_most_50_lines(project, allowed):
    long = [
        f"{name}:{function}"
        for name in project.python("src", "bench", "docs")
        for function, lines in lengths(project.tree(name))
        if lines > FUNCTION_LINES
    ]
    allowed("function-lines", long)


def test_the_exceptions_carry_reasons_and_may_only_shrink(exceptions):
    rules = {rule: lines for rule, lines in exceptions.items() if rule != "most"}
    reasons = [reason for lines in rules.values() for reason in lines.values()]
    assert all(isinstance(reason, str) and len(reason) > 10 for reason in reasons)
    assert len(reasons) <= exceptions["most"], "the list of exceptions may only shrink"
