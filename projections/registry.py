"""All projections, and the version of their code."""

import ast
import hashlib
from functools import cache
from importlib.resources import files

from projections import (
    access,
    chemicals,
    drafts,
    funding,
    gaps,
    letters,
    parties,
    programme,
    questionnaires,
    rounds,
)
from projections.tables import Projection, Table

PROJECTIONS: tuple[Projection, ...] = tuple(
    module.projection
    for module in (
        access,
        parties,
        chemicals,
        programme,
        funding,
        questionnaires,
        rounds,
        drafts,
        letters,
        gaps,
    )
)

TABLES: tuple[Table, ...] = tuple(table for projection in PROJECTIONS for table in projection.tables)


@cache
def code_version() -> str:
    """Return a short name for what the tables are made by: it changes when the code does.

    Comments and layout do not count. The domain counts, since it reads the stored events. It is looked at
    once, for a process goes on with the code that it began with, whatever is put in its place meanwhile.
    """
    summary = hashlib.sha256()
    for package in ("domain", "projections"):
        sources = sorted(
            (item for item in files(package).iterdir() if item.name.endswith(".py")),
            key=lambda item: item.name,
        )
        for source in sources:
            summary.update(ast.dump(ast.parse(source.read_text(encoding="utf-8"))).encode())
    return summary.hexdigest()[:12]
