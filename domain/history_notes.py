"""Signed notes and checkpoints, as C2SP signed-note, tlog-checkpoint and tlog-cosignature describe them.

A checkpoint states what the log's tree is: its name, how many leaves, which root. It is the text of a note
that the log signs with Ed25519, and a witness may sign beside it: that it has seen the tree grow from the
trees that it saw before, and when.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from domain.history import HASH_BYTES

ED25519 = 0x01
"""The kind of key with which a log signs."""
COSIGNATURE = 0x04
"""The kind of key with which a witness signs: Ed25519 over the checkpoint and a time."""

NOTE_BYTES = 100_000
SIGNATURES = 100
"""What a note may hold at the most. A larger one is not ours, and nobody should have to read it."""


class NoteError(ValueError):
    """A note, a key or a checkpoint that is not one, or that nobody whom we know has signed."""


# ---- Keys -------------------------------------------------------------------------------------------------


def check_name(name: str) -> str:
    """Return a key's name; raise NoteError when it cannot be one."""
    if not name or "+" in name or any(letter.isspace() or ord(letter) < 0x20 for letter in name):
        raise NoteError(f"{name!r} cannot be the name of a key: it has spaces, a plus sign, or is empty.")
    return name


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that checks signatures, with the name of whoever signs."""

    name: str
    raw: bytes
    """The 32 bytes of the Ed25519 key."""
    kind: int = ED25519

    @property
    def id(self) -> bytes:
        """The four bytes by which a signature names its key, beside the name."""
        return sha256(b"%b\n%c%b" % (self.name.encode(), self.kind, self.raw)).digest()[:4]

    @property
    def encoded(self) -> str:
        """The key as people pass it on: ``name+id+base64``, known as a vkey."""
        return f"{self.name}+{self.id.hex()}+{_base64(bytes([self.kind]) + self.raw)}"

    @classmethod
    def parse(cls, encoded: str) -> Self:
        """Read a key from ``encoded``. Raises NoteError."""
        name, _, rest = encoded.strip().partition("+")
        id, _, data = rest.partition("+")
        decoded = _from_base64(data)
        if len(decoded) != 33 or decoded[0] not in (ED25519, COSIGNATURE):
            raise NoteError(f"{encoded!r} is not a public key of the kind that logs and witnesses use.")
        key = cls(check_name(name), decoded[1:], decoded[0])
        if key.id.hex() != id:
            raise NoteError(f"The key {encoded!r} was not copied whole: its id should be {key.id.hex()}.")
        return key

    def signed(self, signature: "Signature", text: str) -> bool:
        """Say whether the signature is by this key, and over this text."""
        message, signed = text.encode(), signature.signed
        if self.kind == COSIGNATURE:
            if len(signed) < 8:
                return False
            message, signed = cosigned_message(text, int.from_bytes(signed[:8], "big")), signed[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signed, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs. It never shows itself when printed."""

    name: str
    _private: Ed25519PrivateKey
    kind: int = ED25519

    def __repr__(self) -> str:
        return f"SigningKey({self.name!r})"

    @classmethod
    def make(cls, name: str, kind: int = ED25519) -> Self:
        """Make a fresh key."""
        return cls(check_name(name), Ed25519PrivateKey.generate(), kind)

    @property
    def public(self) -> PublicKey:
        """The key that checks what this one signs."""
        return PublicKey(self.name, self._private.public_key().public_bytes_raw(), self.kind)

    @property
    def encoded(self) -> str:
        """The key as it is kept, in the way of Go's package note."""
        secret = bytes([self.kind]) + self._private.private_bytes_raw()
        return f"PRIVATE+KEY+{self.name}+{self.public.id.hex()}+{_base64(secret)}"

    @classmethod
    def parse(cls, encoded: str) -> Self:
        """Read a key from ``encoded``. Raises NoteError, which says nothing of what was read."""
        parts = encoded.strip().split("+", 4)
        try:
            secret = _from_base64(parts[-1])
        except NoteError:
            secret = b""
        if parts[:2] != ["PRIVATE", "KEY"] or len(parts) != 5 or len(secret) != 33:
            raise NoteError("What should be a signing key is none.") from None
        key = cls(check_name(parts[2]), Ed25519PrivateKey.from_private_bytes(secret[1:]), secret[0])
        if key.public.id.hex() != parts[3]:
            raise NoteError("The signing key was not kept whole.")
        return key

    def sign(self, text: str, time_seconds: int = 0) -> "Signature":
        """Sign a text; a witness's key signs it together with a time."""
        if self.kind == COSIGNATURE:
            signed = self._private.sign(cosigned_message(text, time_seconds))
            signed = time_seconds.to_bytes(8, "big") + signed
        else:
            signed = self._private.sign(text.encode())
        return Signature(self.name, self.public.id, signed)


def cosigned_message(text: str, time_seconds: int) -> bytes:
    """Return what a witness signs: a time, and the text of the checkpoint."""
    return f"cosignature/v1\ntime {time_seconds}\n{text}".encode()


