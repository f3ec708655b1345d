"""Many parties whose contacts change, so that whoever reads the tables can tell at once if they are whole.

Every event makes one version of one party, and there are no others in the log. In every consistent picture
the versions of all parties therefore add up to the position, as long as no position was skipped.
"""

from collections.abc import Sequence
from datetime import date
from itertools import product
from string import ascii_uppercase
from uuid import NAMESPACE_OID, uuid5

from eventsourcing.persistence import StoredEvent

from domain.parties import ContactRole, Party
from projections.reading import Picture, Tables
from services.log import Log
from services.mapper import EventMapper
from tests.cast import register, stamp
from tests.services.logbook import an_entry

CODES = ["".join(letters) for letters in product("X", ascii_uppercase, ascii_uppercase)]


def a_crowd(events: int, parties: int = 100) -> list[StoredEvent]:
    """Events of many parties in turns: each is registered, then its contact changes again and again."""
    encode = EventMapper().to_stored_event
    crowd: list[Party] = []
    made: list[StoredEvent] = []
    number = 0
    while len(made) < events:
        if number < parties:
            facts = register("KEN").model_copy(update={"iso3": CODES[number]})
            party = Party.register(facts, stamp())
            crowd.append(party)
        else:
            party = crowd[number % parties]
            contact = uuid5(NAMESPACE_OID, str(number))
            party.name_contact(ContactRole.OFFICIAL_CONTACT_POINT, contact, date(2020, 1, 1), stamp())
        made += [encode(event) for event in party.collect_events()]
        number += 1
    return made[:events]


async def write(log: Log, events: Sequence[StoredEvent], at_once: int = 20) -> int:
    """Write events in commands of a few, one after the other, and return the last position."""
    position = 0
    for start in range(0, len(events), at_once):
        written = await log.append(an_entry(*events[start : start + at_once]))
        position = written.last_position or position
    return position


async def is_whole(picture: Picture) -> bool:
    """Whether a picture shows exactly what the events up to its position made."""
    row = await picture.one("SELECT coalesce(sum(version), 0)::bigint AS versions FROM parties")
    assert row is not None
    versions: int = row["versions"]
    return versions == picture.position


async def check_every_position(tables: Tables, last: int, step: int = 1) -> None:
    """Check the past: what was true at each position, too."""
    for position in range(0, last + 1, step):
        async with tables.picture(at=position) as picture:
            assert await is_whole(picture), f"the tables are not whole at {position}"
