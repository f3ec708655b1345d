"""Fresh passwords and keys for an installation, written as the files that a container engine hands in."""

import os
import secrets
from pathlib import Path

from api.stack.postgres import DATABASE, ROLES


def write(folder: Path, host: str) -> list[Path]:
    """Write what is missing in ``folder``: nothing that exists is changed, since it may be in use."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _keep(folder / ".gitignore", "*\n")
    superuser = _keep(folder / "postgres_password", secrets.token_urlsafe(24))
    password = superuser.read_text()
    written = [
        superuser,
        _keep(folder / "mandate_superuser_url", f"postgresql://postgres:{password}@{host}:5432/postgres"),
        _keep(folder / "temporal_password", secrets.token_urlsafe(24)),
        # Empty, for what a provider of OpenID Connect may give out.
        _keep(folder / "mandate_openid_client_secret", ""),
    ]
    for role in ROLES:
        url = f"postgresql://{role}:{secrets.token_urlsafe(24)}@{host}:5432/{DATABASE}"
        written.append(_keep(folder / f"{role}_url", url))
    return written


def _keep(path: Path, text: str) -> Path:
    """Write a file that is not there yet.

    It is readable by all, in a folder that is closed to all others: the processes in the containers run as
    users of their own, and are given the single files that they need.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return path
    with os.fdopen(handle, "w") as file:
        file.write(text)
    path.chmod(0o644)
    return path
