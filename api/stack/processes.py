"""One child process: started, watched, stopped in order, and found again after a crash of its parent.

A child runs in a session of its own, so that Ctrl-C in the terminal reaches only the parent, which then
stops its children in the right order. A record on disk (pid and start time) lets the next start find a
child whose parent was killed.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from api.stack.account import Account, StartError

LOG_LIMIT_BYTES = 20_000_000
"""A log larger than this is set aside when its process starts."""


@dataclass
class Process:
    """A program that runs as our child, writes to a log of its own and is known by a name."""

    name: str
    command: Sequence[str]
    folder: Path
    """Data folder: the log goes to ``logs`` in it, the record to ``run``."""
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    account: Account | None = None
    """The user to run as, where it is not our own."""
    stop_signal: signal.Signals = signal.SIGTERM
    check: Callable[[], bool] | None = None
    """Says whether the process is ready. It is asked again and again, in a thread."""
    child: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def pid(self) -> int | None:
        """The number of the process, once it was started."""
        return self.child.pid if self.child else None

    @property
    def log(self) -> Path:
        """The file that holds what the process printed."""
        return self.folder / "logs" / f"{self.name}.log"

    @property
    def record(self) -> Path:
        """The file that says which process carries this name, for a start after a crash."""
        return self.folder / "run" / f"{self.name}.json"

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self.child is not None and self.child.poll() is None

    async def start(self) -> None:
        """Start the process and wait until it is ready, where there is a way to tell."""
        self.spawn()
        if self.check is not None:
            await self.ready(self.check)

    def spawn(self) -> None:
        """Start the process. It may take a while until it is ready."""
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.record.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=dict(self.environment),
                start_new_session=True,
                umask=0o077,
                user=self.account.uid if self.account else None,
                group=self.account.gid if self.account else None,
                extra_groups=[] if self.account else None,
            )
        with contextlib.suppress(psutil.NoSuchProcess):
            started = psutil.Process(self.child.pid).create_time()
            write_safely(self.record, json.dumps({"pid": self.child.pid, "started": started}))

    async def ready(self, check: Callable[[], bool], patience_seconds: float = 60) -> None:
        """Wait until ``check`` says yes; give up when the process ends or after ``patience_seconds``."""
        until = time.monotonic() + patience_seconds
        while not await asyncio.to_thread(check):
            if not self.running:
                raise StartError(f"{self.name} ended at once. {self.last_words()}")
            if time.monotonic() > until:
                raise StartError(
                    f"{self.name} was not ready in {patience_seconds:.0f} s. {self.last_words()}"
                )
            await asyncio.sleep(0.05)

    async def stop(self, patience_seconds: float = 15) -> None:
        """Ask the process to end, and end it the hard way when it does not listen."""
        if self.child is None:
            return
        if self.running:
            self.child.send_signal(self.stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self.child.wait, patience_seconds)
        self.kill()
        self.record.unlink(missing_ok=True)

    def kill(self) -> None:
        """End the process and all that it started, at once, as a crash of the machine would."""
        if self.child is None:
            return
        children: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.child.pid).children(recursive=True) if self.running else []
        self.child.kill()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        self.child.wait()
        psutil.wait_procs(children, timeout=5)

    async def stop_leftover(self, patience_seconds: float = 15) -> bool:
        """Stop the process that an earlier parent left running under this name, if there is one."""
        leftover = self.leftover()
        if leftover is None:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            leftover.send_signal(self.stop_signal)
            if not await asyncio.to_thread(_gone, leftover, patience_seconds):
                leftover.kill()
                await asyncio.to_thread(_gone, leftover, 5)
        self.record.unlink(missing_ok=True)
        return True

    def leftover(self) -> psutil.Process | None:
        """The process that the record names, if it is still alive and the same one.

        Numbers of processes are used again, so the time of the start has to agree as well.
        """
        try:
            noted = json.loads(self.record.read_text())
            process = psutil.Process(int(noted["pid"]))
            same = abs(process.create_time() - float(noted["started"])) < 2
        except (OSError, ValueError, KeyError, TypeError, psutil.Error):
            return None
        return process if same and _alive(process) else None

    def last_words(self) -> str:
        """The end of the log, and where the rest is."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-12:]
        except OSError:
            lines = []
        return "\n".join([f"Its log is {self.log}; it ends with:", *(f"  {line}" for line in lines)])


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _gone(process: psutil.Process, patience_seconds: float) -> bool:
    """Wait for a process that is not our child. One that is dead but not yet buried counts as gone."""
    until = time.monotonic() + patience_seconds
    while _alive(process):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def write_safely(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file so that a crash leaves the old one or the new one, never a half."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(path)
