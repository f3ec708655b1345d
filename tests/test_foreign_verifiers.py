"""Those who do not trust us need none of our code: the tools of others accept what is true, and only that.

The judges are Go's packages sumdb/note and sumdb/tlog, the Merkle functions of sigstore, and pymerkle.
"""

import asyncio
import base64
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pymerkle
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore.errors import VerificationError

from domain.history import (
    Node,
    Span,
    consistency_spans,
    inclusion_spans,
    leaf,
    leaf_hash,
    span_hash,
)
from domain.history_notes import Checkpoint, Note, PublicKey, SigningKey
from domain.history_tiles import RightEdge, Tile, hash_in_tile, tile_of, width_of
from projections import history
from services.history import Checkpoints, open_alarms
from services.settings import Settings
from tests.api.conftest import serving
from tests.services.ledgers import LOG, PATIENCE, following, publish, reading, with_folders, write
from tests.services.logbook import whole_log
from tests.services.witnesses import NAME, Signed, Submission, Witness, listening

SIZE = 700
LEAVES = [b"leaf %d" % number for number in range(SIZE)]
BUILD_SECONDS = 100


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


class OurTree:
    """A tree as we make it, and what we say proves something about it."""

    def __init__(self) -> None:
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.roots = [RightEdge().root()]
        edge = RightEdge()
        for data in LEAVES:
            self.tiles |= edge.add([leaf_hash(data)])
            self.roots.append(edge.root())

    def read(self, node: Node) -> bytes:
        return hash_in_tile(node, self.tiles[tile_of(node)])

    def inclusion(self, index: int, size: int) -> list[bytes]:
        return self._hashes(inclusion_spans(index, size))

    def consistency(self, old: int, size: int) -> list[bytes]:
        return self._hashes(consistency_spans(old, size))

    def _hashes(self, spans: list[Span]) -> list[bytes]:
        return [span_hash(span, self.read) for span in spans]


@pytest.fixture(scope="module")
def ours() -> OurTree:
    return OurTree()


