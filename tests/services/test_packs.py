"""Evidence packs: whole, the same at every asking, verified without us, and not to be forged."""

import ast
import asyncio
import hashlib
import io
import json
import random
import subprocess
import sys
import zipfile
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import StoredEvent
from psycopg_pool import AsyncConnectionPool

from domain.history_notes import Checkpoint, SigningKey
from domain.questionnaires import Questionnaire
from domain.refusals import Invalid, NotFound
from domain.rounds import invitation_id
from projections import history
from services import packs as module
from services.history import Checkpoints
from services.history_tree import Tree
from services.keys import open_keys, rotate
from services.log import Log, LogReader
from services.packs import Pack, Packs, Question
from services.questionnaires import TakeIn
from services.rounds import SubmitResponse
from services.settings import Settings
from services.verify import mandate_verify
from services.wiring import Services
from tests.cast import ALBANIA, KENYA, Office, a_form
from tests.services.ledgers import LOG, following, publish, reading, with_folders, write
from tests.services.logbook import an_entry
from tests.services.witnesses import listening, our_own

Files = dict[str, bytes]


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with folders of the test's own."""
    return with_folders(settings, tmp_path)


@pytest.fixture
async def packs(settings: Settings) -> AsyncIterator[Packs]:
    """Packs as the site makes them."""
    async with AsyncConnectionPool(
        settings.reader_url, min_size=1, kwargs={"autocommit": True}, open=False
    ) as pool:
        yield Packs(pool)


@dataclass
class Story:
    """A round with answers, in a log that was published about."""

    position: int
    invitation: UUID
    questionnaire: UUID
    document: bytes

    @property
    def about_kenya(self) -> Question:
        return Question("What Kenya <was> asked", (self.invitation,))


@pytest.fixture
async def story(settings: Settings, services: Services) -> Story:
    """Kenya and Albania are asked, and Kenya answers; the questionnaire's spreadsheet is kept."""
    office = Office(services)
    document = b"the spreadsheet, as it came"
    kept = await services.documents.keep("application/x-spreadsheet", document)
    round_id = await office.with_open_round(KENYA, ALBANIA)
    await office.do(TakeIn(form=a_form("2"), spreadsheet_sha256=kept, xform_sha256="1" * 64))
    kenya = invitation_id(round_id, KENYA)
    await office.do(SubmitResponse(invitation_id=kenya, answers={"areas": ["law"], "remark": "<b>نعم</b>"}))
    await publish(settings)
    async with reading(settings) as connection:
        position = await LogReader(connection).position()
    return Story(position, kenya, Questionnaire.id_of("needs"), document)


