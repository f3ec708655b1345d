#!/usr/bin/env python3
"""Verifies an evidence pack of Mandate, without Mandate and without a network.

    python mandate_verify.py pack.zip
    python mandate_verify.py pack.zip --key KEY --checkpoint FILE

A pack holds events, and proofs that they stand in a log whose checkpoint somebody signed. This program
makes every hash anew from the stored bytes and says what holds, what does not, and what is not covered.

It is one file, shares no code with the service that made the pack, and needs Python 3.9 and the package
``cryptography``. What it relies on is published: RFC 6962 (section 2.1), and signed-note, tlog-checkpoint
and tlog-cosignature of C2SP. Read it before you trust it; it is one file for that reason.

A pack alone shows that it is whole. That the key in it is the log's, only you can know: give the key that
you were told (``--key``), and a checkpoint that you kept (``--checkpoint``), and it is held against them.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import struct
import sys
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT = "mandate evidence pack 1"
BYTES_LIMIT = 4_000_000_000


class Unreadable(Exception):
    """What was given is not a pack, or not a file of one."""


class Report:
    """What was found."""

    def __init__(self) -> None:
        self.holds: list[str] = []
        self.fails: list[str] = []
        self.open: list[str] = []

    def check(self, holds: bool, yes: str, no: str) -> bool:
        """Note one of two sentences."""
        (self.holds if holds else self.fails).append(yes if holds else no)
        return holds


# ---- Merkle trees, as in RFC 6962 and RFC 9162 ------------------------------------------------------------


def hash_leaf(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + leaf).digest()


def hash_pair(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_root(hashes: list[bytes]) -> bytes:
    """The Merkle tree hash of leaves."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    while len(hashes) > 1:
        # The last one of an odd number goes up as it is: the same tree as by splitting at powers of two.
        paired = [hash_pair(hashes[i], hashes[i + 1]) for i in range(0, len(hashes) - 1, 2)]
        hashes = paired + (hashes[-1:] if len(hashes) % 2 else [])
    return hashes[0]


def root_from_inclusion(index: int, size: int, hash: bytes, proof: list[bytes]) -> bytes | None:
    """The root that a proof of inclusion leads to (RFC 9162, 2.1.3.2); None when it is not one."""
    if not 0 <= index < size:
        return None
    fn, sn = index, size - 1
    for other in proof:
        if sn == 0:
            return None
        if fn % 2 == 1 or fn == sn:
            hash = hash_pair(other, hash)
            while fn % 2 == 0 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            hash = hash_pair(hash, other)
        fn, sn = fn >> 1, sn >> 1
    return hash if sn == 0 else None


def is_extended(old: int, old_root: bytes, new: int, new_root: bytes, proof: list[bytes]) -> bool:
    """Whether a proof of consistency holds (RFC 9162, 2.1.4.2)."""
    if old == new:
        return not proof and old_root == new_root
    if not 0 < old < new or not proof:
        return False
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    fn, sn = old - 1, new - 1
    while fn % 2 == 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for other in path[1:]:
        if sn == 0:
            return False
        if fn % 2 == 1 or fn == sn:
            fr, sr = hash_pair(other, fr), hash_pair(other, sr)
            while fn % 2 == 0 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = hash_pair(sr, other)
        fn, sn = fn >> 1, sn >> 1
    return fr == old_root and sr == new_root and sn == 0


# ---- Signed notes, as in C2SP -----------------------------------------------------------------------------


class Key(NamedTuple):
    """A public key: whose, of what kind (1 signs notes, 4 cosigns checkpoints), and its 32 bytes."""

    name: str
    kind: int
    raw: bytes

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.raw).digest()[:4]

    @property
    def text(self) -> str:
        return "+".join((self.name, self.id.hex(), base64.b64encode(bytes([self.kind]) + self.raw).decode()))


def read_key(text: str) -> Key:
    name, _, rest = text.strip().partition("+")
    id, _, data = rest.partition("+")
    raw = decode(data)
    if not name or len(raw) != 33 or raw[0] not in (1, 4):
        raise Unreadable(f"This is not a public key: {text.strip()[:100]!r}")
    key = Key(name, raw[0], raw[1:])
    if key.id.hex() != id:
        raise Unreadable(f"This public key was not copied whole: {text.strip()[:100]!r}")
    return key


class Signature(NamedTuple):
    name: str
    id: bytes
    signed: bytes


