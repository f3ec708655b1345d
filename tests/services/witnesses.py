"""A witness for the tests: it speaks C2SP tlog-witness, remembers what it signed, and refuses forks.

What it thinks of a checkpoint and a proof is said by a function that the test gives, so that the judgement
can be that of a program which is not ours.
"""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from domain.history import EMPTY_ROOT, extends
from domain.history_notes import COSIGNATURE, NoteError, PublicKey, SigningKey, open_checkpoint
from services.settings import Settings

NAME = "witness.example.org/w1"


@dataclass(frozen=True)
class Submission:
    """What a log sends: the size that it believes was signed last, a proof, and a checkpoint."""

    old: int
    proof: Sequence[bytes]
    note: bytes


@dataclass(frozen=True)
class Signed:
    """What a witness makes of it: what it remembers from now on, and its signature."""

    size: int
    root: bytes
    line: str


@dataclass
class Witness:
    """Somebody who signs only what grew from what he signed before."""

    judge: Callable[[Submission, bytes], Awaitable[Signed | None]]
    """Returns None when the checkpoint does not extend what has this root."""
    public: PublicKey
    size: int = 0
    root: bytes = EMPTY_ROOT
    answers: list[int] = field(default_factory=list)
    """The status of every answer."""
    instead: Callable[[bytes], Awaitable[tuple[int, str]]] | None = None
    """What it answers when it is not itself."""
    url: str = ""

    async def answer(self, body: bytes) -> tuple[int, str]:
        """Answer a submission."""
        if self.instead:
            return await self.instead(body)
        head, _, note = body.partition(b"\n\n")
        first, *proof = head.decode().split("\n")
        submission = Submission(int(first.removeprefix("old ")), [*map(base64.b64decode, proof)], note)
        if submission.old != self.size:
            return 409, f"{self.size}\n"
        signed = await self.judge(submission, self.root)
        if signed is None:
            return 422, "no consistency\n"
        if signed.size == self.size and signed.root != self.root:
            return 409, f"{self.size}\n"
        self.size, self.root = signed.size, signed.root
        return 200, signed.line

    def watches(self, settings: Settings) -> Settings:
        """Return settings by which this witness is asked."""
        return settings.model_copy(update={"witness_url": self.url, "witness_key": self.public.encoded})

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        lengths = [line.split(":")[1] for line in head if line.lower().startswith("content-length")]
        body = await reader.readexactly(int(lengths[0]))
        status, text = await self.answer(body) if head[0].startswith("POST /add-checkpoint ") else (404, "")
        self.answers.append(status)
        length = len(text.encode())
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}".encode()
        )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def listening(witness: Witness) -> AsyncIterator[Witness]:
    """Let a witness listen on this machine."""
    server = await asyncio.start_server(witness._serve, "127.0.0.1", 0)
    async with server:
        witness.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield witness


def our_own(log_keys: Callable[[], Sequence[PublicKey]], key: SigningKey | None = None) -> Witness:
    """A witness who judges by our own functions."""
    signing = key or SigningKey.make(NAME, COSIGNATURE)

    async def judge(submission: Submission, root: bytes) -> Signed | None:
        try:
            checkpoint = open_checkpoint(submission.note, log_keys())
        except NoteError:
            return None
        if not extends(root, submission.old, checkpoint.root, checkpoint.size, submission.proof):
            return None
        line = signing.sign(checkpoint.text, int(time.time())).line
        return Signed(checkpoint.size, checkpoint.root, line)

    return Witness(judge, signing.public)