def files_of(pack: Pack | bytes) -> Files:
    content = pack if isinstance(pack, bytes) else pack.content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def verify(path: Path, *more: str) -> tuple[int, str]:
    """Run the verifier, and return how it ended and what it said."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = mandate_verify.main([str(path), *more])
    return code, said.getvalue()


def verified(tmp_path: Path, pack: Pack | Files, *more: str) -> tuple[int, str]:
    """Verify a pack, or files that somebody put together with a table of contents that fits."""
    path = tmp_path / f"{uuid4().hex}.zip"
    if isinstance(pack, Pack):
        path.write_bytes(pack.content)
        return verify(path, *more)
    with suppress(ValueError, TypeError, KeyError):
        manifest = json.loads(pack["manifest.json"])
        manifest["files"] = {
            name: {"sha256": hashlib.sha256(content).hexdigest()}
            for name, content in pack.items()
            if name != "manifest.json"
        }
        pack = {**pack, "manifest.json": json.dumps(manifest).encode()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in pack.items():
            archive.writestr(name, content)
    return verify(path, *more)


# ---- what is in it -------------------------------------------------------------------------------------


async def test_the_pack_of_a_record_holds(packs: Packs, story: Story, tmp_path: Path) -> None:
    pack = await packs.make(story.about_kenya, story.position)

    code, said = verified(tmp_path, pack)

    assert code == 0, said
    assert "2 events in events.jsonl" in said
    assert "The history of 1 record from the first event on, none missing between." in said
    assert "Whether the key is the log's." in said
    assert "no witness has signed" in said
    assert "The pack holds." in said


async def test_the_pack_of_the_whole_log_makes_the_root(packs: Packs, story: Story, tmp_path: Path) -> None:
    pack = await packs.make(Question("Everything"), story.position)

    code, said = verified(tmp_path, pack)

    assert code == 0, said
    assert "These are all events of the log: they make the root that was signed." in said


async def test_the_pack_of_a_span_has_all_between(packs: Packs, story: Story, tmp_path: Path) -> None:
    pack = await packs.make(Question("A week", first=5, last=12), story.position)

    assert pack.events == 8
    code, said = verified(tmp_path, pack)
    assert code == 0, said
    assert "All events between the first and the last of these are here; none is missing." in said


async def test_documents_come_with_the_events_that_name_them(
    packs: Packs, story: Story, tmp_path: Path
) -> None:
    pack = await packs.make(Question("The form", (story.questionnaire,)), story.position)

    name = f"documents/{hashlib.sha256(story.document).hexdigest()}"
    assert files_of(pack)[name] == story.document
    code, said = verified(tmp_path, pack)
    assert code == 0, said
    assert "1 document, named in the events by their hash." in said
    assert f"Documents that are named but not in the pack: {'0' * 64}; {'1' * 64}" in said


async def test_the_same_question_at_the_same_position_gives_the_same_bytes(
    packs: Packs, story: Story, settings: Settings
) -> None:
    first = await packs.make(story.about_kenya, story.position)
    await write(settings, 40)
    await publish(settings)

    again = await packs.make(story.about_kenya, story.position)

    assert first.content == again.content
    assert first.file_name == again.file_name


async def test_a_pack_shows_what_was_known_then_and_not_later(
    packs: Packs, story: Story, settings: Settings
) -> None:
    async with reading(settings) as connection:
        stream = await LogReader(connection).stream(story.invitation)

    before = await packs.make(story.about_kenya, stream[1].position - 1)

    assert (before.events, len(stream)) == (1, 2)


async def test_it_asks_for_the_checkpoint_that_it_needs(
    packs: Packs, settings: Settings, tmp_path: Path
) -> None:
    async with following(settings):
        record = await write(settings, 3)
        first = await packs.make(Question("One", (record,)), 3)
        await write(settings, 2, record, first=4)
        second = await packs.make(Question("One", (record,)), 5)

    assert (first.checkpoint.size, second.checkpoint.size) == (3, 5)
    code, said = verified(tmp_path, second)
    assert code == 0, said
    assert "2 checkpoints" in said
    assert "All its checkpoints are of one history that only grew." in said


async def test_people_can_read_it_without_a_server(packs: Packs, story: Story) -> None:
    async def names(ids: set[UUID]) -> dict[UUID, str]:
        assert story.invitation in ids
        return {story.invitation: "Kenya & the <needs>", KENYA: "Kenya"}

    pack = await packs.make(story.about_kenya, story.position, names)

    html = files_of(pack)["index.html"].decode()
    assert "<h1><bdi>What Kenya &lt;was&gt; asked</bdi></h1>" in html
    assert "Kenya &amp; the &lt;needs&gt;" in html
    assert "&lt;b&gt;نعم&lt;/b&gt;" in html
    assert "<b>" not in html
    assert "<script" not in html
    assert "Invitation: " in html
    assert str(story.position) in html


async def test_the_page_is_read_in_a_browser_as_it_is_in_the_file(packs: Packs, story: Story) -> None:
    """Whatever the page shows of a field, the field stands in the stored event."""
    pack = await packs.make(story.about_kenya, story.position)
    files = files_of(pack)

    lines = [json.loads(line) for line in files["events.jsonl"].splitlines()]

    assert [line["version"] for line in lines] == [1, 2]
    for line in lines:
        assert f"<td>{line['position']}</td>" in files["index.html"].decode()
        assert files[f"leaves/{line['index']:012d}.leaf"].endswith(
            json.dumps(line["state"], ensure_ascii=False, separators=(",", ":")).encode()
        )


async def test_events_that_are_no_json_come_as_bytes(
    packs: Packs, settings: Settings, tmp_path: Path
) -> None:
    record = uuid4()
    async with Log(settings.writer_url) as log:
        await log.append(an_entry(StoredEvent(record, 1, "tests:Odd", b"\xff\x00\n")))
    await publish(settings)

    code, said = verified(tmp_path, await packs.make(Question("Odd", (record,)), 1))

    assert code == 0, said


async def test_what_is_not_there_is_refused(packs: Packs, story: Story) -> None:
    with pytest.raises(NotFound, match="There is no event of the record"):
        await packs.make(Question("Nobody", (story.invitation, uuid4())), story.position)
    with pytest.raises(NotFound, match="from position 9000"):
        await packs.make(Question("Later", first=9000, last=9001), story.position)


async def test_too_much_for_one_file_is_refused(
    packs: Packs, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVENTS_LIMIT", 3)

    with pytest.raises(Invalid, match="up to 3 events"):
        await packs.make(Question("Everything"), story.position)


# ---- without us ----------------------------------------------------------------------------------------


async def test_the_verifier_in_the_pack_runs_where_mandate_is_not(
    packs: Packs, story: Story, tmp_path: Path
) -> None:
    pack = await packs.make(story.about_kenya, story.position)
    with zipfile.ZipFile(io.BytesIO(pack.content)) as archive:
        archive.extractall(tmp_path / "unpacked")

    # -I: neither the folder of the project nor any variable leads Python to our packages.
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-I", "mandate_verify.py"],
        cwd=tmp_path / "unpacked",
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "The pack holds." in ended.stdout


def test_the_verifier_needs_only_python_and_cryptography() -> None:
    tree = ast.parse(Path(mandate_verify.__file__).read_text(encoding="utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert imported - set(sys.stdlib_module_names) == {"cryptography"}


# ---- whose it is ---------------------------------------------------------------------------------------


async def test_a_key_that_one_was_told_is_held_against_the_pack(
    packs: Packs, story: Story, settings: Settings, tmp_path: Path
) -> None:
    pack = await packs.make(story.about_kenya, story.position)
    ours = open_keys(settings.keys_folder, "", LOG).signing.public.encoded
    (tmp_path / "key").write_text(ours + "\n")

    for key in (ours, str(tmp_path / "key")):
        code, said = verified(tmp_path, pack, "--key", key)
        assert code == 0, said
        assert "The key that you gave is a key of this log." in said
    code, said = verified(tmp_path, pack, "--key", SigningKey.make(LOG).public.encoded)
    assert code == 1
    assert "None of the keys that you gave is a key of this pack" in said


async def test_a_key_leads_to_those_that_followed_it(
    packs: Packs, story: Story, settings: Settings, tmp_path: Path
) -> None:
    old = open_keys(settings.keys_folder, "", LOG)
    rotate(settings.keys_folder, rotate(settings.keys_folder, old))
    await write(settings, 1)
    await publish(settings)
    pack = await packs.make(Question("Everything"), story.position + 1)

    code, said = verified(tmp_path, pack, "--key", old.signing.public.encoded)
    assert code == 0, said
    assert "Each of the 3 keys was named by the one before it." in said

    files = files_of(pack)
    del files["keys/0002.rotation"]
    code, said = verified(tmp_path, files)
    assert code == 1
    assert "does not say what follows" in said


async def test_a_checkpoint_that_one_kept_is_held_against_the_pack(
    packs: Packs, story: Story, settings: Settings, tmp_path: Path
) -> None:
    async with reading(settings) as connection:
        kept = await Checkpoints(connection).newest()
    assert kept is not None
    (tmp_path / "kept").write_bytes(kept.encoded)
    await write(settings, 30)
    await publish(settings)
    whole = await packs.make(Question("Everything"), story.position + 30)
    part = await packs.make(Question("The end", first=story.position + 5), story.position + 30)

    code, said = verified(tmp_path, whole, "--checkpoint", str(tmp_path / "kept"))
    assert code == 0, said
    assert "It is the history of the checkpoint that you gave" in said

    code, said = verified(tmp_path, part, "--checkpoint", str(tmp_path / "kept"))
    assert code == 0, said
    assert f"Ask for the proof of consistency from {kept.size} to {kept.size + 30}" in said

    async with reading(settings) as connection:
        proof = await Tree(connection).consistency(kept.size, kept.size + 30)
    given = {
        "old": kept.size,
        "new": kept.size + 30,
        "proof": [b64encode(hash).decode() for hash in proof],
    }
    (tmp_path / "proof").write_text(json.dumps(given))
    more = ("--checkpoint", str(tmp_path / "kept"), "--consistency", str(tmp_path / "proof"))
    code, said = verified(tmp_path, part, *more)
    assert code == 0, said
    assert "It is the history of the checkpoint that you gave" in said


async def test_a_checkpoint_of_another_history_is_found(
    packs: Packs, story: Story, settings: Settings, tmp_path: Path
) -> None:
    """The log's own key signed another history of the same size: somebody was shown another one."""
    key = open_keys(settings.keys_folder, "", LOG).signing
    for size in (story.position, 3):
        (tmp_path / "kept").write_bytes(Checkpoint(LOG, size, bytes(32)).sign(key).encoded)
        pack = await packs.make(Question("Everything"), story.position)

        code, said = verified(tmp_path, pack, "--checkpoint", str(tmp_path / "kept"))

        assert code == 1
        assert "It is not the history of the checkpoint that you gave" in said


