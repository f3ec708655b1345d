"""Settings: from the environment and from files, and never half."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from services.settings import MissingSettingError, Settings


def test_a_variable_goes_before_a_file_of_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mandate_writer_url").write_text("postgresql://from-a-file\n")
    (tmp_path / "mandate_smtp_password").write_text("from a file")
    monkeypatch.setenv("MANDATE_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("MANDATE_SMTP_PASSWORD", "from the environment")
    settings = Settings()
    assert settings.writer_url == "postgresql://from-a-file"
    assert settings.smtp_password.get_secret_value() == "from the environment"


def test_what_is_missing_is_named_as_the_operator_has_to_set_it() -> None:
    settings = Settings(writer_url="postgresql://x")
    with pytest.raises(MissingSettingError, match="MANDATE_READER_URL, MANDATE_OPENID_ISSUER"):
        settings.require("writer_url", "reader_url", "openid_issuer")
    settings.require("writer_url")


def test_nothing_secret_shows_when_settings_are_printed() -> None:
    settings = Settings(writer_url="postgresql://mandate_writer:hidden@host/mandate")
    assert "hidden" not in repr(settings)


def test_an_unknown_time_zone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANDATE_SECRETARIAT_TIME_ZONE", "Rome")
    with pytest.raises(ValidationError, match="time zone"):
        Settings()


def test_sign_in_is_closed_unless_somebody_opens_it() -> None:
    assert Settings().open_sign_in is False
