"""The Temporal server of the local stack: what it knows survives kill -9."""

import asyncio
import subprocess
import urllib.request

from api.stack.account import temporary_folder
from api.stack.temporal import TemporalServer, temporal_program


def namespace(server: TemporalServer, what: str, name: str) -> int:
    """Make or describe a namespace; the exit status says whether it went well."""
    asked = ["operator", "namespace", what, "--address", server.address, name]
    return subprocess.run([str(temporal_program()), *asked], capture_output=True, check=False).returncode


async def test_what_it_knows_survives_kill_9() -> None:
    with temporary_folder() as folder:
        async with TemporalServer(folder / "with space", pages=False) as server:
            assert namespace(server, "create", "kept") == 0
            server.kill()
            assert not server.running
            await server.start()
            assert namespace(server, "describe", "kept") == 0


async def test_its_pages_can_be_opened() -> None:
    with temporary_folder() as folder:
        async with TemporalServer(folder) as server:
            assert server.page_url is not None
            answer = await asyncio.to_thread(urllib.request.urlopen, server.page_url, timeout=10)
            with answer:
                assert answer.status == 200
