"""Resident memory of Dagster's processes over time. Not here: what they do meanwhile."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import psutil

# The code server of each is started by it, and by the daemon anew from time to time.
ROLES = ("daemon", "daemon's code server", "webserver", "webserver's code server")
# Minutes on either side of the one that is told: one sample alone may hit a run that is being started.
_AROUND = 2
_MB = 1 / 2**20


@dataclass(frozen=True)
class Sample:
    """Megabytes of each role at a minute, and how many processes there are of all."""

    minute: float
    megabytes: Mapping[str, float]
    processes: int


@dataclass
class Memory:
    """The samples of a daemon and a webserver, by their process ids."""

    daemon: int
    webserver: int
    samples: list[Sample] = field(default_factory=list)

    def look(self, minute: float) -> Sample:
        """Take a sample."""
        found = dict(self._resident())
        processes = sum(1 + len(psutil.Process(it).children(recursive=True)) for it in (self.daemon, self.webserver))
        self.samples.append(Sample(minute, found, processes))
        return self.samples[-1]

    def at(self, role: str, minute: float) -> float:
        """Megabytes of a role around a minute: the median of the samples nearby."""
        near = [
            it.megabytes[role] for it in self.samples if abs(it.minute - minute) <= _AROUND and role in it.megabytes
        ]
        return median(near)

    def _resident(self) -> Iterator[tuple[str, float]]:
        for name, process in (("daemon", self.daemon), ("webserver", self.webserver)):
            parent = psutil.Process(process)
            yield name, parent.memory_info().rss * _MB
            # While one is replaced there are two: the one that has worked is the larger.
            servers = [size for it in parent.children() if (size := _code_server(it))]
            if servers:
                yield f"{name}'s code server", max(servers) * _MB


def _code_server(process: psutil.Process) -> int | None:
    """Resident bytes of a process that is a code server."""
    try:
        return process.memory_info().rss if _serves(process.cmdline()) else None
    except psutil.Error:  # it has just ended
        return None


def _serves(command: Sequence[str]) -> bool:
    return "dagster" in " ".join(command) and "grpc" in command
