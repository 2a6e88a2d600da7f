"""Children are stopped whenever the interruption comes."""

import os
import signal
import sys
from collections import UserDict
from collections.abc import Iterator
from pathlib import Path

import pytest

from b2chat_pipeline.commands.processes import Processes


class _InterruptedWhileRead(UserDict[str, str]):
    """An environment that is being handed to a child when Ctrl-C is pressed."""

    def __iter__(self) -> Iterator[str]:
        os.kill(os.getpid(), signal.SIGINT)
        return super().__iter__()


def test_a_child_that_is_being_started_when_the_interruption_comes_is_stopped(tmp_path: Path) -> None:
    children = Processes(tmp_path)

    with pytest.raises(KeyboardInterrupt), children:
        children.start(
            "child", [sys.executable, "-c", "import time; time.sleep(60)"], _InterruptedWhileRead(os.environ)
        )

    assert [child.process.returncode for child in children.children] == [-signal.SIGTERM]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