# ---- Notes ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature as it stands under a note."""

    name: str
    key_id: bytes
    signed: bytes

    @property
    def line(self) -> str:
        """The line of the note, with its end."""
        return f"— {self.name} {_base64(self.key_id + self.signed)}\n"

    @property
    def time_seconds(self) -> int:
        """When a witness signed. Means nothing for other signatures."""
        return int.from_bytes(self.signed[:8], "big")

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read a signature from its line, which may end with a newline. Raises NoteError."""
        parts = line.removesuffix("\n").split(" ")
        decoded = _from_base64(parts[-1])
        if len(parts) != 3 or parts[0] != "—" or len(decoded) < 5:
            raise NoteError(f"{line!r} is not the line of a signature.")
        return cls(check_name(parts[1]), decoded[:4], decoded[4:])


@dataclass(frozen=True, slots=True)
class Note:
    """A text with its signatures. Whether anybody whom we know has signed is for ``signatures_of`` to say."""

    text: str
    signatures: tuple[Signature, ...]

    @property
    def encoded(self) -> bytes:
        """The note as it is published."""
        return f"{self.text}\n{''.join(signature.line for signature in self.signatures)}".encode()

    @classmethod
    def parse(cls, encoded: bytes) -> Self:
        """Read a note. Raises NoteError."""
        if len(encoded) > NOTE_BYTES:
            raise NoteError("The note is longer than any note of ours.")
        try:
            whole = encoded.decode()
        except UnicodeDecodeError as error:
            raise NoteError("The note is not text in UTF-8.") from error
        text, gap, lines = whole.rpartition("\n\n")
        if not gap or not lines.endswith("\n") or re.search(r"[\x00-\x09\x0b-\x1f]", whole):
            raise NoteError("This is not a signed note: a text, an empty line, and lines of signatures.")
        signatures = [Signature.parse(line) for line in lines[:-1].split("\n")]
        if len(signatures) > SIGNATURES:
            raise NoteError("The note has more signatures than we read.")
        return cls(text + "\n", tuple(signatures))

    def signed_by(self, keys: Iterable[PublicKey]) -> list[Signature]:
        """Return the signatures by these keys.

        Raises NoteError when there is none, or when one that names such a key is not by it.
        """
        known = {(key.name, key.id): key for key in keys}
        verified = []
        for signature in self.signatures:
            key = known.pop((signature.name, signature.key_id), None)
            if key is None:
                continue
            if not key.signed(signature, self.text):
                raise NoteError(f"The signature of {signature.name} is not over this text.")
            verified.append(signature)
        if not verified:
            raise NoteError("Nobody whose key is known has signed this note.")
        return verified


# ---- Checkpoints ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log's tree is at a size."""

    origin: str
    """The name of the log."""
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a checkpoint from the text of a note; what follows its three lines is passed over."""
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
            raise NoteError("This is not a checkpoint: it lacks the name, the size or the root.")
        if not re.fullmatch(r"0|[1-9][0-9]{0,17}", lines[1]):
            raise NoteError(f"{lines[1]!r} is not the size of a tree.")
        root = _from_base64(lines[2])
        if len(root) != HASH_BYTES:
            raise NoteError(f"{lines[2]!r} is not the root of a tree.")
        return cls(lines[0], int(lines[1]), root)

    def sign(self, key: SigningKey) -> Note:
        """Return the checkpoint as a note with one signature."""
        return Note(self.text, (key.sign(self.text),))


def open_checkpoint(encoded: bytes, keys: Iterable[PublicKey]) -> Checkpoint:
    """Read a checkpoint that one of these keys has signed. Raises NoteError."""
    note = Note.parse(encoded)
    note.signed_by(keys)
    return Checkpoint.parse(note.text)


# ---- Keys that follow one another -------------------------------------------------------------------------

_ROTATION = "mandate log key rotation v1"


def hand_over(old: SigningKey, new: SigningKey) -> Note:
    """Return the note by which an old key says that a new one signs from now on. Both sign it."""
    text = f"{_ROTATION}\n{old.public.encoded}\n{new.public.encoded}\n"
    return Note(text, (old.sign(text), new.sign(text)))


def follow_keys(first: PublicKey, rotations: Iterable[bytes]) -> list[PublicKey]:
    """Return the keys that followed a first one, itself included, oldest first.

    Raises NoteError when a rotation is not signed by the key before it and the key after it.
    """
    chain = [first]
    for encoded in rotations:
        note = Note.parse(encoded)
        lines = note.text.split("\n")
        if len(lines) != 4 or lines[0] != _ROTATION or lines[1] != chain[-1].encoded:
            raise NoteError(f"This note does not say what follows the key {chain[-1].encoded}.")
        new = PublicKey.parse(lines[2])
        if new.name != first.name or len(note.signed_by([chain[-1], new])) != 2:
            raise NoteError(f"The key {new.encoded} was not handed over by {chain[-1].encoded}.")
        chain.append(new)
    return chain


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _from_base64(text: str) -> bytes:
    """Decode, letting nothing pass that encodes to another text."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError(f"{text[:60]!r} is not base64.") from None
    if _base64(decoded) != text:
        raise NoteError(f"{text[:60]!r} is not base64 as it should be written.")
    return decoded
