"""The clock of an invitation: what it has to do when it wakes, however late, and never twice."""

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.aggregates import Stamp
from domain.deadlines import Deadline, Step, StepKind
from domain.letters import Letter, LetterKind, LetterState
from domain.parties import ContactRole
from domain.rounds import Due, Invitation, InvitationState, Schedule
from tests.cast import KENYA, NOW, stamp
from tests.domain.test_rounds import (
    DUE,
    a_lapsed_invitation,
    a_withdrawn_invitation,
    an_answered_invitation,
    an_invitation,
    days,
)

checked = settings(max_examples=300, deadline=None, derandomize="CI" in os.environ)


# ---- what the clock has to do --------------------------------------------------------------------------


def a_deadline(invitation: Invitation | None = None) -> Deadline:
    return (invitation or an_invitation()).deadline()


def seen(steps: Sequence[Step], deadline: Deadline) -> list[str]:
    """Steps in words: what is done to which letter, by its distance from the due date in days."""
    letters = {letter.letter_id: letter for letter in deadline.letters}
    return [
        f"{step.kind} {letters[step.letter_id].kind} {letters[step.letter_id].offset.days}"
        if step.letter_id
        else str(step.kind)
        for step in steps
    ]


BEHIND = [
    (-30.1, []),
    (-30, ["send invitation 0"]),
    (-14, ["send invitation 0", "send reminder -14"]),
    (-5, ["send invitation 0", "suppress reminder -14", "send reminder -7"]),
    (-1, ["send invitation 0", "suppress reminder -14", "suppress reminder -7", "send reminder -1"]),
    (0, [*(f"suppress reminder -{day}" for day in (14, 7, 1)), "lapse"]),
    (7, [*(f"suppress reminder -{day}" for day in (14, 7, 1)), "lapse", "escalate escalation 7"]),
]


@pytest.mark.parametrize(("day", "expected"), BEHIND, ids=[f"day {day}" for day, _ in BEHIND])
def test_when_the_clock_is_behind_only_the_newest_reminder_goes_out(day: float, expected: list[str]) -> None:
    deadline = a_deadline()
    steps = deadline.steps(DUE + timedelta(days=day), done=())
    assert seen(steps, deadline) == (["send invitation 0", *expected] if day >= 0 else expected)


def test_after_the_due_date_no_reminder_goes_out_and_each_says_why() -> None:
    suppressed = [step for step in a_deadline().steps(DUE, ()) if step.kind is StepKind.SUPPRESS]
    assert [step.reason for step in suppressed] == ["The due date has passed."] * 3


def test_what_is_done_is_not_done_again() -> None:
    deadline = a_deadline()
    done: set[str] = set()
    for day in (-14, -7, -1):
        [*_, step] = deadline.steps(DUE + timedelta(days=day), done)
        assert step.kind is StepKind.SEND
        done |= {step.name for step in deadline.steps(DUE + timedelta(days=day), done)}
        assert deadline.steps(DUE + timedelta(days=day), done) == []


def test_escalations_are_never_skipped_and_come_after_the_lapse() -> None:
    deadline = a_deadline(an_invitation(schedule=Schedule(reminders=(), escalations=days(1, 5, 9))))
    steps = deadline.steps(DUE + timedelta(days=30), ())
    assert seen(steps, deadline)[1:] == ["lapse", *(f"escalate escalation {day}" for day in (1, 5, 9))]


def test_what_has_lapsed_does_not_lapse_again() -> None:
    kinds = [step.kind for step in a_deadline(a_lapsed_invitation()).steps(DUE + timedelta(days=7), ())]
    assert StepKind.LAPSE not in kinds
    assert kinds[-1] is StepKind.ESCALATE


@pytest.mark.parametrize("closed", [an_answered_invitation, a_withdrawn_invitation])
def test_when_nothing_is_expected_any_more_there_is_nothing_to_do(closed: object) -> None:
    assert callable(closed)
    deadline = a_deadline(closed())
    assert deadline.closed
    assert deadline.steps(DUE + timedelta(days=99), ()) == []


def test_the_clock_knows_when_there_is_something_to_do_next() -> None:
    deadline = a_deadline()
    moments, now = [], NOW - timedelta(days=1)
    while (moment := deadline.next_moment(now)) is not None:
        moments.append(moment - DUE)
        now = moment
    assert moments == list(days(-30, -14, -7, -1, 0, 7))


DISTANCES = st.lists(st.integers(1, 40).map(lambda day: timedelta(days=day)), max_size=6).map(tuple)
SCHEDULES = st.builds(Schedule, reminders=DISTANCES, escalations=DISTANCES)
PAUSES = st.lists(st.floats(0.01, 45).map(lambda day: timedelta(days=day)), max_size=12)


