"""The keys that sign the history, in a folder of their own.

They are made on the first start and live apart from the database: whoever can change the one should not be
able to use the other. The folder holds, for each key of the log in turn, its public key, and the note by
which the key before it named it; of the secret keys it holds the newest alone.

======================  ====================================================================
``0001.public``         a public key, ``name+id+base64``
``0002.rotation``       a note, signed by the first key and the second, that names the second
``0002.public``         the second public key
``0002.secret``         the signing key; nobody but its owner may read it
======================  ====================================================================
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from domain.history_notes import NoteError, PublicKey, SigningKey, follow_keys, hand_over

_UNFINISHED = ".unfinished"


class KeysError(Exception):
    """The keys cannot be used. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one log, as they were when the folder was read."""

    signing: SigningKey
    chain: tuple[PublicKey, ...]
    """Every public key that the log ever had, oldest first."""
    rotations: tuple[bytes, ...]
    """The notes by which each key but the first was named."""

    @property
    def name(self) -> str:
        """The name of the log."""
        return self.signing.name


def open_keys(folder: Path, name: str, default_name: str) -> Keys:
    """Return the keys of a log, made now where there are none.

    ``name`` is the log's name as the settings give it. Empty, it means the log that the folder is of, and
    ``default_name`` where the folder is of none.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    known = sorted(path for path in folder.iterdir() if path.is_dir() and path.name != _UNFINISHED)
    if not name and len(known) > 1:
        raise KeysError(
            f"{folder} holds the keys of several logs. Say with MANDATE_LOG_NAME which one it is."
        )
    place = known[0] if not name and known else folder / as_file_name(name or default_name)
    if not place.exists():
        # Made aside and moved as a whole: a first start that is killed leaves nothing half made.
        shutil.rmtree(folder / _UNFINISHED, ignore_errors=True)
        _keep(folder / _UNFINISHED, 1, SigningKey.make(name or default_name))
        (folder / _UNFINISHED).rename(place)
    keys = _read(place)
    _forget_secrets_before(place, len(keys.chain))
    return keys


def rotate(folder: Path, keys: Keys) -> Keys:
    """Make a fresh key, let the old one name it, and forget the old one's secret.

    Killed half-way it leaves the old key in use, or both: the newest one that was named counts.
    """
    place = folder / as_file_name(keys.name)
    number, fresh = len(keys.chain) + 1, SigningKey.make(keys.name)
    # 1. The secret, which nothing points to yet. 2. The note, from which on the fresh key counts.
    # 3. The old secret goes, so that whoever finds the folder cannot sign in the name of the past.
    _keep(place, number, fresh)
    _write(place / f"{number:04d}.rotation", hand_over(keys.signing, fresh).encoded, mode=0o644)
    _forget_secrets_before(place, number)
    return _read(place)


def _read(place: Path) -> Keys:
    try:
        rotations = tuple(path.read_bytes() for path in sorted(place.glob("*.rotation")))
        first = PublicKey.parse((place / "0001.public").read_text())
        chain = follow_keys(first, rotations)
        signing = SigningKey.parse((place / f"{len(chain):04d}.secret").read_text())
    except (OSError, ValueError) as error:
        raise KeysError(
            f"The keys in {place} cannot be used: {error}. Bring them back from their copy; without it, "
            "begin another history under another name (MANDATE_LOG_NAME)."
        ) from error
    if signing.public != chain[-1]:
        raise KeysError(f"The signing key in {place} is not the one that its public keys name.")
    return Keys(signing, tuple(chain), rotations)


def _forget_secrets_before(place: Path, number: int) -> None:
    for path in place.glob("*.secret"):
        if path.stem < f"{number:04d}":
            path.unlink()


def _keep(place: Path, number: int, key: SigningKey) -> None:
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(place / f"{number:04d}.public", f"{key.public.encoded}\n".encode(), mode=0o644)
    _write(place / f"{number:04d}.secret", f"{key.encoded}\n".encode(), mode=0o600)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file whole or not at all; a rest of an earlier try is replaced."""
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


def as_file_name(name: str) -> str:
    """Return a name for a folder; two logs never share one."""
    if not name or name.startswith("."):
        raise NoteError(f"{name!r} cannot be the name of a log.")
    return "".join(
        letter if letter.isalnum() or letter in ".-_" else f"%{ord(letter):02x}" for letter in name
    )
