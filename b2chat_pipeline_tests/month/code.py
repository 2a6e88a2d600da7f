"""The code location of the month: the project's definitions, built once instead of for each run.

The marts are left out: they are built as the core models are, and dozens of them would take most of the time.
"""

import os
from dataclasses import replace
from functools import cache

import dagster as dg

from b2chat_pipeline.definitions import build_definitions
from b2chat_pipeline.transform.models import Project
from b2chat_pipeline.transform.project import models_folder, read_project

# What is built of changed days, and one model of those that are built at night.
_MODELS = ("chat_metrics", "message_turns", "backlog_daily")


@dg.definitions
def defs() -> dg.Definitions:
    """What the daemon loads."""
    return _built(tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("B2CHAT_"))))


@cache
def project() -> Project:
    """The models of the month, with all that they read."""
    every = read_project(models_folder())
    names = {name for model in _MODELS for name in (model, *every.ancestors(model))}
    models = {name: model for name, model in every.models.items() if name in names}
    return replace(every, models=models, tests=[test for test in every.tests if test.model in names])


@cache
def _built(environ: tuple[tuple[str, str], ...]) -> dg.Definitions:
    return build_definitions(dict(environ), models=project())
