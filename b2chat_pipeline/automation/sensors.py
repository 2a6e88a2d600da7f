"""What all sensors of the project have in common: they are on from the first start, and say whose they are.

Not here: what one looks at and asks for (the modules beside this one).
"""

import warnings
from collections.abc import Callable
from typing import Any

import dagster as dg

from b2chat_pipeline.assets.sides import OWNERS


def sensor(
    name: str,
    *,
    every: int,
    description: str,
    **of: Any,  # noqa: ANN401 - a job or jobs, as Dagster's own takes them
) -> Callable[[Callable[..., Any]], dg.SensorDefinition]:
    """Dagster's own decorator, for a sensor that looks again after `every` seconds."""

    def made(evaluation: Callable[..., Any]) -> dg.SensorDefinition:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.BetaWarning)  # of the owners
            return dg.sensor(
                name=name,
                minimum_interval_seconds=every,
                description=description,
                default_status=dg.DefaultSensorStatus.RUNNING,
                owners=OWNERS,
                **of,
            )(evaluation)

    return made
