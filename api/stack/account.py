"""The user that PostgreSQL runs as when we are root, since PostgreSQL refuses to run as root.

A folder that is closed to others (``/root``, say) stays closed: what PostgreSQL needs is put where its
user can reach it, instead of opening somebody's home.
"""

import contextlib
import hashlib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SHARED = Path("/var/lib/mandate")
"""Where root keeps what other users have to reach."""


class StartError(Exception):
    """Something could not be started. The message says what, and what to do or where its log is."""


@dataclass(frozen=True)
class Account:
    """A user of this machine, by numbers."""

    uid: int
    gid: int

    def may_reach(self, folder: Path) -> bool:
        """Whether this user can come to ``folder``: every folder on the way lets others pass."""
        return all(parent.stat().st_mode & 0o001 for parent in folder.resolve().parents)

    def own(self, folder: Path) -> None:
        """Give a folder to this user, closed to all others."""
        os.chown(folder, self.uid, self.gid)
        folder.chmod(0o700)


def server_account() -> Account | None:
    """The user for PostgreSQL when we are root, made if need be; None when we are an ordinary user."""
    if os.geteuid() != 0:
        return None
    # macOS has such a user already, and no useradd.
    name = "_postgres" if sys.platform == "darwin" else "mandate-postgres"
    with contextlib.suppress(KeyError):
        return _find(name)
    making = subprocess.run(
        ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", name],
        capture_output=True,
        text=True,
        check=False,
    )
    with contextlib.suppress(KeyError):
        return _find(name)
    raise StartError(
        f"PostgreSQL does not run as root, and the user {name} for it could not be made "
        f"({making.stderr.strip()}). Run the same command as an ordinary user."
    )


def _find(name: str) -> Account:
    entry = pwd.getpwnam(name)
    return Account(entry.pw_uid, entry.pw_gid)


def default_data_folder(project: Path) -> Path:
    """``.mandate/data`` in the project, or a folder below ``/var/lib/mandate`` for root in a closed home."""
    folder = project / ".mandate" / "data"
    account = server_account()
    if account is None or account.may_reach(folder.parent if folder.parent.exists() else project):
        return folder
    return SHARED / hashlib.sha256(os.fsencode(project.resolve())).hexdigest()[:12]


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A data folder for a while, which the server's user can reach. Tests and measurements use it."""
    folder = Path(tempfile.mkdtemp(prefix="mandate-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
