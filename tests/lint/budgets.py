"""Sizes: what fits on a screen is read. Numbers: reference trees' best rows."""

import re

from tree import Finding, line_of

FILE_LINES = 500
FUNCTION_LINES = 70
COLUMNS = 80
PYTHON_COLUMNS = 88
CMAKE_LINES = 800

CONTAINER = re.compile(
    r"\b(namespace|class|struct|union|enum|extern)\b(?!.*\)\s*$)", re.DOTALL)
FUNCTION = re.compile(
    r"\)\s*(const|noexcept|override|final|mutable|&|->[^;{}]*|[A-Z_]+\([^{}]*\)"
    r"|:[^;]*|\s)*$", re.DOTALL)


def file_lines(tree):
    for path in tree.cxx() + tree.files(".py"):
        count = tree.text(path).count("\n")
        if count > FILE_LINES:
            yield Finding(path, count, f"{count} lines; {FILE_LINES} are "
                          "allowed: what are its two ideas?")


def columns(tree):
    guards = ("#include", "#ifndef", "#define", "#endif")
    for path in tree.cxx() + tree.files(".py", ".proto"):
        limit = PYTHON_COLUMNS if path.endswith(".py") else COLUMNS
        for number, line in enumerate(tree.text(path).split("\n"), 1):
            if len(line) > limit and "://" not in line and \
                    not line.startswith(guards):
                yield Finding(path, number,
                              f"{len(line)} columns; {limit} are allowed")


def functions(code):
    """(first line, line count) of every outermost function of C++ code."""
    depth_of_function = None
    depth = 0
    statement = 0  # where the text before the next brace begins
    first = 0
    for match in re.finditer(r"[{};]", code):
        mark = match.group(0)
        if mark == "{":
            before = code[statement:match.start()]
            if depth_of_function is None and FUNCTION.search(before) and \
                    not CONTAINER.search(before) and \
                    not re.search(r"=\s*$", before):
                depth_of_function = depth
                first = statement + len(before) - len(before.lstrip())
            depth += 1
        elif mark == "}":
            depth -= 1
            if depth == depth_of_function:
                depth_of_function = None
                start = line_of(code, first)
                yield start, line_of(code, match.end()) - start + 1
        statement = match.end()


def function_lines(tree):
    for path in tree.cxx():
        code = re.sub(r"^[ \t]*#.*(?:\\\n.*)*$",
                      lambda m: "\n" * m.group(0).count("\n"),
                      tree.code(path), flags=re.MULTILINE)
        for line, count in functions(code):
            if count > FUNCTION_LINES:
                yield Finding(path, line, f"a function of {count} lines; "
                              f"{FUNCTION_LINES} are allowed")


def cmake_lines(tree):
    paths = [p for p in tree.files("CMakeLists.txt", ".cmake")]
    count = sum(tree.text(p).count("\n") for p in paths)
    if count > CMAKE_LINES:
        yield Finding("CMakeLists.txt", 1, f"all CMake together has {count} "
                      f"lines; {CMAKE_LINES} are allowed")


RULES = {"file-lines": file_lines, "columns": columns,
         "function-lines": function_lines, "cmake-lines": cmake_lines}
