"""Everything that has to hold before a change goes in: style, types, imports, and the tests."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console

console = Console(highlight=False, soft_wrap=True)

LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"

CHECKS = {
    "style": ["-m", "ruff", "check", "."],
    "layout": ["-m", "ruff", "format", "--check", "."],
    "types": ["-m", "mypy"],
    "imports": ["-c", LINT_IMPORTS],
}
"""The checks that need no server. They run through the interpreter: that still works in a moved folder."""


def run(project: Path, arguments: list[str], *, no_skips: bool) -> int:
    """Run all checks, then the tests with these arguments for pytest. Returns the exit status."""
    for hint in missing_packages():
        console.print(f"[yellow]Note:[/yellow] {hint}")
    failed = []
    for name, check in CHECKS.items():
        console.rule(name)
        if _python(project, check):
            failed.append(name)
    console.rule("tests")
    with tempfile.TemporaryDirectory(prefix="mandate-") as folder:
        report = Path(folder) / "report.xml"
        if _python(project, ["-m", "pytest", f"--junit-xml={report}", *arguments]):
            failed.append("tests")
        skipped = skipped_tests(report) if no_skips else []
    if skipped:
        console.print("These tests were skipped, and none may be:", *skipped, sep="\n  ")
        failed.append("no skips")
    console.rule()
    if failed:
        console.print(f"[red]Failed:[/red] {', '.join(failed)}")
        return 1
    console.print("[green]All is well.[/green]")
    return 0


def missing_packages() -> list[str]:
    """What the machine lacks for the tests in a browser, and how to get it."""
    browsers = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    mac = Path("/Applications/Google Chrome.app").exists() or Path("/Applications/Chromium.app").exists()
    hints = []
    if not mac and not any(shutil.which(name) for name in browsers):
        hints.append("the tests in a browser need Chromium. On Debian: apt-get install chromium")
    if platform.system() == "Linux" and not Path("/usr/share/fonts/truetype/noto").exists():
        hints.append("pictures of Arabic pages need fonts. On Debian: apt-get install fonts-noto-core")
    return hints


def skipped_tests(report: Path) -> list[str]:
    """The tests that a report of pytest calls skipped, with the reason."""
    if not report.exists():
        return []
    skipped = []
    # The report is our own: pytest wrote it a moment ago into a folder that only we can write to.
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        for mark in case.iter("skipped"):
            if mark.get("type") != "pytest.xfail":
                skipped.append(f"{case.get('classname')}.{case.get('name')}: {mark.get('message')}")
    return skipped


def _python(project: Path, arguments: list[str]) -> int:
    environment = dict(os.environ) | {"PYTHONPATH": str(project)}
    environment.pop("PYTHONSAFEPATH", None)
    return subprocess.run([sys.executable, *arguments], cwd=project, env=environment, check=False).returncode
