"""Runs dbt over the SQL models, in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from b2chat_pipeline.transform.project import models_folder

# Made by `make test`.
DBT = Path(sys.prefix) / "dbt" / "bin" / "dbt"
_PLACES = {"host": "host", "port": "port", "user": "user", "password": "password", "database": "dbname"}


def build_with_dbt(url: str, folder: Path, variables: str, options: Sequence[str] = ()) -> None:
    """`dbt build`, in a session of another time zone: no model may depend on that. What dbt keeps is in the folder."""
    told = conninfo_to_dict(url)
    places = {f"PG{name.upper()}": str(told[key]) for name, key in _PLACES.items() if key in told}
    command = [str(DBT), "--quiet", "build", "--vars", variables, *options]
    command += ["--project-dir", str(models_folder()), "--profiles-dir", str(models_folder())]
    command += ["--target-path", str(folder / "target"), "--log-path", str(folder / "logs")]
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "PGTZ": "Asia/Kathmandu", **places}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
