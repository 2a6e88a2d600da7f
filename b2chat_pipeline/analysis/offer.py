"""Whether the service still offers the model that is configured, and for how long."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from b2chat_pipeline.analysis.service import Service

# A model that retires sooner than this is to be replaced now.
NOTICE = timedelta(days=30)


@dataclass(frozen=True)
class Offer:
    """What the service says of a model."""

    model: str
    lifecycle: str
    retires_at: datetime | None

    def lasts(self, now: datetime) -> bool:
        """Whether the model can be counted on."""
        is_close = self.retires_at is not None and self.retires_at - now < NOTICE
        return self.lifecycle != "retired" and not is_close

    def __str__(self) -> str:
        retires = "" if self.retires_at is None else f", retires on {self.retires_at:%Y-%m-%d}"
        return f"{self.model}: {self.lifecycle}{retires}."


# What an operator does about a model that does not last.
REMEDY = (
    "Name another model in `scoring` of the configuration, and apply it; once a judge was promoted, promote another,"
    " see `b2chat prompt list`."
)


def look_up(service: Service, model: str) -> Offer:
    """Ask the service about a model; free. Raises CallFailedError and ServiceStoppedError."""
    told = service.model(model)
    return Offer(model, told.lifecycle, told.retires_at)
