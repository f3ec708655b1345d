"""The newcomer's entry: a shell script that needs a Python and nothing else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
LOCKED = ("pyproject.toml", "uv.lock")
STAND_IN = '#!/bin/sh\nprintf "%s|" "$PYTHONPATH" "$@"\n'


class Copy:
    """A copy of the project's entry in a folder of its own, with stand-ins for what it calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "a copy, with spaces"
        self.folder.mkdir()
        for name in ("mandate", *LOCKED):
            shutil.copy(PROJECT / name, self.folder)
        self.programs = folder / "programs"
        self.programs.mkdir()
        # The ordinary programs of a machine, but neither a Python nor uv.
        for name in ("sh", "cat", "cmp", "dirname", "rm", "mv", "mkdir", "cp", "chmod"):
            found = shutil.which(name)
            assert found is not None
            (self.programs / name).symlink_to(found)

    def program(self, name: str, text: str) -> None:
        """Put a program on the PATH."""
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)

    def environment(self, kind: str) -> None:
        """Make an environment as a finished sync leaves it."""
        python = self.folder / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(STAND_IN)
        python.chmod(0o755)
        locked = "".join((self.folder / name).read_text() for name in LOCKED)
        (self.folder / ".venv" / f"synced-{kind}").write_text(locked)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Call the entry from somewhere else."""
        return subprocess.run(
            [str(self.folder / "mandate"), *arguments],
            cwd="/",
            env={"PATH": str(self.programs), "HOME": "/nonexistent", **environment},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """A copy of the entry."""
    return Copy(tmp_path)


def test_without_a_python_it_says_what_to_do(copy: Copy) -> None:
    done = copy.run("up")
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    assert "apt-get install python3" in done.stderr


def test_an_old_python_is_passed_over_for_a_newer_one(copy: Copy) -> None:
    copy.program("python3", "#!/bin/sh\nexit 1\n")
    copy.program("python3.12", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    copy.program("uv", '#!/bin/sh\nprintf "%s " "$@" >&2\nexit 1\n')
    assert f"--python {copy.programs}/python3.12" in copy.run("up").stderr


def test_an_environment_that_somebody_made_is_kept_with_all_that_is_in_it(copy: Copy) -> None:
    copy.environment("of another name")
    copy.program("python3", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    copy.program("uv", '#!/bin/sh\nprintf "%s " "$@" >&2\n')
    said = copy.run("up").stderr
    assert f"--python {copy.folder}/.venv/bin/python" in said
    assert "--inexact" in said


def test_a_finished_environment_is_used_at_once(copy: Copy) -> None:
    copy.environment("run")
    done = copy.run("up", "--data", "my data", PYTHONPATH="/somewhere/else")
    assert done.stdout == f"{copy.folder}|-m|api.commandline|up|--data|my data|"
    assert done.stderr == ""


def test_tests_need_more_than_running_does(copy: Copy) -> None:
    copy.environment("run")
    copy.program("python3", "#!/bin/sh\nexit 0\n")
    copy.program("uv", '#!/bin/sh\nprintf "%s " "$@" >&2\n')
    done = copy.run("test")
    assert "--group=dev" in done.stderr
    assert "--no-dev" in copy.run("up").stderr or copy.run("up").stderr == ""


def test_an_environment_with_the_tests_serves_for_running_too(copy: Copy) -> None:
    copy.environment("test")
    assert copy.run("up").stdout.endswith("|up|")


@pytest.mark.parametrize("name", LOCKED)
def test_a_changed_lock_file_is_noticed(copy: Copy, name: str) -> None:
    copy.environment("run")
    with (copy.folder / name).open("a") as file:
        file.write("\n# changed\n")
    copy.program("python3", "#!/bin/sh\nexit 0\n")
    copy.program("uv", '#!/bin/sh\necho "uv was called" >&2\n')
    assert "uv was called" in copy.run("up").stderr
    assert copy.run("up").stderr == ""


def test_without_a_network_it_says_so_and_leaves_nothing_half_done(copy: Copy) -> None:
    shutil.copytree(PROJECT / ".bootstrap", copy.folder / ".bootstrap")
    copy.program("python3", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    done = copy.run("up", **nowhere)
    assert done.returncode == 1
    assert "The first run needs the network" in done.stderr
    assert not list(copy.folder.glob(".mandate/*"))


def test_the_bundled_pip_runs_without_an_installation() -> None:
    [wheel] = (PROJECT / ".bootstrap").glob("pip-*.whl")
    command = [sys.executable, "-I", "-S", f"{wheel}/pip", "--version"]
    assert "pip " in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_every_file_that_uv_may_be_is_known_by_its_hash() -> None:
    text = (PROJECT / ".bootstrap" / "requirements.txt").read_text()
    assert text.count("==") == 1
    assert text.count("--hash=sha256:") > 10
