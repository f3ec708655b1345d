"""Makes the checkpoints of the history: signs what the tree is, and publishes it to a folder.

The folder is the memory that a change of the database does not reach. One file is added for each
checkpoint, none is ever written over, and before a checkpoint is signed the tree must extend the newest one
that was published. A database that was restored to before it, or changed, is therefore noticed here: nothing
is signed, and HistoryDiffers says what is the matter.

===================================================  =========================================
``<log>/keys/0001.public``, ``0002.rotation``, ...   the public keys, as services.keys has them
``<log>/000000001/000000001234.checkpoint``          the note about the first 1,234 events
``<log>/000000001/000000001234.cosigned``            the same with the signature of a witness
===================================================  =========================================
"""

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from domain.history_notes import Checkpoint, Note, NoteError, PublicKey, follow_keys, open_checkpoint
from services.history import MADE, Published
from services.history_tree import HistoryDiffers, Standing, Tree
from services.keys import Keys, KeysError, as_file_name

_PER_FOLDER = 1_000


class PublishedFolder:
    """The folder of the checkpoints of one log."""

    def __init__(self, folder: Path, log: str) -> None:
        self.place = folder / as_file_name(log)

    def newest(self) -> bytes | None:
        """Return the checkpoint of the largest tree; None when there is none."""
        for folder in sorted(self._folders(), reverse=True):
            names = sorted(folder.glob("*.checkpoint"))
            if names:
                return names[-1].read_bytes()
        return None

    def all(self) -> Iterator[bytes]:
        """Give every checkpoint, from the smallest tree to the largest."""
        for folder in sorted(self._folders()):
            for path in sorted(folder.glob("*.checkpoint")):
                yield path.read_bytes()

    def add(self, size: int, note: bytes, kind: str = "checkpoint") -> None:
        """Add a checkpoint. One of that size that is there already is left as it is."""
        self._add(self.place / f"{size // _PER_FOLDER:09d}" / f"{size:012d}.{kind}", note)

    def add_keys(self, keys: Keys) -> None:
        """Add the public keys, and the notes by which one named the next."""
        folder = self.place / "keys"
        self._add(folder / "0001.public", f"{keys.chain[0].encoded}\n".encode())
        for number, (key, rotation) in enumerate(zip(keys.chain[1:], keys.rotations, strict=True), start=2):
            self._add(folder / f"{number:04d}.rotation", rotation)
            self._add(folder / f"{number:04d}.public", f"{key.encoded}\n".encode())

    def _folders(self) -> Iterator[Path]:
        return (path for path in self.place.glob("[0-9]*") if path.is_dir())

    def _add(self, path: Path, content: bytes) -> None:
        """Add a file, whole and for good, or leave the one that is there."""
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o444), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            # A link, unlike a rename, never takes the place of a file that is there.
            path.hardlink_to(partial)
        except FileExistsError:
            pass
        finally:
            partial.unlink()
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Publisher:
    """Signs and publishes checkpoints, over a connection that its caller owns and commits."""

    def __init__(
        self, connection: psycopg.AsyncConnection, folder: Path, keys: Keys, witness: str = ""
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._witness = witness
        self.folder = PublishedFolder(folder, keys.name)
        self.newest: Checkpoint | None = None
        """The newest checkpoint that was published."""

    async def open(self) -> None:
        """Find what was published, in the folder and in the table, and let each have what the other has.

        They differ by one checkpoint when the process was killed between the two; by more when one of
        them was restored. Raises HistoryDiffers when the tree does not extend what either has.
        """
        in_folder = self._read(self.folder.newest(), "the folder of checkpoints")
        kept = await self._newest_kept()
        in_table = self._read(kept.note if kept else None, "the table of checkpoints")
        for checkpoint in (in_table, in_folder):
            if checkpoint:
                await self._must_be_extended(checkpoint)
        await self._keep_keys()
        if in_folder and (not in_table or in_table.size < in_folder.size):
            note = self.folder.newest()
            assert note is not None
            await self._keep(in_folder, note, await self._position_of(in_folder))
        if kept and in_table and (not in_folder or in_folder.size < in_table.size):
            self.folder.add(kept.size, kept.note)
        self.newest = max((c for c in (in_folder, in_table) if c), key=lambda c: c.size, default=None)

    async def publish(self, standing: Standing) -> Checkpoint:
        """Sign a checkpoint of the tree as it stands and publish it; when there is no news, give the last.

        Raises HistoryDiffers when the tree does not extend what was published: then nothing is signed.
        """
        if self.newest:
            await self._must_be_extended(self.newest)
            if self.newest.size == standing.size:
                return self.newest
        root = await Tree(self._connection).root(standing.size)
        checkpoint = Checkpoint(self._keys.name, standing.size, root)
        note = checkpoint.sign(self._keys.signing).encoded
        # 1. The folder, where it can be seen and no longer taken back. 2. The table. Killed between the
        # two, ``open`` finds it in the folder and puts it into the table.
        await asyncio.to_thread(self.folder.add, standing.size, note)
        await self._keep(checkpoint, note, standing.position)
        self.newest = checkpoint
        return checkpoint

    async def use(self, keys: Keys) -> None:
        """Sign with these keys from now on, when they are others: the log has handed over to a new one."""
        if keys.chain != self._keys.chain:
            self._keys = keys
            await self._keep_keys()

    async def _must_be_extended(self, published: Checkpoint) -> None:
        tree = Tree(self._connection)
        standing = await tree.standing()
        if standing.size < published.size:
            raise HistoryDiffers(
                f"A checkpoint about {published.size} events was published, and the log holds "
                f"{standing.size}, the last at position {standing.position}. The database was restored to "
                f"before that checkpoint, or events were removed. {_WHAT_TO_DO}"
            )
        if await tree.root(published.size) != published.root:
            raise HistoryDiffers(
                f"The first {published.size} events are not those about which a checkpoint was published. "
                "Events were changed, or the database was restored to before it and used since. "
                f"{_WHAT_TO_DO}"
            )

    def _read(self, note: bytes | None, place: str) -> Checkpoint | None:
        if note is None:
            return None
        try:
            checkpoint = open_checkpoint(note, self._keys.chain)
        except NoteError as error:
            raise HistoryDiffers(
                f"The newest checkpoint in {place} was not signed by a key of this log ({error}). "
                f"{_WHAT_TO_DO}"
            ) from error
        if checkpoint.origin != self._keys.name:
            raise HistoryDiffers(f"{place} holds a checkpoint of {checkpoint.origin}. {_WHAT_TO_DO}")
        return checkpoint

    async def _newest_kept(self) -> Published | None:
        cursor = await self._connection.execute(
            "SELECT log, size, position, note, made_at, witness FROM history.checkpoints WHERE log = %s "
            "ORDER BY size DESC LIMIT 1",
            (self._keys.name,),
        )
        row = await cursor.fetchone()
        return Published(*row) if row else None

    async def _position_of(self, checkpoint: Checkpoint) -> int:
        position = await Tree(self._connection).position_of(checkpoint.size - 1)
        assert position is not None, "the tree was seen to hold it"
        return position

    async def _keep(self, checkpoint: Checkpoint, note: bytes, position: int) -> None:
        await self._connection.execute(
            "INSERT INTO history.checkpoints (log, size, position, note, witness, made_at) "
            "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (checkpoint.origin, checkpoint.size, position, note, self._witness, datetime.now(UTC)),
        )
        await self._connection.execute("SELECT pg_notify(%s, %s)", (MADE, str(position)))

    async def _keep_keys(self) -> None:
        self.folder.add_keys(self._keys)
        rows = [
            (self._keys.name, number, key.encoded, rotation)
            for number, (key, rotation) in enumerate(
                zip(self._keys.chain, (None, *self._keys.rotations), strict=True), start=1
            )
        ]
        async with self._connection.cursor() as cursor:
            await cursor.executemany(
                "INSERT INTO history.keys (log, number, public, rotation) VALUES (%s, %s, %s, %s) "
                "ON CONFLICT DO NOTHING",
                rows,
            )


def published_keys(folder: Path, name: str) -> tuple[PublicKey, ...]:
    """Return the public keys of a log as they were published, oldest first; none where nothing was.

    An empty name means the one log that the folder is of. Raises KeysError where it is of several, or where
    what lies there are no keys that follow one another.
    """
    known = [place for place in sorted(folder.glob("*/keys/0001.public")) if place.is_file()]
    if not name and len(known) > 1:
        raise KeysError(f"{folder} is of several logs. Say with MANDATE_LOG_NAME which one it is.")
    keys = folder / as_file_name(name) / "keys" if name else known[0].parent if known else folder
    if not (keys / "0001.public").is_file():
        return ()
    try:
        first = PublicKey.parse((keys / "0001.public").read_text())
        return tuple(follow_keys(first, [path.read_bytes() for path in sorted(keys.glob("*.rotation"))]))
    except (OSError, ValueError) as error:
        raise KeysError(f"The published keys in {keys} cannot be read: {error}") from error


def published_checkpoints(folder: Path, keys: tuple[PublicKey, ...]) -> list[Checkpoint]:
    """Return all checkpoints that a folder holds of a log, from the smallest tree to the largest.

    Raises NoteError when one of them was not signed by a key of the log.
    """
    name = keys[0].name
    notes = PublishedFolder(folder, name).all()
    return [open_checkpoint(note, keys) for note in notes]


def cosigned(note: bytes, line: str) -> bytes:
    """Return a checkpoint with the signature of a witness under it."""
    return Note.parse(note + line.encode()).encoded


_WHAT_TO_DO = (
    "No checkpoint is signed until this is resolved. Bring back the database that was published about. "
    "If it is lost, say so to those who hold checkpoints, and begin another history under another name "
    "(MANDATE_LOG_NAME)."
)
