"""The settings of all processes. They come from the environment and from files, never from code.

Each setting is read from the variable ``MANDATE_`` and its name in capitals (``MANDATE_SMTP_HOST``), or
from a file of that name in small letters in the folder of secrets (``/run/secrets/mandate_writer_url``),
which is where container engines put what nobody else should see. A variable goes before a file.
"""

import os
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AnyHttpUrl, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not a time zone of the IANA database, such as Europe/Rome") from error
    return name


TimeZoneName = Annotated[str, AfterValidator(_known_zone)]
"""The name of a time zone in the IANA database."""


class MissingSettingError(Exception):
    """A process was started without something that it cannot do without."""


class Settings(BaseSettings):
    """Everything that differs from one installation to the next."""

    model_config = SettingsConfigDict(env_prefix="MANDATE_", frozen=True, extra="ignore")

    superuser_url: str = Field("", repr=False)
    """PostgreSQL connection string of a role that may make roles and databases. Only ``prepare`` uses it."""

    owner_url: str = Field("", repr=False)
    """Connection string of ``mandate_owner``, to whom the tables belong. No running process needs it."""

    writer_url: str = Field("", repr=False)
    """Connection string of ``mandate_writer``, who reads and appends events and cannot change any."""

    projector_url: str = Field("", repr=False)
    """Connection string of ``mandate_projector``, who reads events and makes the tables."""

    reader_url: str = Field("", repr=False)
    """Connection string of ``mandate_reader``, who reads the tables and changes nothing."""

    temporal_address: str = "127.0.0.1:7233"
    """Host and port of the Temporal service."""

    temporal_namespace: str = "default"
    """Namespace of Temporal in which the workflows live."""

    temporal_task_queue: str = "mandate"
    """Task queue that the workers listen to."""

    smtp_host: str = "127.0.0.1"
    """Mail server that takes our letters."""

    smtp_port: int = Field(25, ge=1, le=65535)
    """Port of the mail server."""

    smtp_from: str = "Mandate <mandate@localhost>"
    """Sender of all letters."""

    smtp_username: str = ""
    """Name to sign in to the mail server with; empty where it asks for none."""

    smtp_password: SecretStr = SecretStr("")
    """Password for the mail server."""

    smtp_tls: bool = False
    """Whether letters go over TLS. Set it wherever the mail server is on another machine."""

    public_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8000")
    """Address under which people reach the site. Links in letters begin with it."""

    host: str = "127.0.0.1"
    """Network address that the site listens on."""

    port: int = Field(8000, ge=1, le=65535)
    """Port that the site listens on."""

    secretariat_time_zone: TimeZoneName = "Europe/Rome"
    """Time zone of the secretariat, for dates that are not a party's own."""

    data_folder: Path = Path(".mandate/data")
    """Folder for what is kept beside the database, such as the letters of the local mail sink."""

    keys_folder: Path = Field(default_factory=lambda known: known["data_folder"] / "keys")
    """Folder of the keys that sign the history. Keep it, and its copies, apart from those of the database."""

    checkpoints_folder: Path = Field(default_factory=lambda known: known["data_folder"] / "checkpoints")
    """Folder to which checkpoints of the history are published. Best a place that this machine cannot change
    later, such as a share that only takes new files."""

    log_name: str = Field("", pattern=r"^[^\s+]*$")
    """Name under which the history is signed; the first start makes one from the public address and keeps it.
    Another name begins another history: only after the database was restored to before a checkpoint."""

    witness_url: str = Field("", pattern=r"^(https?://.*)?$")
    """Address of a witness that cosigns the checkpoints (C2SP tlog-witness); empty where there is none."""

    witness_key: str = ""
    """Public key of that witness, as ``name+id+base64``."""

    body_limit_bytes: int = Field(2_000_000, ge=1_000)
    """Largest body of a request that is read; a larger one is refused."""

    openid_issuer: str = ""
    """Address of the provider of OpenID Connect with which staff sign in; empty where there is none."""

    openid_client_id: str = ""
    """By what name the provider knows this installation."""

    openid_client_secret: SecretStr = SecretStr("")
    """What the provider gave this installation to prove its name with; empty for a public client."""

    openid_name: str = "your organisation’s account"
    """How the provider is called on the page of the sign-in, after the words “Sign in with”."""

    openid_trusts_addresses: bool = False
    """Whether the mail addresses that the provider gives are taken as verified where it does not say so.
    Set it only where people cannot choose their address at the provider themselves."""

    open_sign_in: bool = False
    """Whether anybody may sign in as anybody from a list of names. Only for trying on one's own machine."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the folder of secrets only where there is one: its absence is ordinary, not a warning."""
        folder = Path(os.environ.get("MANDATE_SECRETS_DIR", "/run/secrets"))
        if not folder.is_dir():
            return init_settings, env_settings
        return init_settings, env_settings, SecretsSettingsSource(settings_cls, secrets_dir=folder)

    def require(self, *names: str) -> None:
        """Refuse to go on without the settings of these names."""
        missing = [f"MANDATE_{name.upper()}" for name in names if not _given(getattr(self, name))]
        if missing:
            raise MissingSettingError(
                f"Set {', '.join(missing)} in the environment, or put each in a file of that name in small "
                "letters in the folder of secrets."
            )


def _given(value: object) -> bool:
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)
