"""The table of faults names tests that exist, and every fault of what is built."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# 32 was never a fault of this source; the others that are missing belong to parts that are not built yet.
BUILT = {*range(1, 50), 53, 54} - {32, 38}
TABLE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
ROWS = {
    row[1]: re.findall(r"`([a-z_]+)::(test_[a-z0-9_]+)`", row[0])
    for row in re.finditer(r"^\| (\d+[a-z]?) \|.*$", TABLE, re.MULTILINE)
}


def test_every_fault_of_what_is_built_is_in_the_table() -> None:
    assert {int(number) for number in ROWS if number.isdigit()} == BUILT


@pytest.mark.parametrize("number", sorted(ROWS))
def test_a_fault_names_the_tests_that_prove_what_becomes_of_it(number: str) -> None:
    named = ROWS[number]

    assert named
    assert all(name in _tests(file) for file, name in named)


def _tests(file: str) -> set[str]:
    tree = ast.parse((Path(__file__).parent / f"test_{file}.py").read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