class Judge:
    """The program of tests/judge, which answers case after case."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, kind: str, **case: Any) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"Kind": kind, **case}).encode() + b"\n")
        await self._process.stdin.drain()
        return (await self._process.stdout.readline()).decode().rstrip("\n")


@pytest.fixture(scope="module")
def judge_program(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The judge, built with the Go compiler and the packages that come with it; no network is used."""
    spec = find_spec("go")
    assert spec is not None
    assert spec.origin is not None
    root, folder = Path(spec.origin).parent, tmp_path_factory.mktemp("judge")
    packages = folder / "src" / "golang.org" / "x" / "mod" / "sumdb"
    for name in ("note", "tlog"):
        shutil.copytree(root / "src/cmd/vendor/golang.org/x/mod/sumdb" / name, packages / name)
    shutil.copytree(Path(__file__).parent / "judge", folder / "src" / "judge")
    environment = {
        **os.environ,
        "GO111MODULE": "off",
        "GOPATH": str(folder),
        "GOCACHE": str(request.config.cache.mkdir("go")),
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    program = folder / "judge-program"
    subprocess.run(
        [sys.executable, "-c", "from go import main; main()", "build", "-o", str(program), "judge"],
        env=environment,
        cwd=folder,
        check=True,
        timeout=BUILD_SECONDS,
    )
    return program


@pytest.fixture
async def judge(judge_program: Path) -> AsyncIterator[Judge]:
    process = await asyncio.create_subprocess_exec(
        str(judge_program), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    yield Judge(process)
    process.kill()
    await process.wait()


# ---- Go ------------------------------------------------------------------------------------------------


async def test_go_accepts_our_proofs_of_inclusion_and_no_others(ours: OurTree, judge: Judge) -> None:
    chance = random.Random(1)
    for _ in range(300):
        size = chance.randint(1, SIZE)
        index = chance.randrange(size)
        proof = ours.inclusion(index, size)
        case = {"Index": index, "Size": size, "Root2": encode(ours.roots[size])}

        right = await judge.ask("record", Leaf=encode(LEAVES[index]), Proof=[*map(encode, proof)], **case)
        wrong = await judge.ask("record", Leaf=encode(b"another"), Proof=[*map(encode, proof)], **case)

        assert right == "ok"
        assert wrong.startswith("no: ")


async def test_go_accepts_our_proofs_of_consistency_and_no_others(ours: OurTree, judge: Judge) -> None:
    chance = random.Random(2)
    for _ in range(300):
        size = chance.randint(1, SIZE)
        old = chance.randint(1, size)
        proof = [*map(encode, ours.consistency(old, size))]
        case = {"Old": old, "Size": size, "Root2": encode(ours.roots[size]), "Proof": proof}

        right = await judge.ask("tree", Root1=encode(ours.roots[old]), **case)
        wrong = await judge.ask("tree", Root1=encode(ours.roots[old - 1]), **case)

        assert right == "ok"
        assert wrong.startswith("no: ")


async def test_go_opens_our_checkpoints_with_our_keys(ours: OurTree, judge: Judge) -> None:
    key, stranger = SigningKey.make(LOG), SigningKey.make(LOG)
    note = Checkpoint(LOG, SIZE, ours.roots[SIZE]).sign(key).encoded

    assert await judge.ask("note", Note=encode(note), Key=key.public.encoded) == "ok"
    changed = note.replace(b"\n700\n", b"\n701\n")
    assert "invalid signature" in await judge.ask("note", Note=encode(changed), Key=key.public.encoded)
    assert "no verifiable signatures" in await judge.ask(
        "note", Note=encode(note), Key=stranger.public.encoded
    )


@asynccontextmanager
async def visiting(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody of whom nothing is known, at the open doors of the site."""
    async with serving(settings) as address, httpx.AsyncClient(base_url=address, timeout=20) as client:
        yield client


async def key_of(client: httpx.AsyncClient) -> str:
    """Ask the site for the one key of its log."""
    [key] = (await client.get("/api/v1/history/keys")).json()["keys"]
    return str(key)


async def test_go_follows_the_log_over_http_by_its_tiles_alone(settings: Settings, judge: Judge) -> None:
    await write(settings, SIZE)
    await publish(settings)
    events, tiles = await whole_log(settings.reader_url), {}
    async with visiting(settings) as client:
        note = (await client.get("/checkpoint")).content
        for level in range(2):
            for number in range(-(-SIZE // 256 ** (level + 1))):
                path = Tile(level, number, width_of(level, number, SIZE)).path
                tiles[path] = encode((await client.get(f"/tile/{path}")).raise_for_status().content)
        case = {"Note": encode(note), "Key": await key_of(client), "Tiles": tiles}

    for index in (0, 255, 256, 511, 512, 699):
        assert await judge.ask("tiles", Leaf=encode(leaf(events[index])), Index=index, **case) == "ok"
        wrong = encode(leaf(events[index - 1]))
        assert "another leaf" in await judge.ask("tiles", Leaf=wrong, Index=index, **case)


async def test_go_accepts_the_proofs_that_go_out_over_http(settings: Settings, judge: Judge) -> None:
    await write(settings, 300)
    old = Checkpoint.parse(Note.parse((await publish(settings)).note).text)
    await write(settings, 400)
    await publish(settings)
    event = (await whole_log(settings.reader_url))[7]
    async with visiting(settings) as client:
        key, checkpoint = await key_of(client), (await client.get("/checkpoint")).content
        inclusion = (await client.get(f"/api/v1/events/{event.position}/proof", params={"size": 700})).json()
        consistency = (await client.get("/api/v1/history/consistency", params={"old": 300})).json()
    new = Checkpoint.parse(Note.parse(checkpoint).text)
    whole = {"Size": new.size, "Root2": encode(new.root)}

    assert await judge.ask("note", Note=encode(checkpoint), Key=key) == "ok"
    asked = {"Leaf": encode(leaf(event)), "Index": inclusion["index"], "Proof": inclusion["proof"]}
    assert await judge.ask("record", **asked, **whole) == "ok"
    grown = {"Old": old.size, "Root1": encode(old.root), "Proof": consistency["proof"]}
    assert await judge.ask("tree", **grown, **whole) == "ok"


# ---- sigstore and pymerkle -----------------------------------------------------------------------------


def test_sigstore_accepts_our_proofs_of_inclusion_and_no_others(ours: OurTree) -> None:
    def entry(data: bytes, index: int, size: int) -> Any:
        proof = SimpleNamespace(
            log_index=index, tree_size=size, hashes=ours.inclusion(index, size), root_hash=ours.roots[size]
        )
        return SimpleNamespace(_inner=SimpleNamespace(inclusion_proof=proof, canonicalized_body=data))

    chance = random.Random(3)
    for _ in range(1_000):
        size = chance.randint(1, SIZE)
        index = chance.randrange(size)
        verify_merkle_inclusion(entry(LEAVES[index], index, size))
        with pytest.raises(VerificationError):
            verify_merkle_inclusion(entry(b"another", index, size))


def test_pymerkle_comes_to_our_roots_and_our_proofs(ours: OurTree) -> None:
    theirs = pymerkle.InmemoryTree(algorithm="sha256")
    theirs.append_entries(LEAVES)

    chance = random.Random(4)
    for size in (1, 2, 3, 255, 256, 257, 511, 512, 513, SIZE):
        assert theirs.get_root(size) == ours.roots[size]
        index = chance.randrange(size)
        proof = theirs.prove_inclusion(index + 1, size)
        assert proof.path[1:] == ours.inclusion(index, size)
        pymerkle.verify_inclusion(leaf_hash(LEAVES[index]), ours.roots[size], proof)
        old = chance.randint(1, size)
        pymerkle.verify_consistency(ours.roots[old], ours.roots[size], theirs.prove_consistency(old, size))


# ---- a witness -----------------------------------------------------------------------------------------


def judged_by(judge: Judge, log_key: Callable[[], PublicKey]) -> Witness:
    """A witness whose judgement and whose signature are Go's."""
    seed = bytes(range(32))
    public = PublicKey(NAME, Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw(), 4)

    async def ask(submission: Submission, root: bytes) -> Signed | None:
        answer = await judge.ask(
            "witness",
            Note=encode(submission.note),
            Key=log_key().encoded,
            Old=submission.old,
            Root1=encode(root),
            Proof=[*map(encode, submission.proof)],
            Seed=encode(seed),
            Name=NAME,
            Time=int(time.time()),
        )
        if answer.startswith("no: "):
            return None
        size, signed_root, line = answer.split(" ", 2)
        return Signed(int(size), base64.b64decode(signed_root), f"{line}\n")

    return Witness(ask, public)


async def test_a_witness_that_is_not_ours_signs_our_history_and_no_fork_of_it(
    settings: Settings, tmp_path: Path, judge: Judge
) -> None:
    settings = with_folders(settings, tmp_path)
    key = history.log_keys(settings).signing.public
    async with listening(judged_by(judge, lambda: key)) as witness:
        settings = witness.watches(settings)
        async with following(settings), reading(settings) as connection:
            checkpoints = Checkpoints(connection)
            for number, events in ((1, 1), (2, 4), (6, 300)):
                await write(settings, events)
                published = await checkpoints.covering(number, PATIENCE, settled=True)
                assert published.outcome == "cosigned"
                Note.parse(published.encoded).signed_by([witness.public])
            witness.root = bytes(32)
            await write(settings, 1)
            assert (await checkpoints.covering(306, PATIENCE, settled=True)).outcome == "refused"
            assert [alarm.kind for alarm in await open_alarms(connection)] == ["witness"]
    assert witness.answers == [200, 200, 200, 422]