class Note(NamedTuple):
    text: str
    signatures: list[Signature]

    def signature_of(self, key: Key) -> Signature | None:
        """The signature of a key, if it is one. A false one is as good as none."""
        for signature in self.signatures:
            if (signature.name, signature.id) == (key.name, key.id):
                message, signed = self.text.encode(), signature.signed
                if key.kind == 4:
                    time = int.from_bytes(signed[:8], "big")
                    message, signed = f"cosignature/v1\ntime {time}\n{self.text}".encode(), signed[8:]
                try:
                    Ed25519PublicKey.from_public_bytes(key.raw).verify(signed, message)
                except (InvalidSignature, ValueError):
                    continue
                return signature
        return None


def read_note(data: bytes) -> Note:
    try:
        text, gap, rest = data.decode("utf-8").rpartition("\n\n")
    except UnicodeDecodeError:
        gap = ""
    if not gap:
        raise Unreadable("This is not a signed note.")
    signatures = []
    for line in rest.splitlines():
        match = re.fullmatch(r"— (\S+) (\S+)", line)
        signed = decode(match.group(2)) if match else b""
        if match is None or len(signed) < 5:
            raise Unreadable("This note has a line that is not a signature.")
        signatures.append(Signature(match.group(1), signed[:4], signed[4:]))
    return Note(text + "\n", signatures)


class Checkpoint(NamedTuple):
    log: str
    size: int
    root: bytes
    note: Note


def read_checkpoint(data: bytes) -> Checkpoint:
    note = read_note(data)
    lines = note.text.split("\n")
    if len(lines) < 4 or not re.fullmatch(r"[1-9][0-9]{0,17}", lines[1]) or len(decode(lines[2])) != 32:
        raise Unreadable("This is not a checkpoint.")
    return Checkpoint(lines[0], int(lines[1]), decode(lines[2]), note)


def decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise Unreadable(f"This is not base64: {text[:60]!r}") from None


def read_hashes(texts: Any) -> list[bytes]:
    hashes = [decode(str(text)) for text in texts]
    if any(len(hash) != 32 for hash in hashes):
        raise Unreadable("A proof holds something that is not a hash.")
    return hashes


# ---- Packs ------------------------------------------------------------------------------------------------


class Leaf(NamedTuple):
    """An event as it was hashed. The README of a pack has the table of its bytes."""

    topic: str
    record: uuid.UUID
    version: int
    state: bytes


def read_leaf(data: bytes) -> Leaf:
    try:
        kind, length = struct.unpack_from(">BI", data)
        topic = data[5 : 5 + length].decode("utf-8")
        record = uuid.UUID(bytes=data[5 + length : 21 + length])
        version, state_length = struct.unpack_from(">qI", data, 21 + length)
    except (struct.error, ValueError):
        raise Unreadable("It is not the encoding of an event.") from None
    state = data[33 + length :]
    if kind != 1 or len(state) != state_length:
        raise Unreadable("It is not the encoding of an event.")
    return Leaf(topic, record, version, state)


class Pack:
    """The files of a pack, from a ZIP or from a folder."""

    def __init__(self, path: Path) -> None:
        self.names: list[str] = []
        self._read: Callable[[str], bytes]
        if path.is_dir():
            self.names = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
            self._read = lambda name: (path / name).read_bytes()
        else:
            try:
                archive = zipfile.ZipFile(path)
            except (OSError, zipfile.BadZipFile) as error:
                raise Unreadable(f"{path} cannot be opened as a pack: {error}") from None
            if sum(item.file_size for item in archive.infolist()) > BYTES_LIMIT:
                raise Unreadable(f"{path} would be larger than {BYTES_LIMIT:,} bytes.")
            self.names = sorted(item.filename for item in archive.infolist())
            self._read = archive.read
        if len(set(self.names)) != len(self.names):
            raise Unreadable("The pack holds two files of one name.")
        self.manifest: dict[str, Any] = self.json("manifest.json")
        if self.manifest.get("format") != FORMAT:
            raise Unreadable(f"This is not a pack of the format that is read here, {FORMAT!r}.")

    def read(self, name: str) -> bytes:
        if name not in self.names:
            raise Unreadable(f"The pack lacks the file {name}.")
        try:
            return self._read(name)
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
            raise Unreadable(f"The file {name} of the pack cannot be read: {error}") from None

    def json(self, name: str) -> dict[str, Any]:
        return read_json(self.read(name), name)

    def lines(self, name: str) -> list[dict[str, Any]]:
        # Only newlines end a line; JSON may hold other characters that Python takes for the end of one.
        parts = self.read(name).split(b"\n")
        return [read_json(line, f"{name}, line {number}") for number, line in enumerate(parts, 1) if line]


