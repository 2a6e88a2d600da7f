"""The project's folder and the environment that Dagster's processes are started in."""

import sys
from collections.abc import Mapping
from pathlib import Path

from b2chat_pipeline.settings import SettingsError


def project_folder() -> Path:
    """The folder with dagster.yaml: here, above, or the checkout the package runs from. Raises SettingsError."""
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).parents[2]):
        if (folder / "dagster.yaml").is_file() and (folder / "workspace.yaml").is_file():
            return folder
    raise SettingsError("there is no dagster.yaml here or above: run this command in the project's folder.")


def dagster_environment(environ: Mapping[str, str], *, dagster_url: str, warehouse_url: str) -> dict[str, str]:
    """The environment of Dagster's processes and of the runs they start."""
    scripts = str(Path(sys.executable).parent)
    return {
        **environ,
        "PATH": f"{scripts}:{environ.get('PATH', '')}",
        "DAGSTER_HOME": environ.get("DAGSTER_HOME") or str(project_folder()),
        "DAGSTER_DATABASE_URL": dagster_url,
        "B2CHAT_DATABASE_URL": warehouse_url,
        # Events of a run are written in batches: a run over many hours spends most of its time on them otherwise.
        "DAGSTER_EVENT_BATCH_SIZE": environ.get("DAGSTER_EVENT_BATCH_SIZE") or "1000",
        # A batch takes its ids before it can be seen. The daemon follows its backfills by the ids it has seen, and
        # would miss a batch that others have overtaken, so it looks again at as many as several runs may be writing.
        "ASSET_BACKFILL_CURSOR_OFFSET": environ.get("ASSET_BACKFILL_CURSOR_OFFSET") or "10000",
        "PYTHONUNBUFFERED": "1",
    }