async def test_a_witness_is_shown_with_the_time_at_which_it_signed(
    packs: Packs, settings: Settings, tmp_path: Path
) -> None:
    async with listening(our_own(lambda: history.log_keys(settings).chain)) as witness:
        watched = witness.watches(settings)
        async with following(watched):
            record = await write(settings, 2)
            pack = await packs.make(Question("Two", (record,)), 2)

    code, said = verified(tmp_path, pack)
    assert code == 0, said
    assert "The witness witness.example.org/w1 signed that it saw this history grow, on " in said

    files = files_of(pack)
    files["keys/witness.public"] = SigningKey.make("witness.example.org/w1", 4).public.encoded.encode()
    code, said = verified(tmp_path, files)
    assert code == 1
    assert "is not over this checkpoint" in said


# ---- forged --------------------------------------------------------------------------------------------


def lines(files: Files, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in files[name].splitlines()]


def put(files: Files, name: str, found: list[dict[str, Any]]) -> None:
    files[name] = b"".join(json.dumps(line).encode() + b"\n" for line in found)


def flip_a_leaf(files: Files) -> None:
    name = min(name for name in files if name.startswith("leaves/"))
    files[name] = files[name].replace(b"person", b"pers/n", 1)


def change_what_is_shown(files: Files) -> None:
    found = lines(files, "events.jsonl")
    found[0]["state"]["by"] = "person:somebody-else"
    put(files, "events.jsonl", found)


