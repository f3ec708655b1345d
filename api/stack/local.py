"""The whole of Mandate on one machine, in one data folder that survives restarts.

The order matters. PostgreSQL comes first, its tables next, then Temporal and our own processes; stopping
goes the other way, so that nothing ever writes to something that is gone already.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from api.stack.account import StartError
from api.stack.lock import is_locked
from api.stack.ports import free_port, is_free
from api.stack.postgres import PostgresServer
from api.stack.processes import Process, write_safely
from api.stack.supervisor import Supervisor
from api.stack.temporal import TemporalServer
from projections import history
from services import schema
from services.history_tree import HistoryDiffers
from services.keys import KeysError
from services.settings import Settings

PROJECT = Path(__file__).resolve().parents[2]
"""The folder that holds our packages; the processes import from it."""


@dataclass(frozen=True)
class Ports:
    """The ports that the stack listens on, all on 127.0.0.1. Zero stands for any."""

    site: int = 0
    letters: int = 0
    smtp: int = 0
    temporal: int = 0
    workflows: int = 0


USUAL_PORTS = Ports(site=8000, letters=8025, smtp=1025, temporal=7233, workflows=8233)


class LocalStack:
    """PostgreSQL, Temporal and our processes, started and stopped together."""

    def __init__(self, folder: Path, report: Callable[[str], None], wanted: Ports | None = None) -> None:
        self.folder = folder.resolve()
        self._wanted = wanted or Ports()
        self._report = report
        self.postgres = PostgresServer(self.folder)
        self.supervisor = Supervisor(report)
        self.ports = Ports()
        self.temporal: TemporalServer
        self.programs: dict[str, Process] = {}
        self.settings: Settings

    async def start(self) -> None:
        """Start everything and wait until the site answers. The folder must be locked by the caller."""
        await self._stop_leftovers()
        self.ports = choose_ports(self._wanted, self._remembered_ports())
        self._report("Starting PostgreSQL.")
        await self.postgres.start()
        self.supervisor.watch(self.postgres)
        await schema.prepare(self.postgres.url(), self.postgres.passwords)
        self._report("Starting Temporal.")
        self.temporal = TemporalServer(self.folder, port=self.ports.temporal, page_port=self.ports.workflows)
        await self.temporal.start()
        self.supervisor.watch(self.temporal)
        self._make_settings()
        await self._history_is_as_published()
        self._report("Starting our own processes.")
        self.programs = {name: self._program(name) for name in PROGRAMS}
        for program in self.programs.values():
            program.spawn()
            self.supervisor.watch(program)
        await self._site_answers()

    async def _history_is_as_published(self) -> None:
        """Refuse to open a history that is not what was published of it, as if nothing had happened."""
        try:
            await history.check(self.settings)
        except (HistoryDiffers, KeysError) as difference:
            raise StartError(f"The history is not as it was published. {difference}") from difference

    async def stop(self) -> None:
        """Stop everything in order: our processes, the mail sink, Temporal, PostgreSQL.

        Leftovers of an earlier run go as well, for an end that was asked for while they were being stopped.
        """
        sink = [self.programs["sink"]] if self.programs else []
        ours = [program for name, program in self.programs.items() if name != "sink"]
        temporal = [self.temporal] if hasattr(self, "temporal") else []
        await self.supervisor.stop([ours, sink, temporal, [self.postgres]])
        await self._stop_leftovers()

    def kill(self) -> None:
        """End everything at once. Nothing that was accepted is lost; the next start takes a little longer."""
        for program in self.programs.values():
            program.kill()
        if hasattr(self, "temporal"):
            self.temporal.kill()
        self.postgres.kill()

    @property
    def addresses(self) -> dict[str, str]:
        """What to open in a browser."""
        site = f"http://127.0.0.1:{self.ports.site}"
        return {
            "The site": site,
            "Its interface for programs": f"{site}/api/v1/openapi.json",
            "Letters that were sent": f"http://127.0.0.1:{self.ports.letters}",
            "Workflows (Temporal)": f"http://127.0.0.1:{self.ports.workflows}",
        }

    async def _stop_leftovers(self) -> None:
        """Stop what a killed copy left running, in the same order as an ordinary stop."""
        signals = dict.fromkeys((*reversed(PROGRAMS), TemporalServer.name), signal.SIGTERM)
        signals[PostgresServer.name] = PostgresServer.stop_signal
        for name, stop_signal in signals.items():
            if await Process(name, [], self.folder, stop_signal=stop_signal).stop_leftover(30):
                self._report(f"Stopped {name}, which an earlier run had left behind.")

    def _remembered_ports(self) -> Ports:
        with contextlib.suppress(OSError, ValueError, TypeError):
            return Ports(**json.loads((self.folder / "stack.json").read_text()))
        return Ports()

    def _make_settings(self) -> None:
        values = {
            **self.postgres.urls(),
            "temporal_address": self.temporal.address,
            "smtp_host": "127.0.0.1",
            "smtp_port": self.ports.smtp,
            "public_url": f"http://127.0.0.1:{self.ports.site}",
            "host": "127.0.0.1",
            "port": self.ports.site,
            "data_folder": str(self.folder),
            "open_sign_in": True,
        }
        write_safely(self.folder / "settings.json", json.dumps(values, indent=1))
        write_safely(self.folder / "stack.json", json.dumps(asdict(self.ports)))
        self.settings = Settings.model_validate(values)

    def _environment(self) -> dict[str, str]:
        values = json.loads((self.folder / "settings.json").read_text())
        ours = {f"MANDATE_{name.upper()}": str(value) for name, value in values.items()}
        # The processes must find our packages and nothing that happens to lie in their folder.
        return (
            dict(os.environ)
            | ours
            | {"PYTHONPATH": str(PROJECT), "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
        )

    def _program(self, name: str) -> Process:
        command = [sys.executable, "-m", "api.commandline", name]
        if name == "sink":
            command += ["--smtp-port", str(self.ports.smtp), "--port", str(self.ports.letters)]
            command += ["--folder", str(self.folder / "letters-sink")]
        return Process(name, command, self.folder, environment=self._environment())

    async def _site_answers(self) -> None:
        """Wait for the site; say what is wrong when it keeps dying instead of waiting on."""
        url = f"http://127.0.0.1:{self.ports.site}/health"
        for _ in range(600):
            if await asyncio.to_thread(_answers, url):
                return
            for name, restarts in self.supervisor.restarts.items():
                if restarts >= 3 and name in self.programs:
                    raise StartError(f"{name} does not stay up. {self.programs[name].last_words()}")
            await asyncio.sleep(0.1)
        raise StartError(f"The site does not answer. {self.programs['serve'].last_words()}")


PROGRAMS = ("sink", "project", "work", "serve")
"""Our own processes, by the commands that run them, in the order of their start."""


def choose_ports(wanted: Ports, remembered: Ports) -> Ports:
    """The ports that were asked for, else the ones of last time or the usual ones where they are free."""
    chosen = Ports()
    for field in fields(Ports):
        port = getattr(wanted, field.name)
        if port and not is_free(port):
            raise StartError(
                f"Port {port} is taken by another program. Choose another port, or leave it to us."
            )
        taken = set(asdict(chosen).values())
        candidates = (port, getattr(remembered, field.name), getattr(USUAL_PORTS, field.name))
        preferred = next((c for c in candidates if c and c not in taken and is_free(c)), None)
        while (port := free_port(preferred)) in taken:
            preferred = None
        chosen = replace(chosen, **{field.name: port})
    return chosen


def local_settings(folder: Path) -> Settings | None:
    """The settings of the local stack that runs on this folder now, if one does."""
    path = folder / "settings.json"
    if not is_locked(folder) or not path.exists():
        return None
    return Settings.model_validate(json.loads(path.read_text()))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
