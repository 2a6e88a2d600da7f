"""A load does not pay for what only scoring and people need."""

import subprocess
import sys

import pytest

from b2chat_pipeline_tests.dagster_support import PROJECT

pytestmark = pytest.mark.any_postgres

# All that a run of the daemon imports, and a day that is read and loaded.
_LOAD = """
import sys
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo
from b2chat_pipeline.definitions import defs
from b2chat_pipeline.simulator import World
from b2chat_pipeline_tests.loading_support import all_loaded, running_pipeline

defs().get_repository_def().load_all_definitions()
day = date(2025, 3, 3)
world = World(first_day=day, zone=ZoneInfo("America/Bogota"), chats_per_day=3)
with running_pipeline(sys.argv[1], world, now=datetime(2025, 3, 5, tzinfo=UTC)) as pipeline:
    assert all_loaded(pipeline.load_days(day, day))
print(*sorted({"anthropic", "httpx2", "pandas", "sqlglot"} & sys.modules.keys()))
"""


def test_a_process_that_loads_never_imports_the_models_client(database_url: str) -> None:
    command = [sys.executable, "-c", _LOAD, database_url]

    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