def show_one_for_true(files: Files) -> None:
    files["events.jsonl"] = files["events.jsonl"].replace(
        b'"originator_version":1,', b'"originator_version":1.0,'
    )


def change_an_event_and_its_leaf(files: Files) -> None:
    for name in files:
        if name.startswith("leaves/") or name == "events.jsonl":
            files[name] = files[name].replace(b"2026", b"2025")


def remove_an_event(files: Files) -> None:
    found = lines(files, "events.jsonl")
    del files[f"leaves/{found[0]['index']:012d}.leaf"]
    put(files, "events.jsonl", found[1:])


def remove_all_events(files: Files) -> None:
    for line in lines(files, "events.jsonl"):
        del files[f"leaves/{line['index']:012d}.leaf"]
    files["events.jsonl"] = b""


def hide_an_event(files: Files) -> None:
    put(files, "events.jsonl", lines(files, "events.jsonl")[1:])


def swap_two_events(files: Files) -> None:
    found = lines(files, "events.jsonl")
    one, other = (f"leaves/{found[n]['index']:012d}.leaf" for n in (0, 1))
    files[one], files[other] = files[other], files[one]
    found[0]["index"], found[1]["index"] = found[1]["index"], found[0]["index"]
    put(files, "events.jsonl", found)


def repeat_an_event(files: Files) -> None:
    found = lines(files, "events.jsonl")
    put(files, "events.jsonl", [found[0], *found])


def add_an_event(files: Files) -> None:
    found = lines(files, "events.jsonl")
    index = found[-1]["index"] + 1
    files[f"leaves/{index:012d}.leaf"] = files[f"leaves/{found[-1]['index']:012d}.leaf"]
    put(files, "events.jsonl", [*found, {**found[-1], "index": index, "position": index + 1}])


def change_a_proof(files: Files) -> None:
    found = lines(files, "proofs/inclusion.jsonl")
    found[0]["proof"][0] = found[0]["proof"][1]
    put(files, "proofs/inclusion.jsonl", found)


def drop_a_proof(files: Files) -> None:
    put(files, "proofs/inclusion.jsonl", lines(files, "proofs/inclusion.jsonl")[1:])


def sign_by_another_key(files: Files) -> None:
    [name] = [name for name in files if name.startswith("checkpoints/")]
    text = files[name].decode().split("\n")
    checkpoint = Checkpoint(text[0], int(text[1]), bytes(32))
    files[name] = checkpoint.sign(SigningKey.make(LOG)).encoded


def another_checkpoint_beside(files: Files) -> None:
    [name] = [name for name in files if name.startswith("checkpoints/")]
    files["checkpoints/extra.checkpoint"] = files[name].replace(LOG.encode(), b"other.example.org/log")


def no_checkpoint(files: Files) -> None:
    for name in [name for name in files if name.startswith("checkpoints/")]:
        del files[name]


def not_json(files: Files) -> None:
    files["events.jsonl"] += b"{\n"


def deep_json(files: Files) -> None:
    files["events.jsonl"] += b'{"a":' * 100_000 + b"\n"


