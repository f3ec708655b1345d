"""What was stored once can be read for ever: topics, fields, and an example of each kind of event."""

import json
from typing import Any, ClassVar, Self
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import StoredEvent
from pydantic import ValidationError

from domain.aggregates import Aggregate, Stamp
from services.mapper import EventMapper, decode
from services.store import replay
from tests.cast import stamp
from tests.events import add, catalogue
from tests.events.catalogue import example_path, examples, kinds, listing, noted

HOW = "If it is meant, run: python -m tests.events.add (see tests/events/__init__.py)."


# ---- what is noted, and what there is ------------------------------------------------------------------


def test_every_kind_of_event_is_noted() -> None:
    new = listing()["events"].keys() - noted()["events"].keys()
    assert not new, f"Not noted yet: {', '.join(sorted(new))}. {HOW}"


def test_no_kind_of_event_was_renamed_moved_or_removed() -> None:
    gone = noted()["events"].keys() - listing()["events"].keys()
    assert not gone, (
        f"Gone: {', '.join(sorted(gone))}. Logs hold these topics for ever. Bring them back; to move one, "
        "register its old topic as another name."
    )


@pytest.mark.parametrize("topic", noted()["events"])
def test_the_fields_of_an_event_are_those_that_were_noted(topic: str) -> None:
    now = listing()["events"].get(topic)
    assert now is None or now == noted()["events"][topic], f"{topic} has changed. {HOW}"


@pytest.mark.parametrize("part", sorted(listing()["parts"].keys() | noted()["parts"].keys()))
def test_the_parts_of_events_are_those_that_were_noted(part: str) -> None:
    assert listing()["parts"].get(part) == noted()["parts"].get(part), f"{part} has changed. {HOW}"


@pytest.mark.parametrize(("topic", "class_version"), [(topic, version) for topic, version, _ in examples()])
def test_every_stored_example_loads(topic: str, class_version: int) -> None:
    state = example_path(topic, class_version).read_bytes()
    event = decode(topic, state)
    assert type(event) is kinds()[topic]
    if class_version == event.class_version:
        again = EventMapper().to_stored_event(event)
        assert (again.topic, json.loads(again.state)) == (topic, json.loads(state)), (
            "nothing is lost on the way"
        )


@pytest.mark.parametrize("topic", kinds())
def test_there_is_an_example_of_every_event_as_it_is_now(topic: str) -> None:
    path = example_path(topic, kinds()[topic].class_version)
    assert path.exists(), f"There is no {path.name}. {HOW}"


# ---- the tool that notes -------------------------------------------------------------------------------


