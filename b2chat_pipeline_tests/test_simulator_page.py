"""What docs/simulator.md shows is run, and the faults it lists are those there are."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from b2chat_pipeline.commands.ports import free_port
from b2chat_pipeline.simulator import FaultKind

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "simulator.md").read_text()
ADDRESS = "http://127.0.0.1:8000"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def served() -> Iterator[str]:
    """The address of a simulator that the page's command runs, on a free port."""
    port = free_port()
    command = shlex.split(blocks("sh")[0].replace("8000", str(port)))
    program = str(Path(sys.executable).parent / Path(command[0]).name)
    with subprocess.Popen([program, *command[1:]], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert f"http://127.0.0.1:{port} " in process.stdout.readline()
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def test_what_the_page_shows_works_line_by_line(served: str) -> None:
    asked = [sys.executable, "-c", blocks("python")[0].replace(ADDRESS, served)]
    model = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    told = [
        subprocess.run(line.replace(ADDRESS, served), shell=True, capture_output=True, text=True, check=True).stdout
        for line in blocks("sh")[1].splitlines()
    ]

    assert model == "['Simulated judge (a set of rules, not a model)']\n"
    assert (told[0], told[3]) == ('{"faults":1}', '{"faults":0}')
    assert '"now"' in told[1]
    assert '"/v1/models"' in told[2]


def test_every_kind_of_fault_is_in_the_table() -> None:
    rows = re.findall(r"^\| (`[^|]+) \|[^|]*\| (?:both|B2Chat|Claude) \|$", PAGE, re.MULTILINE)

    assert sorted(kind for row in rows for kind in re.findall(r"`(\w+)`", row)) == sorted(get_args(FaultKind))
