"""Texts that other layers write into the log or say, and that the pages translate where they know them.

Other refusals that hold names, days or numbers are shown in the English of their rule.
"""

from collections.abc import Iterable

from api.pages.translations import SOURCE, _, known, language, later, speaking
from domain.refusals import Fault

REASONS = (
    later("The due date has passed."),
    later("A later reminder was due at the same time."),
    later("The party has named nobody as its official contact point."),
    later("The party has named nobody as its designated national authority."),
    later("The link was withdrawn before its letter went out."),
    later("The person does not speak for the party any more."),
    later("It was revoked by hand."),
    later("The questionnaire was withdrawn."),
    later("The response was received."),
    later("The due date was moved."),
)
"""Why a letter ended as it did, or a link, where it was no person who said why."""

ANSWER_FAULTS = (
    later("Please answer this question."),
    later("Choose one option."),
    later("Give a list of options."),
    later("An option was given twice."),
    later("Write a whole number, such as 12, of at most 15 digits."),
    later("Write a number with a point, such as 12.5."),
    later("Write a date as year-month-day, such as 2016-09-30."),
    later("The answer does not fulfil the rule of this question."),
    later("This question does not apply, given the other answers: remove its answer."),
    later("The answer is too long: at most 10000 characters fit."),
    later("The answer holds characters that cannot be kept, such as control characters: take them out."),
)
"""What the rules say of an answer where the author of the form wrote no message."""

REFUSALS = {
    "already-received": later("The party has answered already. Nothing was stored."),
    "withdrawn": later("The questionnaire was withdrawn. Nothing was stored."),
    "link-ended": later(
        "This link is not good any more. Nothing was changed. Ask the Secretariat for a new letter, or the "
        "colleague who forwarded it for a new link."
    ),
    "too-many-colleagues": later(
        "As many colleagues as can be asked at a time have a link to this questionnaire. Nobody was written "
        "to. Withdraw a link that is not needed any more, then ask again."
    ),
    "not-drawn": later(
        "The page does not fit what is saved. Nothing was saved. Open the questionnaire again."
    ),
}
"""What the contact of a party can be refused by a rule whose own words hold numbers or what was asked, by
the code of the rule. In English the rule's own words stand, which say more."""

ACTORS = (later("workflow deadline"), later("service demo"), later("service synthesis"))
"""Who acts when it is no person."""


def translated(faults: Iterable[Fault], language: str) -> tuple[Fault, ...]:
    """Return what is wrong with answers in a language, where the author of the form wrote no message."""
    with speaking(language):
        return tuple(Fault(where=fault.where, what=known(fault.what)) for fault in faults)


def refusal(code: str, message: str) -> str:
    """Return why a rule refused something, in the language that is spoken now where we know it."""
    return _(REFUSALS[code]) if code in REFUSALS and language() != SOURCE else known(message)


def reason(text: str | None) -> str:
    """Return a reason as it was recorded, translated where nobody but the service wrote it."""
    return known(text) if text in REASONS else text or ""
