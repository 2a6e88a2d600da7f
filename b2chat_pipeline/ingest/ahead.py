"""Makes things one step ahead of their use, in a thread: reading and decoding go on while PostgreSQL writes.

Not here: what is made.
"""

import gc
import queue
import sys
import threading
from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")

# Seconds that a thread works at a time where another one waits. With Python's own 5 ms, one that reads from the network
# while another decodes waits as long for each piece of an answer: an unchanged re-read took a fifth longer.
_TURN = 0.0005
# New objects between two searches for garbage in cycles. What is made ahead is kept, so that a search finds next to
# nothing: with Python's own 700 they took a sixteenth of an unchanged re-read.
_BETWEEN_SEARCHES = 50_000
# Seconds that leaving early waits for a request in flight: a process that is told to end has about ten.
_PATIENCE = 5.0


def ahead(items: Generator[T, None, None], *, depth: int) -> Generator[T, None, None]:
    """The items, made in a thread of their own, at most `depth` of them before they are asked for.

    An error in the making is raised here, after the items before it. Leaving early closes the generator, in its thread.
    """
    sys.setswitchinterval(_TURN)
    gc.set_threshold(_BETWEEN_SEARCHES)
    made: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue()
    wanted = threading.Semaphore(depth)
    left = threading.Event()

    def make() -> None:
        try:
            while not left.is_set():
                wanted.acquire()
                if left.is_set():
                    break
                made.put((next(items), None))
        except StopIteration:
            made.put((None, None))
        except BaseException as error:  # noqa: BLE001 - raised again where the items are used
            made.put((None, error))
        finally:
            items.close()

    maker = threading.Thread(target=make, name="ahead", daemon=True)
    maker.start()
    try:
        while True:
            item, error = made.get()
            if error is not None:
                raise error
            if item is None:
                return
            wanted.release()
            yield item
    finally:
        left.set()
        wanted.release()
        maker.join(_PATIENCE)