@given(schedule=SCHEDULES, pauses=PAUSES)
@checked
def test_every_letter_is_seen_to_exactly_once_whenever_the_clock_wakes(
    schedule: Schedule, pauses: list[timedelta]
) -> None:
    invitation = an_invitation(schedule=schedule)
    deadline = invitation.deadline()
    letters = {letter.letter_id: letter for letter in deadline.letters}
    taken: list[tuple[datetime, Step]] = []
    now = NOW
    for pause in [*pauses, timedelta(days=100)]:
        now += pause
        steps = deadline.steps(now, {step.name for _, step in taken})
        taken += [(now, step) for step in steps]
        reminded = [
            s for s in steps if s.kind is StepKind.SEND and s.name != str(invitation.letters[0].letter_id)
        ]
        assert len(reminded) <= 1, "several reminders at one moment help nobody"
        assert deadline.steps(now, {step.name for _, step in taken}) == []

    assert sorted(step.letter_id for _, step in taken if step.letter_id) == sorted(letters)
    assert len([step for _, step in taken if step.kind is StepKind.LAPSE]) == 1
    for moment, step in taken:
        if step.letter_id is None:
            assert moment >= deadline.due_at
            continue
        letter = letters[step.letter_id]
        assert moment >= letter.at, "nothing is done before its time"
        if letter.kind is LetterKind.REMINDER:
            assert step.kind is (StepKind.SUPPRESS if moment >= deadline.due_at else step.kind)
        if letter.kind is LetterKind.ESCALATION:
            assert step.kind is StepKind.ESCALATE


def _live(step: Step, invitation: Invitation, letters: dict[UUID, Letter], at: Stamp) -> None:
    """Do what a step asks for, as the commands of a workflow do it."""
    if step.kind is StepKind.LAPSE:
        invitation.lapse(invitation.due_at, at)
        return
    assert step.letter_id is not None
    if step.kind is StepKind.SUPPRESS:
        letters[step.letter_id].suppress(step.reason, at)
        return
    if step.kind is StepKind.ESCALATE:
        invitation.escalate(step.letter_id, at)
    if letters[step.letter_id].outstanding:
        letters[step.letter_id].sent(UUID(int=1), "<1@example.org>", at)


def _keep_letters(invitation: Invitation, letters: dict[UUID, Letter], at: Stamp) -> None:
    """Plan and cancel letters as the due date moves, as the commands about rounds do it."""
    current = {planned.letter_id for planned in invitation.letters}
    for id, letter in letters.items():
        if id not in current:
            letter.cancel("The due date was moved.", at)
    for planned_letter in invitation.letters:
        letters.setdefault(
            planned_letter.letter_id,
            Letter.plan(
                planned_letter,
                invitation.id,
                KENYA,
                ContactRole.OFFICIAL_CONTACT_POINT,
                invitation.due_at,
                at,
            ),
        )


MOVES = st.lists(
    st.tuples(st.sampled_from(["wait", "wait", "extend", "forget"]), st.floats(0.01, 30)), max_size=15
)


@given(schedule=SCHEDULES, moves=MOVES)
@checked
def test_a_clock_that_is_stopped_moved_and_started_again_sends_each_letter_once(
    schedule: Schedule, moves: list[tuple[str, float]]
) -> None:
    """The clock takes one step after the other and may lose its memory; the domain has the last word."""
    invitation = an_invitation(schedule=schedule)
    letters: dict[UUID, Letter] = {}
    _keep_letters(invitation, letters, stamp())
    done: set[str] = set()
    now = NOW
    for move, number in [*moves, ("wait", 200.0)]:
        match move:
            case "extend" if invitation.can_be_extended(Due(at=now + timedelta(days=number))):
                invitation.extend(Due(at=now + timedelta(days=number)), "More time.", stamp(now))
                _keep_letters(invitation, letters, stamp(now))
            case "forget":
                done.clear()
            case "wait":
                now += timedelta(days=number)
        while steps := invitation.deadline().steps(now, done):
            _live(steps[0], invitation, letters, stamp(now))
            done.add(steps[0].name)

    events = [event for letter in letters.values() for event in letter.pending_events]
    ends = [event for event in events if not isinstance(event, Letter.Planned)]
    assert len({event.originator_id for event in ends}) == len(ends) == len(letters), "each letter ends once"
    assert {letter.state for letter in letters.values()} <= {
        LetterState.SENT,
        LetterState.SUPPRESSED,
        LetterState.CANCELLED,
    }
    assert invitation.state is InvitationState.LAPSED
    current = [letter for letter in invitation.letters if letter.kind is LetterKind.ESCALATION]
    assert {letter.letter_id for letter in current} <= invitation.escalated
    assert all(letters[letter.letter_id].state is LetterState.SENT for letter in current)
    for event in events:
        if isinstance(event, Letter.Sent) and letters[event.originator_id].kind is LetterKind.REMINDER:
            [planned_event] = [
                e for e in events if isinstance(e, Letter.Planned) and e.originator_id == event.originator_id
            ]
            assert planned_event.at <= event.timestamp < planned_event.due_at