@pytest.fixture
def notes(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A copy of the notes that the tests may spoil."""
    for module in (add, catalogue):
        monkeypatch.setattr(module, "TOPICS", tmp_path / "topics.json")
        monkeypatch.setattr(module, "EXAMPLES", tmp_path / "examples")
    (tmp_path / "examples").mkdir()
    assert add.main([]) == 0
    return tmp_path


LAPSED = "domain.rounds:Invitation.Lapsed"


def test_it_notes_all_there_is_with_an_example_of_each(notes: Any) -> None:
    assert noted() == listing()
    assert {(topic, version) for topic, version, _ in examples()} == {
        (topic, kind.class_version) for topic, kind in kinds().items()
    }
    for topic, _, state in examples():
        decode(topic, state)


def test_it_notes_nothing_when_an_event_is_gone(notes: Any, capsys: pytest.CaptureFixture[str]) -> None:
    topics = notes / "topics.json"
    spoilt = noted()
    spoilt["events"]["domain.rounds:Invitation.Forgotten"] = {"class_version": 1, "fields": []}
    topics.write_text(json.dumps(spoilt))

    assert add.main([]) == 1

    assert "Forgotten is gone" in capsys.readouterr().err
    assert noted() == spoilt
    assert add.main(["--anew", "domain.rounds:Invitation.Forgotten"]) == 0


def test_it_notes_nothing_when_a_value_is_gone(notes: Any, capsys: pytest.CaptureFixture[str]) -> None:
    spoilt = noted()
    spoilt["parts"]["domain.parties:Region"].append("Antarctica")
    (notes / "topics.json").write_text(json.dumps(spoilt))
    assert add.main([]) == 1
    assert "Region has lost Antarctica" in capsys.readouterr().err


def test_it_notes_nothing_when_an_example_does_not_load(
    notes: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = example_path(LAPSED, 1)
    path.write_bytes(path.read_bytes().replace(b'"due_at"', b'"due"'))
    assert add.main([]) == 1
    assert f"{LAPSED}, version 1, does not load" in capsys.readouterr().err
    assert add.main(["--anew", LAPSED]) == 0


# ---- encoding and upcasting ----------------------------------------------------------------------------


class Parcel(Aggregate):
    """A record whose events have changed twice since the first were stored."""

    weight_grams: int
    to: str

    class Event(Aggregate.Event):
        """Something that happened to a parcel."""

    class Posted(Event, Aggregate.Created):
        """The parcel was handed in. Version 1 had kilograms; version 2 had no addressee."""

        class_version: ClassVar[int] = 3

        weight_grams: int
        to: str

        @staticmethod
        def upcast_v1_v2(state: dict[str, Any]) -> None:
            state["weight_grams"] = round(state.pop("weight_kilograms") * 1000)

        @staticmethod
        def upcast_v2_v3(state: dict[str, Any]) -> None:
            state["to"] = "unknown"

        def apply(self, parcel: "Parcel") -> None:
            parcel.weight_grams = self.weight_grams
            parcel.to = self.to

    @classmethod
    def post(cls, weight_grams: int, to: str, stamp: Stamp) -> Self:
        """Hand in a parcel."""
        parcel: Self = cls.begin(cls.Posted, stamp, id=uuid4(), weight_grams=weight_grams, to=to)
        return parcel


def stored(parcel: Parcel) -> StoredEvent:
    """The only event of a parcel, as the log has it."""
    [event] = parcel.collect_events()
    return EventMapper().to_stored_event(event)


def test_an_event_says_which_version_of_its_class_wrote_it() -> None:
    event = stored(Parcel.post(1500, "Nairobi", stamp()))
    assert json.loads(event.state)["class_version"] == 3
    parcel = replay(None, [(event.topic, event.state)])
    assert isinstance(parcel, Parcel)
    assert (parcel.weight_grams, parcel.to) == (1500, "Nairobi")


@pytest.mark.parametrize(
    ("written", "weight_grams"),
    [
        ({"weight_kilograms": 1.5}, 1500),
        ({"class_version": 1, "weight_kilograms": 0.25}, 250),
        ({"class_version": 2, "weight_grams": 20}, 20),
    ],
    ids=["first", "first, said so", "second"],
)
def test_an_event_of_an_earlier_version_is_read_as_it_would_be_written_today(
    written: dict[str, Any], weight_grams: int
) -> None:
    event = stored(Parcel.post(1, "Nairobi", stamp()))
    kept = {
        name: value
        for name, value in json.loads(event.state).items()
        if name not in ("class_version", "weight_grams", "to")
    }
    parcel = replay(None, [(event.topic, json.dumps(kept | written).encode())])
    assert isinstance(parcel, Parcel)
    assert (parcel.weight_grams, parcel.to) == (weight_grams, "unknown")


def test_bytes_that_are_no_such_event_are_not_taken_for_one() -> None:
    event = stored(Parcel.post(1, "Nairobi", stamp()))
    for spoilt in (b"{}", b"not JSON", event.state.replace(b'"to"', b'"tp"')):
        with pytest.raises((ValidationError, ValueError, KeyError)):
            decode(event.topic, spoilt)


def test_a_stored_event_explains_itself() -> None:
    """A line of the log names the record, the actor and the time, without any other table."""
    for _, _, state in examples():
        line = json.loads(state)
        assert {"originator_id", "originator_version", "timestamp", "by", "because"} <= line.keys()
        assert str(UUID(line["originator_id"])) == line["originator_id"]
