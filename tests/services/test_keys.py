"""The keys of the history: made once, kept close, and handed on."""

from pathlib import Path

import pytest

from domain.history_notes import follow_keys
from services import keys as module
from services.keys import KeysError, open_keys, rotate

LOG = "mandate.example.org/log"


def secrets_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.secret"))


def test_the_first_start_makes_a_key_that_later_starts_find(tmp_path: Path) -> None:
    first = open_keys(tmp_path / "keys", "", LOG)

    again = open_keys(tmp_path / "keys", "", "another.address.example.org/log")

    assert again.signing.public == first.signing.public
    assert again.name == LOG, "the log keeps its name when its address changes"


def test_only_its_owner_can_read_a_secret(tmp_path: Path) -> None:
    open_keys(tmp_path / "keys", "", LOG)

    [secret] = secrets_in(tmp_path)
    assert secret.stat().st_mode & 0o777 == 0o600
    assert secret.parent.stat().st_mode & 0o777 == 0o700


def test_a_key_hands_over_to_the_next_and_is_forgotten(tmp_path: Path) -> None:
    first = open_keys(tmp_path, "", LOG)

    second = rotate(tmp_path, first)
    third = rotate(tmp_path, second)

    assert open_keys(tmp_path, "", LOG).chain == third.chain
    assert third.signing.public == third.chain[-1]
    assert follow_keys(first.signing.public, third.rotations) == list(third.chain)
    assert [path.name for path in secrets_in(tmp_path)] == ["0003.secret"]


def test_a_hand_over_that_was_cut_short_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_keys(tmp_path, "", LOG)

    def fail(*_: object) -> None:
        raise OSError("killed")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="killed"):
        patch.setattr(module, "hand_over", fail)
        rotate(tmp_path, first)

    assert open_keys(tmp_path, "", LOG).signing.public == first.signing.public
    assert len(rotate(tmp_path, open_keys(tmp_path, "", LOG)).chain) == 2


def test_it_makes_no_new_key_in_the_place_of_a_lost_one(tmp_path: Path) -> None:
    open_keys(tmp_path, "", LOG)
    for secret in secrets_in(tmp_path):
        secret.unlink()

    with pytest.raises(KeysError, match="another history under another name"):
        open_keys(tmp_path, "", LOG)


def test_another_name_is_another_log(tmp_path: Path) -> None:
    first = open_keys(tmp_path, "", LOG)

    second = open_keys(tmp_path, f"{LOG}/2", LOG)

    assert second.name == f"{LOG}/2"
    assert second.signing.public != first.signing.public
    assert open_keys(tmp_path, LOG, "").signing.public == first.signing.public
    with pytest.raises(KeysError, match="MANDATE_LOG_NAME"):
        open_keys(tmp_path, "", LOG)


def test_a_secret_that_belongs_to_another_key_is_refused(tmp_path: Path) -> None:
    open_keys(tmp_path / "one", "", LOG)
    open_keys(tmp_path / "other", "", LOG)
    [one], [other] = secrets_in(tmp_path / "one"), secrets_in(tmp_path / "other")
    one.write_bytes(other.read_bytes())

    with pytest.raises(KeysError, match="not the one that its public keys name"):
        open_keys(tmp_path / "one", "", LOG)