FORGERIES: list[tuple[Callable[[Files], None], str]] = [
    (flip_a_leaf, "shows another event than the stored bytes"),
    (change_what_is_shown, "shows another event than the stored bytes"),
    (show_one_for_true, "shows another event than the stored bytes"),
    (change_an_event_and_its_leaf, "it is not the event of the history"),
    (remove_an_event, "is missing, or stands elsewhere"),
    (remove_all_events, "holds no event"),
    (hide_an_event, "leaves that events.jsonl does not show"),
    (swap_two_events, "does not stand where it says"),
    (repeat_an_event, "leaves that events.jsonl does not show"),
    (add_an_event, "it is not the event of the history"),
    (change_a_proof, "it is not the event of the history"),
    (drop_a_proof, "it is not the event of the history"),
    (sign_by_another_key, "is not signed by a key of this log"),
    (another_checkpoint_beside, "is not signed by a key of this log"),
    (no_checkpoint, "lacks the checkpoint"),
    (not_json, "is not JSON"),
    (deep_json, "is not JSON"),
]


@pytest.mark.parametrize(("forge", "reason"), FORGERIES, ids=lambda part: getattr(part, "__name__", ""))
async def test_a_forged_pack_does_not_hold_though_its_table_of_contents_fits(
    packs: Packs, story: Story, tmp_path: Path, forge: Callable[[Files], None], reason: str
) -> None:
    files = files_of(await packs.make(story.about_kenya, story.position))
    assert verified(tmp_path, dict(files))[0] == 0

    forge(files)

    code, said = verified(tmp_path, files)
    assert code == 1, said
    assert reason in said
    assert "THE PACK DOES NOT HOLD." in said


async def test_an_event_that_is_missing_from_a_span_is_noticed(
    packs: Packs, story: Story, tmp_path: Path
) -> None:
    files = files_of(await packs.make(Question("Everything"), story.position))
    found = lines(files, "events.jsonl")
    del files[f"leaves/{found[4]['index']:012d}.leaf"]
    put(files, "events.jsonl", found[:4] + found[5:])

    code, said = verified(tmp_path, files)

    assert code == 1
    assert f"Position {found[5]['position']}: events before this one are missing" in said


async def test_a_document_that_was_exchanged_is_noticed(packs: Packs, story: Story, tmp_path: Path) -> None:
    files = files_of(await packs.make(Question("The form", (story.questionnaire,)), story.position))
    name = next(name for name in files if name.startswith("documents/"))

    code, said = verified(tmp_path, {**files, name: b"another"})
    assert code == 1
    assert "was changed" in said

    other = f"documents/{hashlib.sha256(b'another').hexdigest()}"
    code, said = verified(tmp_path, {**files, other: b"another"})
    assert code == 1
    assert "No event here names the document" in said


async def test_a_damaged_file_is_named(packs: Packs, story: Story, tmp_path: Path) -> None:
    pack = await packs.make(story.about_kenya, story.position)
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(io.BytesIO(pack.content)) as archive:
        archive.extractall(folder)
    (folder / "README.txt").write_text("Believe me.")
    (folder / "extra").write_text("")

    code, said = verify(folder)

    assert code == 1
    assert "README.txt was changed" in said
    assert "extra is not in the table of contents" in said


async def test_nothing_that_is_mangled_ends_it_in_another_way(
    packs: Packs, story: Story, tmp_path: Path
) -> None:
    files, chance = files_of(await packs.make(story.about_kenya, story.position)), random.Random(5)
    proving = ("leaves/", "checkpoints/", "keys/")
    for _ in range(300):
        name = chance.choice(sorted(name for name in files if files[name]))
        at = chance.randrange(len(files[name]) - 1)
        changed = bytearray(files[name])
        changed[at] ^= 1 << chance.randrange(8)
        code, said = verified(tmp_path, {**files, name: bytes(changed)})
        assert code in (0, 1, 2)
        if name.startswith(proving):
            assert code == 1, (name, at, said)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_pack_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.zip").write_bytes(content)

    code, said = verify(tmp_path / "file.zip")

    assert code == 2
    assert said


async def test_programs_read_the_report_too(packs: Packs, story: Story, tmp_path: Path) -> None:
    pack = await packs.make(story.about_kenya, story.position)

    code, said = verified(tmp_path, pack, "--json")

    report = json.loads(said)
    assert (code, report["does_not_hold"]) == (0, [])
    assert set(report) == {"holds", "does_not_hold", "not_covered"}


async def test_the_events_that_were_verified_can_be_shown(packs: Packs, story: Story, tmp_path: Path) -> None:
    pack = await packs.make(story.about_kenya, story.position)

    _, said = verified(tmp_path, pack, "--events")

    assert str(story.invitation) in said
    assert '"by":"person:' in said
