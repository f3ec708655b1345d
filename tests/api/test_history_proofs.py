"""The proofs of the history as they go out over HTTP: to people, to packs, and to the tools of others."""

import base64
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from domain.history import extends, includes
from domain.history_notes import PublicKey, open_checkpoint
from tests.api.conftest import Site, problem_of
from tests.api.test_rounds import issued
from tests.cast import KENYA, PERU, Office


def hashes(proof: dict[str, Any]) -> list[bytes]:
    return [base64.b64decode(each) for each in proof["proof"]]


async def keys_of(site: Site) -> list[PublicKey]:
    return [PublicKey.parse(key) for key in (await site.read("/history/keys"))["keys"]]


async def proof_of(site: Site, position: int) -> dict[str, Any]:
    """Ask for the proof of an event; it needs nobody to be known."""
    async with site.stranger() as stranger:
        response = await stranger.get(f"/api/v1/events/{position}/proof")
    assert response.status_code == 200, response.text
    proof: dict[str, Any] = response.json()
    return proof


async def test_an_event_is_proven_by_a_signed_checkpoint_as_soon_as_somebody_asks(
    site: Site, office: Office
) -> None:
    proof = await proof_of(site, site.position)

    checkpoint = open_checkpoint(proof["checkpoint"].encode(), await keys_of(site))
    assert checkpoint.size == proof["size"] > proof["index"]
    leaf_hash = base64.b64decode(proof["leaf_hash"])
    assert includes(checkpoint.root, checkpoint.size, proof["index"], leaf_hash, hashes(proof))
    assert not includes(checkpoint.root, checkpoint.size, proof["index"], bytes(32), hashes(proof))
    assert await proof_of(site, site.position) == proof, "the same for ever"


async def test_whoever_kept_a_checkpoint_sees_that_the_log_has_only_grown(site: Site, office: Office) -> None:
    async with site.stranger() as stranger:
        await proof_of(site, site.position)
        before = await stranger.get("/checkpoint")
        assert before.headers["content-type"] == "text/plain; charset=utf-8"
        await issued(site)
        await proof_of(site, await site.log_position())
        keys = await keys_of(site)
        old, new = (
            open_checkpoint(note.content, keys) for note in (before, await stranger.get("/checkpoint"))
        )
        response = await stranger.get("/api/v1/history/consistency", params={"old": old.size})

    proof = response.json()
    assert (proof["old"], proof["new"]) == (old.size, new.size)
    assert new.size > old.size
    assert extends(old.root, old.size, new.root, new.size, hashes(proof))


async def test_a_tile_is_given_for_ever_and_one_that_is_not_there_is_not(site: Site, office: Office) -> None:
    await proof_of(site, site.position)
    async with site.stranger() as stranger:
        tile = await stranger.get("/tile/0/000.p/3")
        assert len(tile.content) == 96
        assert "immutable" in tile.headers["cache-control"]
        for path in ("0/000", "0/x001/000", "7/000.p/1", "entries/000", "0/0", "0/000.p/0"):
            assert (await stranger.get(f"/tile/{path}")).status_code == 404


async def test_what_cannot_be_proven_is_refused_and_said_why(site: Site, office: Office) -> None:
    problem_of(await site.get("/events/99999/proof"), 404, "not-found")
    problem = problem_of(await site.get("/history/consistency", old=99_999), 422, "invalid")
    assert problem["faults"][0]["where"] == "query/old"
    await proof_of(site, site.position)
    problem = problem_of(await site.get(f"/events/{site.position}/proof", size=1), 422, "invalid")
    assert problem["faults"][0]["where"] == "query/size"


def verified(pack: bytes, folder: Path) -> dict[str, Any]:
    """Verify a pack as its receiver does: by the program in it, in a Python that has none of our code."""
    with zipfile.ZipFile(io.BytesIO(pack)) as archive:
        archive.extractall(folder)
    done = subprocess.run(
        [sys.executable, "-I", "mandate_verify.py", "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


async def pack_of(site: Site, path: str, **parameters: Any) -> httpx.Response:
    response = await site.get(f"/history/packs{path}", **parameters)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/zip"
    return response


def events_in(pack: httpx.Response) -> list[dict[str, Any]]:
    with zipfile.ZipFile(io.BytesIO(pack.content)) as archive:
        return [json.loads(line) for line in archive.read("events.jsonl").splitlines()]


async def test_a_pack_is_verified_without_us(site: Site, office: Office, tmp_path: Path) -> None:
    pack = await pack_of(site, f"/record/{KENYA}")

    verified(pack.content, tmp_path / "pack")
    expected = (await site.read(f"/records/{KENYA}/events"))["items"]
    assert [event["position"] for event in events_in(pack)] == [event["position"] for event in expected]


async def test_the_same_question_at_the_same_position_has_the_same_bytes(site: Site, office: Office) -> None:
    first = await pack_of(site, f"/party/{KENYA}")
    await issued(site)
    again = await pack_of(site, f"/party/{KENYA}", as_of=first.headers["Event-Position"])
    later = await pack_of(site, f"/party/{KENYA}")

    assert again.content == first.content
    assert again.headers["Content-Disposition"] == first.headers["Content-Disposition"]
    assert len(events_in(later)) > len(events_in(first))


async def test_a_pack_of_a_round_holds_its_letters_and_answers(
    site: Site, office: Office, tmp_path: Path
) -> None:
    round_id = await issued(site)
    kinds = {event["topic"] for event in events_in(await pack_of(site, f"/round/{round_id}"))}
    assert {"domain.rounds:Round.Issued", "domain.letters:Letter.Planned"} <= kinds
    span = await pack_of(site, "", first=1, last=99_999)
    verified(span.content, tmp_path / "span")
    assert [event["index"] for event in events_in(span)] == list(range(len(events_in(span))))
    problem_of(await site.get(f"/history/packs/round/{uuid4()}"), 404, "not-found")


async def test_a_party_takes_along_its_own_history_and_no_other(site: Site, office: Office) -> None:
    round_id = await issued(site)
    async with site.speaking_for("KEN") as kenya:
        kenya.position = site.position
        await pack_of(kenya, f"/party/{KENYA}")
        await pack_of(kenya, f"/record/{KENYA}")
        for path in (f"/party/{PERU}", f"/record/{PERU}", f"/round/{round_id}", f"/record/{round_id}"):
            problem_of(await kenya.get(f"/history/packs{path}"), 404, "not-found")
        problem_of(await kenya.get("/history/packs", first=1, last=5), 404, "not-found")
