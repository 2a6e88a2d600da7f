"""What goes wrong in the month, and what people are to be told of it; drawn from a seed.

Not here: how it is done to the parts (`life.py`, the simulator's faults), what must be true afterwards
(`test_month.py`).
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random

from b2chat_pipeline.simulator import Fault
from b2chat_pipeline_tests.crash_support import Moment
from b2chat_pipeline_tests.month.life import Life
from b2chat_pipeline_tests.postgres_proxy import Cut

_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Incident:
    """Something that breaks for a while, with what it may be told as: nothing, where there are no causes."""

    name: str
    causes: Collection[str]
    happen: Callable[[Life, timedelta], None]
    lasts: timedelta = _HOUR
    # Whether nobody may hear of it at all, since it may pass before anything has failed, or another run that was queued
    # beside the one that is killed may load its hours before anybody looks.
    may_pass: bool = False


def source_fails(*faults: Fault) -> Callable[[Life, timedelta], None]:
    """The source answers so for a while."""

    def happen(life: Life, lasts: timedelta) -> None:
        life.simulator.faults.add(*faults)
        life.live(life.clock.now() + lasts, step=_HOUR)
        life.simulator.faults.clear()

    return happen


def killed(job: str, moment: Moment) -> Callable[[Life, timedelta], None]:
    """The next run of a job is killed, and then the daemon looks every two minutes."""

    def happen(life: Life, lasts: timedelta) -> None:
        killed = len(life.killed)
        life.doomed[job] = moment
        for _ in range(30):
            life.live(life.clock.now() + _HOUR, step=_HOUR)
            if len(life.killed) > killed:
                break
        assert len(life.killed) > killed, f"no run of {job} in thirty hours"
        life.live(life.clock.now() + lasts, step=2 * _MINUTE)

    return happen


def stopped_postgres(life: Life, lasts: timedelta) -> None:
    """The server of both databases is away; then nothing can be asked for either."""
    life.stop_postgres()
    life.live(life.clock.now() + lasts, step=_HOUR)
    life.start_postgres()


def stopped_warehouse(life: Life, lasts: timedelta) -> None:
    """The warehouse is away, and Dagster's database is not."""
    life.warehouse.stop()
    life.live(life.clock.now() + lasts, step=_HOUR)
    life.warehouse.start()


def cut_connection(life: Life, lasts: timedelta) -> None:
    """The connection that loads is cut at a COMMIT, and whether it took place is not told."""
    life.warehouse.commits.clear()
    life.warehouse.cut = Cut("load", 1, "after")
    life.live(life.clock.now() + lasts, step=_HOUR)
    life.warehouse.cut = None


def slept(life: Life, lasts: timedelta) -> None:
    """The daemon is off."""
    life.sleep(life.clock.now() + lasts)


_DOWN = Fault(kind="status", path="*", status=503, times=None)
_RESET = Fault(kind="reset", path="*", times=None)
_STORM = Fault(kind="status", path="*/export", status=429, times=None, headers={"Retry-After": "2"})
_PAUSE = Fault(kind="status", path="*/export", status=429, headers={"Retry-After": "7200"})
_GARBAGE = Fault(kind="html", path="/chats/export", times=None)
_REFUSED = Fault(kind="status", path="/oauth/token", method="POST", status=401, times=None)

DOWN = Incident("the source is down", ["source"], source_fails(_DOWN))
STORM = Incident("a storm of 429", ["source", "pause"], source_fails(_STORM))
PAUSE = Incident("a pause of hours is asked for", ["pause"], source_fails(_PAUSE), may_pass=True)
GARBAGE = Incident("pages of garbage", ["answers chats"], source_fails(_GARBAGE))
REFUSED = Incident("the credentials are refused", ["credentials"], source_fails(_REFUSED))
KILLED_LOAD = Incident(
    "a load is killed", ["died"], killed("hourly_sync", Moment("load", 3)), 6 * _MINUTE, may_pass=True
)
KILLED_REREAD = Incident(
    "a re-read is killed", ["died"], killed("rereads", Moment("load", 3)), 6 * _MINUTE, may_pass=True
)
KILLED_BUILD = Incident("a build is killed", ["died"], killed("metrics_of_changed_days", Moment("build", 20)), _HOUR)
STOPPED = Incident("PostgreSQL is stopped", ["database"], stopped_postgres, may_pass=True)
STOPPED_WAREHOUSE = Incident("the warehouse is stopped", ["database"], stopped_warehouse)
CUT = Incident("a connection is cut", ["database", "died"], cut_connection, may_pass=True)
OFF = Incident("the daemon is off", [], slept, 6 * _HOUR)

EVERY_KIND = (
    *(DOWN, KILLED_LOAD, GARBAGE, STOPPED_WAREHOUSE, OFF, STORM, KILLED_BUILD, CUT),
    *(PAUSE, KILLED_REREAD, REFUSED, STOPPED),
)
_LONG = (
    replace(DOWN, name="the source is down for a day", lasts=24 * _HOUR),
    replace(DOWN, name="connections are reset for hours", happen=source_fails(_RESET), lasts=7 * _HOUR),
    replace(OFF, name="the daemon is off for a day", lasts=24 * _HOUR),
    replace(OFF, name="the daemon is off for a week", lasts=168 * _HOUR),
)


def drawn(seed: int) -> Iterator[Sequence[Incident]]:
    """Rounds of incidents in an order that is drawn, for ever; the long ones are in the first round."""
    random = Random(seed)
    incidents = [*EVERY_KIND, *_LONG]
    while True:
        random.shuffle(incidents)
        yield tuple(incidents)
        incidents = list(EVERY_KIND)
