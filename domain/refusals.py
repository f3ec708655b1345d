"""The one family of errors that the domain raises: a refusal says what is wrong and what to do next.

A refusal is an ordinary outcome of a command, not a fault of the program. Nothing is stored when a
command is refused. The doors of the service (``api``) translate the family into HTTP statuses in one
table; workflow steps treat a refusal as final and do not retry it.
"""

from typing import Any, ClassVar

from pydantic import BaseModel


class Fault(BaseModel, frozen=True):
    """One thing that is wrong, and where: a question of a form, or a cell of a spreadsheet."""

    where: str
    """Question name, JSON pointer or ``sheet!cell``; empty when the fault is about the whole."""
    what: str
    """One sentence for the person who has to mend it."""


class Refusal(Exception):
    """A command that the rules do not allow.

    ``code`` names the rule for programs; the message says in plain English what happened and what to do.
    """

    kind: ClassVar[str] = "refused"

    def __init__(self, code: str, message: str, *, faults: tuple[Fault, ...] = (), **facts: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.faults = faults
        self.facts = facts


class NotFound(Refusal):
    """Nothing is known under this id."""

    kind = "not-found"


class NotAllowed(Refusal):
    """The state of the record does not allow the command (for example: it was withdrawn)."""

    kind = "not-allowed"


class Invalid(Refusal):
    """What was given breaks a rule of the form; every fault is named."""

    kind = "invalid"


class Stale(Refusal):
    """The command was based on an older version of the record than the one that stands now."""

    kind = "stale"
