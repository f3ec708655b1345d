"""One run of the local stack in a terminal: from the first line to the orderly end."""

import asyncio
import contextlib
import signal
import traceback
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from api.stack.account import StartError
from api.stack.local import LocalStack, Ports
from api.stack.lock import locked

console = Console(highlight=False, soft_wrap=True)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def run(folder: Path, wanted: Ports, *, demo: bool) -> int:
    """Start everything, say where it is, and stay until asked to stop. Returns the exit status."""
    try:
        with locked(folder):
            return await _Session(LocalStack(folder, _say, wanted), demo=demo).run()
    except StartError as error:
        console.print(f"[red]Mandate could not be started.[/red] {escape(str(error))}")
    except Exception as error:
        log = folder / "logs" / "up.log"
        log.parent.mkdir(mode=0o700, exist_ok=True)
        log.write_text(traceback.format_exc())
        reason = escape(f"{type(error).__name__}: {error}")
        console.print(
            f"[red]Mandate could not be started.[/red] {reason}\nWhere it happened is in {escape(str(log))}"
        )
    return 1


class _Session:
    """What happens between the start and the end, and how signals end it."""

    def __init__(self, stack: LocalStack, *, demo: bool) -> None:
        self._stack = stack
        self._demo = demo
        self._asked_to_stop = asyncio.Event()

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._on_signal)
        starting = asyncio.create_task(self._start())
        asked = asyncio.create_task(self._asked_to_stop.wait())
        try:
            await asyncio.wait([starting, asked], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
            await asked
        finally:
            starting.cancel()
            asked.cancel()
            await asyncio.gather(starting, asked, return_exceptions=True)
            _say("Stopping: our processes, then Temporal, then PostgreSQL. Ctrl-C again hurries.")
            await self._stack.stop()
            _say("Everything is stopped. What was recorded is kept in " + str(self._stack.folder))
        return 0

    async def _start(self) -> None:
        _say(f"Mandate keeps everything in {self._stack.folder}")
        await self._stack.start()
        people: list[tuple[str, str, str]] = []
        if self._demo:
            from api.demo import load
            from api.demo import people as who

            _say("Loading the demonstration.")
            await load(self._stack.settings, _say)
            people = list(await who(self._stack.settings))
        self._tell_addresses(people)

    def _on_signal(self) -> None:
        if self._asked_to_stop.is_set():
            self._stack.kill()
        self._asked_to_stop.set()

    def _tell_addresses(self, people: list[tuple[str, str, str]]) -> None:
        console.print()
        console.print("[bold green]Mandate is running.[/bold green] Open:")
        for what, address in self._stack.addresses.items():
            console.print(f"  {what:<28} {address}", markup=False)
        if people:
            console.print("\nSign in as:", style="bold")
            for name, role, link in people:
                console.print(f"  {name:<28} {role:<24} {link}", markup=False)
        console.print("\nCtrl-C stops everything in order; starting again finds everything as it was.")


def _say(text: str) -> None:
    # Where the terminal is gone there is nobody to tell, and that is no reason to stop.
    with contextlib.suppress(OSError):
        console.print(text, markup=False)
