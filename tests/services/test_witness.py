"""A witness is asked about every checkpoint, holds up none, and is believed when it saw something else."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from domain.history_notes import COSIGNATURE, Note, SigningKey
from services.history import Checkpoints, Published, open_alarms
from services.keys import open_keys
from services.settings import Settings
from tests.services.ledgers import LOG, PATIENCE, following, reading, with_folders, write
from tests.services.witnesses import Witness, listening, our_own


@pytest.fixture
async def witness(settings: Settings, tmp_path: Path) -> AsyncIterator[Witness]:
    keys = with_folders(settings, tmp_path).keys_folder
    async with listening(our_own(lambda: open_keys(keys, LOG, LOG).chain)) as witness:
        yield witness


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return with_folders(settings, tmp_path)


async def settled(settings: Settings, position: int) -> Published:
    """Wait for a checkpoint that covers a position, and for what its witness says."""
    async with reading(settings) as connection:
        return await Checkpoints(connection).covering(position, PATIENCE, settled=True)


async def alarms(settings: Settings) -> list[str]:
    async with reading(settings) as connection:
        return [alarm.kind for alarm in await open_alarms(connection)]


async def test_a_witness_signs_every_checkpoint_that_follows_from_the_last(
    settings: Settings, witness: Witness
) -> None:
    settings = witness.watches(settings)
    async with following(settings):
        for number in range(1, 4):
            await write(settings, 1)
            published = await settled(settings, number)
            assert published.outcome == "cosigned"
            [signature] = Note.parse(published.encoded).signed_by([witness.public])
            assert abs(signature.time_seconds - time.time()) < 60
    assert witness.answers == [200, 200, 200]
    assert len(list(settings.checkpoints_folder.rglob("*.cosigned"))) == 3
    assert await alarms(settings) == []


async def test_its_absence_is_kept_and_holds_up_nothing(settings: Settings, witness: Witness) -> None:
    settings = witness.watches(settings).model_copy(update={"witness_url": "http://127.0.0.1:9"})
    async with following(settings):
        await write(settings, 1)
        published = await settled(settings, 1)

    assert published.outcome == "absent"
    assert published.encoded == published.note
    assert "refused" in (published.detail or "")
    assert await alarms(settings) == []


async def test_a_witness_that_does_not_answer_holds_up_no_checkpoint(
    settings: Settings, witness: Witness
) -> None:
    async def wait(_: bytes) -> tuple[int, str]:
        await asyncio.sleep(30)
        return 200, ""

    witness.instead = wait
    settings = witness.watches(settings)
    async with following(settings), reading(settings) as connection:
        begun = time.monotonic()
        for number in range(1, 4):
            await write(settings, 1)
            published = await Checkpoints(connection).covering(number, PATIENCE)
            assert published.size == number
        assert time.monotonic() - begun < 20


async def test_a_witness_that_comes_back_signs_what_came_meanwhile(
    settings: Settings, witness: Witness
) -> None:
    async def away(_: bytes) -> tuple[int, str]:
        return 503, "away"

    settings = witness.watches(settings)
    async with following(settings):
        await write(settings, 1)
        await settled(settings, 1)
        witness.instead = away
        await write(settings, 1)
        assert (await settled(settings, 2)).outcome == "refused"
        witness.instead = None
        await write(settings, 1)
        assert (await settled(settings, 3)).outcome == "cosigned"


async def test_a_witness_that_remembers_more_than_we_do_is_told_from_there(
    settings: Settings, witness: Witness
) -> None:
    """Its answer may have been lost on the way to us."""
    settings = witness.watches(settings)

    async def lose(body: bytes) -> tuple[int, str]:
        witness.instead = None
        status, _ = await witness.answer(body)
        assert status == 200
        return 500, "lost"

    async with following(settings):
        witness.instead = lose
        await write(settings, 1)
        assert (await settled(settings, 1)).outcome == "refused"
        await write(settings, 1)
        assert (await settled(settings, 2)).outcome == "cosigned"
    assert witness.answers == [500, 409, 200]


async def test_a_witness_that_saw_more_raises_the_alarm(settings: Settings, witness: Witness) -> None:
    settings = witness.watches(settings)
    witness.size = 99
    async with following(settings):
        await write(settings, 1)
        published = await settled(settings, 1)

    assert published.outcome == "refused"
    assert "it has signed 99 events, and the log holds 1" in (published.detail or "")
    assert await alarms(settings) == ["witness"]


async def test_a_witness_that_saw_another_tree_raises_the_alarm(settings: Settings, witness: Witness) -> None:
    settings = witness.watches(settings)
    witness.size, witness.root = 1, bytes(32)
    async with following(settings):
        await write(settings, 3)
        published = await settled(settings, 1)

    assert published.outcome == "refused"
    assert await alarms(settings) == ["witness"]


@pytest.mark.parametrize("line", ["", "nonsense\n", "— witness.example.org/w1 AAAAAAAA\n", "forged", "old"])
async def test_a_signature_that_is_none_is_not_kept(settings: Settings, witness: Witness, line: str) -> None:
    forger = SigningKey.make(witness.public.name, COSIGNATURE)

    async def sign(_: bytes) -> tuple[int, str]:
        if line == "forged":
            return 200, forger.sign("any\n", int(time.time())).line
        return 200, line

    witness.instead = sign
    settings = witness.watches(settings)
    async with following(settings):
        await write(settings, 1)
        published = await settled(settings, 1)

    assert published.outcome == "refused"
    assert published.encoded == published.note


async def test_a_signature_from_another_time_is_not_kept(settings: Settings, tmp_path: Path) -> None:
    key = SigningKey.make("witness.example.org/w1", COSIGNATURE)

    async def sign_long_ago(_: bytes) -> tuple[int, str]:
        async with reading(settings) as connection:
            published = await Checkpoints(connection).first_covering(1)
            assert published is not None
            return 200, key.sign(published.checkpoint.text, 1_000_000_000).line

    async with listening(our_own(list, key)) as witness:
        witness.instead = sign_long_ago
        watched = witness.watches(settings)
        async with following(watched):
            await write(settings, 1)
            published = await settled(settings, 1)

    assert published.outcome == "refused"
    assert "It signed at 1000000000" in (published.detail or "")
