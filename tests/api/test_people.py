"""People over HTTP: an account is opened, its roles change, and somebody is erased."""

from uuid import UUID, uuid4

from domain.access import Grant, Role
from domain.people import Account
from services.directory import Person
from tests.api.conftest import MARTAS_ID, Site, problem_of
from tests.cast import KENYA, Office, hired

ANA = {"name": "Ana Quispe", "email": "ana@example.org"}
AUDITOR = {"role": "auditor"}
OFFICER = {"role": "finance officer"}


async def test_an_account_is_opened_once_and_its_roles_change(site: Site) -> None:
    opened = await site.send("/people", ANA, key="Ana begins")
    id = opened.json()["id"]
    assert (opened.status_code, opened.headers["Location"]) == (201, f"/api/v1/people/{id}")
    assert (await site.send("/people", ANA, key="Ana begins")).content == opened.content

    problem_of(await site.send(f"/people/{id}/roles", OFFICER), 428, "precondition-required")
    await site.do(f"/people/{id}/roles", OFFICER, version=1)
    change = {"before": OFFICER, "after": AUDITOR, "reason": "A new post."}
    problem_of(await site.send(f"/people/{id}/roles/change", change, version=1), 412, "stale")
    await site.do(f"/people/{id}/roles/change", change, version=2)
    ana = await site.read(f"/people/{id}")
    assert (ana["name"], ana["email"], ana["state"]) == ("Ana Quispe", "ana@example.org", "open")
    assert [held["role"] for held in ana["roles"]] == ["auditor"]
    [listed] = (await site.read("/people", role="auditor"))["items"]
    assert listed == ana

    await site.do(f"/people/{id}/roles/end", {"grant": AUDITOR, "reason": "Left."}, version=3)
    assert (await site.read(f"/people/{id}"))["roles"] == []
    then = await site.read(f"/people/{id}", as_of=ana["position"])
    assert [held["role"] for held in then["roles"]] == ["auditor"]


async def test_a_key_that_was_used_for_something_else_changes_nobody_and_keeps_nobody(site: Site) -> None:
    await site.do("/people", ANA, key="Ana begins")
    problem_of(await site.send("/people", ANA | {"name": "Eve"}, key="Ana begins"), 422, "key-reused")
    people = (await site.read("/people"))["items"]
    assert sorted(person["name"] for person in people) == ["Ana Quispe", "Marta Lindqvist"]


async def test_every_fault_of_a_new_person_is_named(site: Site) -> None:
    for wrong in ({"name": " "}, {"email": "ana"}, {"email": "a@b\nBcc: c@d"}, {"language": "Quechua!"}):
        refused = problem_of(await site.send("/people", ANA | wrong), 422, "invalid")
        assert [fault["where"] for fault in refused["faults"]] == [f"/{next(iter(wrong))}"]


async def test_a_role_for_a_party_names_the_party(site: Site, office: Office) -> None:
    id = (await site.do("/people", ANA))["id"]
    contact = {"role": "party contact"}
    problem_of(await site.send(f"/people/{id}/roles", contact, version=1), 422, "invalid")
    unknown = contact | {"owner_id": str(uuid4())}
    problem_of(await site.send(f"/people/{id}/roles", unknown, version=1), 404, "not-found")
    await site.do(f"/people/{id}/roles", contact | {"owner_id": str(KENYA)}, version=1)
    [ana] = (await site.read("/people", owner_id=KENYA))["items"]
    assert ana["id"] == id


async def test_nobody_gives_a_role_to_themselves(site: Site) -> None:
    marta = await site.read(f"/people/{MARTAS_ID}")
    refused = await site.send(f"/people/{MARTAS_ID}/roles", OFFICER, version=marta["version"])
    problem_of(refused, 409, "own-role")


async def test_who_is_erased_leaves_an_id_and_no_name(site: Site) -> None:
    id = (await site.do("/people", ANA))["id"]
    await site.do(f"/people/{id}/erase", {"reason": "Asked to be forgotten."}, version=1)
    gone = await site.read(f"/people/{id}")
    assert (gone["state"], gone["name"], gone["email"], gone["roles"]) == ("erased", None, None, [])
    again = await site.send(f"/people/{id}/erase", {"reason": "Asked twice."}, version=2)
    problem_of(again, 409, "person-erased")


async def test_somebody_without_an_account_is_erased_too(site: Site) -> None:
    colleague = Person(uuid4(), "A colleague", "colleague@example.org")
    await site.services.directory.keep(colleague)
    problem_of(await site.get(f"/people/{colleague.id}"), 404, "not-found")
    path = f"/people/{colleague.id}/erase"
    await site.do(path, {"reason": "Asked to be forgotten."}, headers={"If-Match": "*"})
    assert await site.services.directory.find(colleague.id) is None


async def test_the_list_of_people_comes_in_parts(site: Site) -> None:
    for number in range(3):
        person = Person(UUID(int=number + 1), f"Person {number}", f"{number}@example.org")
        await hired(site.services, person, Grant(role=Role.AUDITOR))
    site.position = await site.log_position()
    first = await site.read("/people", limit=2)
    rest = await site.read(first["next"])
    ids = [person["id"] for person in first["items"] + rest["items"]]
    assert len(ids) == 4
    assert ids == sorted(ids)
    assert rest["next"] is None
    assert (await site.services.store.read(Account, UUID(int=1))).grants == [Grant(role=Role.AUDITOR)]
