"""Child processes that are started together and stopped together.

Not here: which processes those are (`dev.py`, `demo.py`).
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.request import urlopen

from b2chat_pipeline.settings import OperatorError

# Long enough for a run to finish its page and for the servers to close; then they are killed.
PATIENCE = 20.0
# What children leave behind is given this long.
GRACE = 5.0
_ENDINGS = (signal.SIGINT, signal.SIGTERM)


class ProcessError(OperatorError):
    """A child process ended or did not get ready; the text names it, and where its log is."""


@dataclass
class Child:
    """One child process and its log."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path


@dataclass
class Processes:
    """A set of children. Leaving the context stops them, the last one started first."""

    log_folder: Path
    children: list[Child] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.log_folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in reversed(self.children):
            _stop(child.process)

    def start(self, name: str, command: Sequence[str], environ: Mapping[str, str]) -> Child:
        """Start a child in a session of its own, so that Ctrl-C reaches it through us and in our order."""
        log = self.log_folder / f"{name}.log"
        with log.open("wb") as output, _interrupted_afterwards():
            process = subprocess.Popen(  # noqa: S603 - the commands are ours
                command, env=dict(environ), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
            child = Child(name, process, log)
            self.children.append(child)
        return child

    def wait_until(self, child: Child, is_ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait until a child is ready. Raises ProcessError where it ends before, or takes too long."""
        deadline = time.monotonic() + seconds
        while not is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise ProcessError(f"{child.name} is not ready after {seconds:.0f} s: see {child.log}.")
            time.sleep(0.2)

    def check(self) -> None:
        """Raises ProcessError where a child has ended."""
        for child in self.children:
            if child.process.poll() is not None:
                raise ProcessError(f"{child.name} ended with exit status {child.process.returncode}: see {child.log}.")

    def watch(self, check_others: Callable[[], None], *, announce: Callable[[], None]) -> None:
        """Say that all runs, and return when the user interrupts, be it amid that. Raises ProcessError where a child
        ends by itself, and what the check of others raises.
        """
        with suppress(KeyboardInterrupt):
            announce()
            while True:
                check_others()
                self.check()
                time.sleep(0.5)


def answers(url: str) -> bool:
    """Whether a loopback address answers with success."""
    try:
        with urlopen(url, timeout=2) as answer:  # noqa: S310 - the address is ours
            return bool(answer.status == 200)
    except OSError:
        return False


def terminate_like_interrupt() -> None:
    """Let SIGTERM (a service manager, `kill`) end this process the way Ctrl-C does: everything is stopped in order.

    SIGINT is set too: a shell starts background jobs with it ignored, and Dagster copies its handler to SIGTERM.
    """
    for ending in _ENDINGS:
        signal.signal(ending, signal.default_int_handler)


@contextmanager
def _interrupted_afterwards() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait until the block ends: a child that is not known yet would be left running."""
    came: list[int] = []
    before = {ending: signal.signal(ending, lambda number, _: came.append(number)) for ending in _ENDINGS}
    try:
        yield
    finally:
        for ending, handler in before.items():
            signal.signal(ending, handler)
    if came:
        raise KeyboardInterrupt


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End a child, then whatever it started and left behind."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE)
    for ending in (signal.SIGTERM, signal.SIGKILL):
        if not _group_ends(process.pid, ending):
            break
    process.wait()


def _group_ends(group: int, ending: signal.Signals) -> bool:
    """Send a signal to a process group and wait for its end; returns whether anybody is left."""
    deadline = time.monotonic() + GRACE
    try:
        os.killpg(group, ending)
        while time.monotonic() < deadline:
            time.sleep(0.05)
            os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
