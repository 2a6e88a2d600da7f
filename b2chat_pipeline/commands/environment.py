"""The settings that a command works by."""

import os
from collections.abc import Mapping
from pathlib import Path


def environ() -> Mapping[str, str]:
    """The environment, filled up from `.env` in this folder the way `dg dev` does it."""
    from dotenv import load_dotenv

    load_dotenv(Path.cwd() / ".env")
    return os.environ