def read_json(data: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{where} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise Unreadable(f"{where} is not an object.")
    return found


class Event(NamedTuple):
    """An event of the pack."""

    place: int
    """Which leaf of the tree it is, from 0."""
    position: int
    leaf: Leaf
    hash: bytes


# ---- What is verified -------------------------------------------------------------------------------------


class Verifier:
    """Verifies one pack; ``report`` says what was found."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self.report = Report()
        self.keys: list[Key] = []
        self.checkpoints: dict[int, Checkpoint] = {}
        self.newest: Checkpoint | None = None
        self.events: list[Event] = []

    def run(self, keys: Iterable[Key], outside: Iterable[bytes], proofs: Iterable[dict[str, Any]]) -> Report:
        for step in (
            self.files,
            lambda: self.key_chain(list(keys)),
            self.signed_checkpoints,
            self.event_bytes,
            self.inclusion,
            self.order,
            self.documents,
            lambda: self.other_checkpoints(list(outside), list(proofs)),
            self.what_is_open,
        ):
            try:
                step()
            except Unreadable as error:
                self.report.fails.append(str(error))
            except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
                self.report.fails.append(
                    f"The pack is not made as packs are ({type(error).__name__}: {error})."
                )
        return self.report

    def files(self) -> None:
        """The files are those of the table of contents."""
        listed = self.pack.manifest["files"]
        wrong = []
        for name in sorted(set(listed) | set(self.pack.names) - {"manifest.json"}):
            if name not in listed:
                wrong.append(f"{name} is not in the table of contents")
            elif name not in self.pack.names:
                wrong.append(f"{name} is missing")
            elif hashlib.sha256(self.pack.read(name)).hexdigest() != listed[name]["sha256"]:
                wrong.append(f"{name} was changed")
        self.report.check(
            not wrong,
            f"All {len(listed)} files are those of the table of contents.",
            f"Files: {some(wrong)}.",
        )

    def key_chain(self, trusted: list[Key]) -> None:
        """Each key of the log was named by the one before it, and one of them is the one that was given."""
        chain = [read_key(self.pack.read("keys/0001.public").decode())]
        for name in sorted(n for n in self.pack.names if re.fullmatch(r"keys/[0-9]{4}\.rotation", n)):
            note = read_note(self.pack.read(name))
            lines = note.text.split("\n")
            if lines[:2] != ["mandate log key rotation v1", chain[-1].text] or len(lines) != 4:
                raise Unreadable(f"{name} does not say what follows the key {chain[-1].text}.")
            key = read_key(lines[2])
            if key.name != chain[0].name or not note.signature_of(chain[-1]) or not note.signature_of(key):
                raise Unreadable(f"{name} is not signed by the key before it and the one after it.")
            chain.append(key)
        if len(chain) > 1:
            self.report.holds.append(f"Each of the {len(chain)} keys was named by the one before it.")
        if not trusted:
            self.report.open.append(
                f"Whether the key is the log's. The pack says {chain[-1].text} - compare it with what you "
                "were told by another way, or give that with --key."
            )
        elif not self.report.check(
            any(key in chain for key in trusted),
            "The key that you gave is a key of this log.",
            f"None of the keys that you gave is a key of this pack, which is signed by {chain[-1].text}.",
        ):
            return
        self.keys = chain

    def signed_checkpoints(self) -> None:
        """Every checkpoint is signed by a key of the log, and the largest extends the others."""
        for name in self.pack.names:
            if name.startswith("checkpoints/"):
                checkpoint = read_checkpoint(self.pack.read(name))
                self.check_signature(checkpoint, name)
                if self.checkpoints.get(checkpoint.size, checkpoint).root != checkpoint.root:
                    raise Unreadable(
                        f"The log signed two histories: {name} differs from another of its size."
                    )
                self.checkpoints[checkpoint.size] = checkpoint
        size = int(self.pack.manifest["checkpoint"])
        if size not in self.checkpoints:
            raise Unreadable(f"The pack lacks the checkpoint about {size} events, which its proofs lead to.")
        self.newest = self.checkpoints[size]
        self.report.holds.append(
            f"{plural(len(self.checkpoints), 'checkpoint')} of {self.newest.log}, signed by a key of this "
            f"pack; the one that counts is about the first {plural(size, 'event')} of the log."
        )
        self.check_witness(self.newest)
        for line in self.pack.lines("proofs/consistency.jsonl"):
            old = self.checkpoints[int(line["old"])]
            if int(line["new"]) != size or not is_extended(
                old.size, old.root, size, self.newest.root, read_hashes(line["proof"])
            ):
                raise Unreadable(
                    f"The checkpoint about {old.size} events belongs to another history than the one about "
                    f"{size}."
                )
        proven = {int(line["old"]) for line in self.pack.lines("proofs/consistency.jsonl")} | {size}
        if set(self.checkpoints) - proven:
            raise Unreadable("A checkpoint of the pack is not shown to belong to the same history.")
        if len(self.checkpoints) > 1:
            self.report.holds.append("All its checkpoints are of one history that only grew.")

    def check_signature(self, checkpoint: Checkpoint, where: str) -> None:
        if not any(checkpoint.note.signature_of(key) for key in self.keys):
            raise Unreadable(f"{where} is not signed by a key of this log.")
        if checkpoint.log != self.keys[0].name:
            raise Unreadable(f"{where} is about another log, {checkpoint.log}.")

    def check_witness(self, checkpoint: Checkpoint) -> None:
        if "keys/witness.public" not in self.pack.names:
            self.report.open.append(
                "Whether others saw the same history: no witness has signed the checkpoint."
            )
            return
        key = read_key(self.pack.read("keys/witness.public").decode())
        signature = checkpoint.note.signature_of(key)
        seconds = int.from_bytes(signature.signed[:8], "big") if signature else 0
        if self.report.check(
            signature is not None,
            f"The witness {key.name} signed that it saw this history grow, {moment(seconds)}.",
            f"The signature of the witness {key.name} is not over this checkpoint.",
        ):
            self.report.open.append(f"Whether the witness's key is its own: {key.text}")

    def event_bytes(self) -> None:
        """The events that people and programs read are those whose bytes were hashed."""
        for line in self.pack.lines("events.jsonl"):
            index, position = int(line["index"]), int(line["position"])
            data = self.pack.read(f"leaves/{index:012d}.leaf")
            try:
                leaf = read_leaf(data)
            except Unreadable as error:
                raise Unreadable(f"Position {position}: {error}") from None
            shown = (line["topic"], line["record"], int(line["version"]))
            same = shown == (leaf.topic, str(leaf.record), leaf.version)
            if "state" in line:
                state = read_json(leaf.state, f"The event at position {position}")
                same = same and as_text(line["state"]) == as_text(state)
            else:
                same = same and decode(line["state_base64"]) == leaf.state
            if not same:
                raise Unreadable(
                    f"Position {position}: events.jsonl shows another event than the stored bytes."
                )
            self.events.append(Event(index, position, leaf, hash_leaf(data)))
        named = {f"leaves/{event.place:012d}.leaf" for event in self.events}
        extra = [n for n in self.pack.names if n.startswith("leaves/") and n not in named]
        if extra or len(named) != len(self.events):
            raise Unreadable(f"The pack has leaves that events.jsonl does not show: {some(extra)}.")
        if not self.events:
            raise Unreadable("The pack holds no event.")
        self.report.holds.append(
            f"{plural(len(self.events), 'event')} in events.jsonl, the same as in the stored bytes."
        )

    def inclusion(self) -> None:
        """Every event is in the tree of the checkpoint, at its index."""
        if self.newest is None:
            return
        proofs = {int(line["index"]): line for line in self.pack.lines("proofs/inclusion.jsonl")}
        for event in sorted(self.events, key=lambda event: event.place):
            line = proofs.get(event.place)
            root = line and root_from_inclusion(
                event.place, self.newest.size, event.hash, read_hashes(line["proof"])
            )
            if root != self.newest.root:
                raise Unreadable(
                    f"Position {event.position}: it is not the event of the history (leaf {event.place})."
                )
        self.report.holds.append(
            f"Every one of these events is in the history of {self.newest.size} events, byte for byte, at "
            "its place."
        )

    def order(self) -> None:
        """The events stand in the order of the log, and none is missing between them that should be there."""
        for before, after in pairs(self.events):
            if not (before.place < after.place and before.position < after.position):
                raise Unreadable(f"Position {after.position}: this event does not stand where it says.")
        question = self.pack.manifest["question"]
        if question["records"]:
            self.versions([str(record) for record in question["records"]])
        else:
            self.span()

    def versions(self, records: list[str]) -> None:
        streams: dict[str, list[Event]] = {record: [] for record in records}
        for event in self.events:
            record = str(event.leaf.record)
            if record not in streams:
                raise Unreadable(
                    f"Position {event.position}: this event is of a record that was not asked for."
                )
            streams[record].append(event)
        for record, stream in streams.items():
            if not stream:
                raise Unreadable(f"The pack holds no event of the record {record}.")
            for number, event in enumerate(stream, start=1):
                if event.leaf.version != number:
                    raise Unreadable(
                        f"Position {event.position}: event {number} of record {record} is missing, or stands "
                        "elsewhere."
                    )
        self.report.holds.append(
            f"The history of {plural(len(streams), 'record')} from the first event on, none missing between."
        )
        self.report.open.append(
            "Whether more happened to these records after the last event shown here: proofs show what is in "
            "a history, and not what is not. Ask for the pack again, or for one of all events of a span."
        )

    def span(self) -> None:
        for before, after in pairs(self.events):
            if after.place != before.place + 1:
                raise Unreadable(f"Position {after.position}: events before this one are missing.")
        self.report.holds.append(
            "All events between the first and the last of these are here; none is missing."
        )
        if self.newest and self.events and self.events[0].place == 0:
            hashes = [event.hash for event in self.events]
            if len(hashes) == self.newest.size:
                self.report.check(
                    tree_root(hashes) == self.newest.root,
                    "These are all events of the log: they make the root that was signed.",
                    "These events do not make the root that was signed.",
                )

    def documents(self) -> None:
        """Documents are those that the events name by their hash."""
        kept = {n.split("/")[1] for n in self.pack.names if n.startswith("documents/")}
        for name in kept:
            if hashlib.sha256(self.pack.read(f"documents/{name}")).hexdigest() != name:
                raise Unreadable(f"The document {name} was changed.")
        named = {hash for event in self.events for hash in hashes_in(event.leaf.state)}
        if kept - named:
            raise Unreadable(f"No event here names the document {some(sorted(kept - named))}.")
        if kept:
            self.report.holds.append(f"{plural(len(kept), 'document')}, named in the events by their hash.")
        if named - kept:
            self.report.open.append(
                f"Documents that are named but not in the pack: {some(sorted(named - kept))}."
            )

    def other_checkpoints(self, outside: list[bytes], proofs: list[dict[str, Any]]) -> None:
        """Checkpoints that somebody kept are of the same history."""
        if self.newest is None:
            return
        for data in outside:
            checkpoint = read_checkpoint(data)
            self.check_signature(checkpoint, "The checkpoint that you gave")
            verdict = self.same_history(checkpoint, proofs)
            about = f"the checkpoint that you gave, about {plural(checkpoint.size, 'event')}"
            if verdict is None:
                low, high = sorted((checkpoint.size, self.newest.size))
                self.report.open.append(
                    f"Whether this is the history of {about}. Ask for the proof of consistency from {low} to "
                    f"{high} and give it with --consistency."
                )
            else:
                self.report.check(
                    verdict, f"It is the history of {about}.", f"It is not the history of {about}."
                )

    def same_history(self, given: Checkpoint, proofs: list[dict[str, Any]]) -> bool | None:
        assert self.newest is not None
        if given.size in self.checkpoints:
            return given.root == self.checkpoints[given.size].root
        hashes = [event.hash for event in self.events]
        whole = (
            bool(self.events) and self.events[0].place == 0 and not self.pack.manifest["question"]["records"]
        )
        if whole and given.size <= len(hashes):
            return tree_root(hashes[: given.size]) == given.root
        older, newer = sorted((given, self.newest), key=lambda checkpoint: checkpoint.size)
        for line in proofs:
            if (int(line["old"]), int(line["new"])) == (older.size, newer.size):
                return is_extended(older.size, older.root, newer.size, newer.root, read_hashes(line["proof"]))
        return None

    def what_is_open(self) -> None:
        self.report.open += [
            "Whether what the events say is true. They are what was recorded, and were not changed since.",
            "When they were recorded: the times are those that the service wrote.",
            "The numbers of the positions. What is proven is which event comes before which.",
            "The names of people, which are kept apart and can be erased; and the words of README.txt and "
            "index.html, which are made for reading. What was verified is in events.jsonl.",
        ]


def as_text(value: Any) -> str:
    """JSON in one way of writing it: to Python 1, 1.0 and true are equal, and to a reader they are not."""
    return json.dumps(value, sort_keys=True)


def pairs(events: list[Event]) -> Iterator[tuple[Event, Event]]:
    for number in range(1, len(events)):
        yield events[number - 1], events[number]


def hashes_in(state: bytes) -> set[str]:
    """The SHA-256 that an event names: what stands under a name that ends so."""
    try:
        found: set[str] = set()
        gather(json.loads(state), found)
    except ValueError:
        return set()
    return found


def gather(value: Any, found: set[str]) -> None:
    if isinstance(value, dict):
        for name, part in value.items():
            if name.endswith("sha256") and isinstance(part, str) and re.fullmatch("[0-9a-f]{64}", part):
                found.add(part)
            gather(part, found)
    elif isinstance(value, list):
        for part in value:
            gather(part, found)


def moment(seconds: int) -> str:
    try:
        time = datetime.fromtimestamp(seconds, timezone.utc)  # noqa: UP017 - for Python before 3.11
        return time.strftime("on %d %B %Y at %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return "at a time that no calendar has"


def plural(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def some(names: list[str]) -> str:
    return "; ".join(names[:5]) + (f"; and {len(names) - 5} more" if len(names) > 5 else "")


# ---- The program ------------------------------------------------------------------------------------------


def show(pack: Pack, report: Report, events: list[Event]) -> str:
    title = str(pack.manifest.get("question", {}).get("title", "without a title"))
    lines = [f"Evidence pack: {printable(title)}", ""]
    for heading, mark, sentences in (
        ("WHAT HOLDS", "+", report.holds),
        ("WHAT DOES NOT HOLD", "!", report.fails or ["Nothing was found."]),
        ("WHAT IS NOT COVERED", "?", report.open),
    ):
        lines += [heading, *(f"  {mark} {printable(sentence)}" for sentence in sentences), ""]
    for event in events:
        state = event.leaf.state.decode("utf-8", "replace")
        lines.append(printable(f"{event.position}  {event.leaf.topic}  {event.leaf.record}  {state}"))
    lines.append("The pack holds." if not report.fails else "THE PACK DOES NOT HOLD.")
    return "\n".join(lines) + "\n"


def printable(text: str) -> str:
    """No character of a pack may move the cursor of whoever reads the report."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mandate-verify", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "pack", nargs="?", type=Path, default=Path(__file__).resolve().parent, help="a pack: ZIP or folder"
    )
    parser.add_argument(
        "--key", action="append", default=[], help="a key of the log, or a file that holds it"
    )
    parser.add_argument(
        "--checkpoint", action="append", default=[], type=Path, help="a checkpoint that you kept"
    )
    parser.add_argument(
        "--consistency", action="append", default=[], type=Path, help="a proof between two checkpoints"
    )
    parser.add_argument("--events", action="store_true", help="show the events that were verified")
    parser.add_argument("--json", action="store_true", help="report as JSON")
    return parser


def main(given: list[str] | None = None) -> int:
    """Verify a pack. Returns 0 when all holds, 1 when something does not, 2 when it cannot be read."""
    options = arguments().parse_args(given)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    try:
        keys = [read_key(Path(key).read_text() if Path(key).is_file() else key) for key in options.key]
        pack = Pack(options.pack)
        verifier = Verifier(pack)
        report = verifier.run(
            keys,
            [path.read_bytes() for path in options.checkpoint],
            [read_json(path.read_bytes(), str(path)) for path in options.consistency],
        )
    except (Unreadable, OSError) as error:
        sys.stderr.write(f"{printable(str(error))}\n")
        return 2
    events = verifier.events if options.events and not report.fails else []
    if options.json:
        found = {"holds": report.holds, "does_not_hold": report.fails, "not_covered": report.open}
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
    else:
        sys.stdout.write(show(pack, report, events))
    return 1 if report.fails else 0


if __name__ == "__main__":
    sys.exit(main())
