"""Keeps services running: whatever dies is started again, and all are stopped in order at the end."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from api.stack.account import StartError

SHORTEST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 15.0
STEADY_AFTER_SECONDS = 30.0
"""A service that ran this long is taken to be well again: its next pause is the shortest."""


class Service(Protocol):
    """Something that can be started, watched and stopped."""

    @property
    def name(self) -> str:
        """What people call it, and what its log is named after."""

    @property
    def running(self) -> bool:
        """Whether it is alive."""

    async def start(self) -> None:
        """Start it and wait until it is ready."""

    async def stop(self, patience_seconds: float = 15) -> None:
        """Ask it to end; end it the hard way after a while."""

    def kill(self) -> None:
        """End it at once."""


class Supervisor:
    """Watches services that were started and starts again those that die."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._services: list[Service] = []
        self.restarts: dict[str, int] = {}

    def watch(self, service: Service) -> None:
        """Keep a service running that has been started."""
        self._services.append(service)
        self.restarts[service.name] = 0
        self._keepers[service.name] = asyncio.create_task(self._keep(service), name=f"keep {service.name}")

    async def stop(self, order: Sequence[Sequence[Service]]) -> None:
        """Stop group after group; the services of one group stop together."""
        for keeper in self._keepers.values():
            keeper.cancel()
        await asyncio.gather(*self._keepers.values(), return_exceptions=True)
        self._keepers.clear()
        for group in order:
            await asyncio.gather(*(service.stop() for service in group))

    async def _keep(self, service: Service) -> None:
        pause = SHORTEST_PAUSE_SECONDS
        while True:
            began = time.monotonic()
            await _ended(service)
            if time.monotonic() - began > STEADY_AFTER_SECONDS:
                pause = SHORTEST_PAUSE_SECONDS
            self._report(f"{service.name} ended unexpectedly; starting it again.")
            started = False
            while not started:
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                with contextlib.suppress(StartError):
                    await service.start()
                    started = True
            self.restarts[service.name] += 1


async def _ended(service: Service) -> None:
    while service.running:  # noqa: ASYNC110 - a process has no event to wait for
        await asyncio.sleep(0.1)
