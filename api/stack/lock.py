"""The lock of a data folder: only one copy of the local stack may run on it."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from api.stack.account import StartError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process, or say who holds it. A crash lets go of it by itself."""
    try:
        folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        file = (folder / "lock").open("a+")
    except OSError as error:
        raise StartError(f"{folder} cannot be used: {error}. Choose another folder with --data.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StartError(
                f"Mandate runs on {folder} already{_holder(file)}. Use that one, or stop it with Ctrl-C "
                "where it runs, or choose another folder with --data for a second copy."
            ) from error
        file.truncate(0)
        file.write(json.dumps({"process": os.getpid(), "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"}))
        file.flush()
        yield
        file.truncate(0)


def is_locked(folder: Path) -> bool:
    """Whether a copy of the local stack runs on this folder."""
    try:
        with (folder / "lock").open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _holder(file: TextIO) -> str:
    file.seek(0)
    try:
        noted = json.loads(file.read())
        return f" (process {noted['process']}, since {noted['since']})"
    except (ValueError, KeyError, TypeError):
        return ""
