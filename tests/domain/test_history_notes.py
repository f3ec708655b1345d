"""Notes: who signed what, and what is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.history_notes import (
    COSIGNATURE,
    Checkpoint,
    Note,
    NoteError,
    PublicKey,
    Signature,
    SigningKey,
    follow_keys,
    hand_over,
    open_checkpoint,
)

LOG = "mandate.example.org/log"
ROOT = bytes(range(32))

PETERS_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETERS_NOTE = """\
If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
""".encode()
"""The example in the documentation of Go's package golang.org/x/mod/sumdb/note."""


def test_it_reads_the_note_and_the_key_of_others() -> None:
    key = PublicKey.parse(PETERS_KEY)
    note = Note.parse(PETERS_NOTE)

    assert [signature.name for signature in note.signed_by([key])] == ["PeterNeumann"]
    assert note.encoded == PETERS_NOTE
    assert key.encoded == PETERS_KEY


def test_a_checkpoint_is_three_lines_and_a_signature() -> None:
    key = SigningKey.make(LOG)

    encoded = Checkpoint(LOG, 1234, ROOT).sign(key).encoded

    lines = encoded.decode().split("\n")
    assert lines[:4] == [LOG, "1234", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", ""]
    assert lines[4].startswith(f"— {LOG} ")
    assert open_checkpoint(encoded, [key.public]) == Checkpoint(LOG, 1234, ROOT)


@settings(deadline=None)
@given(st.data())
def test_a_changed_byte_of_a_checkpoint_is_noticed(data: st.DataObject) -> None:
    key = SigningKey.make(LOG)
    encoded = bytearray(Checkpoint(LOG, 1234, ROOT).sign(key).encoded)
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))

    with pytest.raises(NoteError):
        open_checkpoint(bytes(encoded), [key.public])


def test_it_passes_over_signatures_of_strangers() -> None:
    ours, stranger = SigningKey.make(LOG), SigningKey.make("stranger.example.org")
    checkpoint = Checkpoint(LOG, 5, ROOT)
    note = Note(checkpoint.text, (stranger.sign(checkpoint.text), ours.sign(checkpoint.text)))

    assert open_checkpoint(note.encoded, [ours.public]) == checkpoint
    with pytest.raises(NoteError, match="Nobody whose key is known"):
        open_checkpoint(note.encoded, [SigningKey.make(LOG).public])


def test_it_refuses_a_note_when_a_known_signature_is_false() -> None:
    ours, witness = SigningKey.make(LOG), SigningKey.make("witness.example.org", COSIGNATURE)
    checkpoint = Checkpoint(LOG, 5, ROOT)
    false = witness.sign(Checkpoint(LOG, 6, ROOT).text, 1_700_000_000)
    note = Note(checkpoint.text, (ours.sign(checkpoint.text), false))

    with pytest.raises(NoteError, match=r"witness\.example\.org is not over this text"):
        note.signed_by([ours.public, witness.public])


def test_a_witness_signs_with_a_time() -> None:
    witness = SigningKey.make("witness.example.org", COSIGNATURE)
    text = Checkpoint(LOG, 5, ROOT).text

    signature = Signature.parse(witness.sign(text, 1_700_000_000).line)

    assert signature.time_seconds == 1_700_000_000
    assert witness.public.signed(signature, text)
    later = Signature(signature.name, signature.key_id, b"\x00" * 7 + b"\x01" + signature.signed[8:])
    assert not witness.public.signed(later, text)


@pytest.mark.parametrize(
    "text",
    ["log\n5\n", "log\n05\nAA==\n", "log\n-1\nAA==\n", "log\n5\nAA==\n", "\n5\nAA==\n", "log\n5\nno\n",
     "log\n5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
     "log\n5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=\n"],
)  # fmt: skip
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    "encoded", [b"", b"text\n", b"\xff\n\n", b"a\tb\n\n\xe2\x80\x94 log AAAAAAA=\n", b"a\n\nb\n"]
)
def test_what_is_no_note_is_refused(encoded: bytes) -> None:
    with pytest.raises(NoteError):
        Note.parse(encoded)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_reading_never_fails_in_another_way(encoded: bytes) -> None:
    with pytest.raises(NoteError):
        open_checkpoint(encoded, [PublicKey.parse(PETERS_KEY)])


def test_keys_are_kept_and_read_again() -> None:
    key = SigningKey.make(LOG)

    assert SigningKey.parse(key.encoded + "\n").public == key.public
    assert PublicKey.parse(key.public.encoded) == key.public


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\u2003b", "a\nb"])
def test_it_refuses_names_that_would_break_a_line(name: str) -> None:
    with pytest.raises(NoteError):
        SigningKey.make(name)


def test_a_signing_key_does_not_show_itself() -> None:
    key = SigningKey.make(LOG)
    secret = key.encoded.rsplit("+", 1)[-1]

    assert secret not in repr(key)
    for broken in (key.encoded[:-4], key.encoded + "A", f"PRIVATE+{secret}", secret):
        with pytest.raises(NoteError) as refusal:
            SigningKey.parse(broken)
        assert secret[:20] not in str(refusal.value)


def test_a_key_is_followed_by_those_that_it_names() -> None:
    first, second, third = (SigningKey.make(LOG) for _ in range(3))
    rotations = [hand_over(first, second).encoded, hand_over(second, third).encoded]

    assert follow_keys(first.public, rotations) == [first.public, second.public, third.public]
    with pytest.raises(NoteError):
        follow_keys(second.public, rotations)
    with pytest.raises(NoteError):
        follow_keys(first.public, rotations[::-1])


def test_a_key_cannot_name_itself_the_heir_of_another() -> None:
    first, thief = SigningKey.make(LOG), SigningKey.make(LOG)
    text = hand_over(first, thief).text
    note = Note(text, (thief.sign(text),))

    with pytest.raises(NoteError, match="was not handed over"):
        follow_keys(first.public, [note.encoded])
