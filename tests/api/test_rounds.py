"""A round over HTTP: opened, issued, extended, answered, and read as of any moment."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from domain.aggregates import identify
from domain.parties import ContactRole
from domain.questionnaires import Questionnaire
from domain.rounds import invitation_id
from services.entrance import Entrance
from services.letters import SendLetter
from tests.api.conftest import Site, a_round, problem_of
from tests.cast import ALBANIA, FIJI, KENYA, NORWAY, PERU, Office, Postbox, contact_of, hired, speaker

QUESTIONNAIRE = Questionnaire.id_of("needs")
GOOD = {"answers": {"areas": ["customs", "law"], "remark": "Thank you."}}


async def opened(site: Site) -> UUID:
    """Open a round."""
    return UUID((await site.do("/rounds", a_round(QUESTIONNAIRE)))["id"])


async def issued(site: Site) -> UUID:
    """Open a round and issue it to all whom it is meant for."""
    round_id = await opened(site)
    await site.do(f"/rounds/{round_id}/issue", {"parties": "eligible"})
    return round_id


def later(days: int = 60) -> dict[str, Any]:
    """The body of an extension."""
    moment = datetime.now(UTC) + timedelta(days=days)
    return {"due": {"at": moment.isoformat()}, "reason": "Asked for by the regional group."}


async def test_a_round_runs_from_opening_to_the_table(site: Site, office: Office) -> None:
    opening = await site.send("/rounds", a_round(QUESTIONNAIRE), key="opening")
    assert opening.status_code == 201
    round_id = opening.json()["id"]
    assert opening.headers["Location"] == f"/api/v1/rounds/{round_id}"
    assert opening.headers["ETag"] == '"1"'
    assert opening.headers["Idempotency-Key"] == "opening"

    issue = await site.send(f"/rounds/{round_id}/issue", {"parties": "eligible"}, version=1)
    assert (issue.status_code, issue.headers["ETag"]) == (200, '"2"')

    for code, party, areas in (("KEN", KENYA, ["law", "customs"]), ("PER", PERU, ["customs"])):
        invitation = invitation_id(UUID(round_id), party)
        await site.answered(code, invitation, {"answers": {"areas": areas}})

    board = (await site.read(f"/rounds/{round_id}/board"))["items"]
    assert [(row["iso3"], row["state"]) for row in board] == [
        ("KEN", "received"),
        ("FJI", "issued"),
        ("ALB", "issued"),
        ("PER", "received"),
    ]
    rates = (await site.read(f"/rounds/{round_id}/response-rates"))["items"]
    assert rates[-1] | {"region": None, "issued": 4, "received": 2, "percent": 50.0} == rates[-1]

    table = await site.read(f"/rounds/{round_id}/gaps", question="areas")
    assert table["responses"] == 2
    counts = {row["option"]: (row["total"], row["percent"]) for row in table["rows"]}
    assert counts == {"customs": (2, 100.0), "law": (1, 50.0), "monitoring": (0, 0.0)}
    assert table["rows"][1]["by_region"] == {"Africa": 1, "Asia-Pacific": 0, "CEE": 0, "GRULAC": 0}

    behind = await site.read(table["rows"][0]["behind"])
    assert [item["iso3"] for item in behind["items"]] == ["KEN", "PER"]
    event = await site.read(behind["items"][0]["event"])
    assert event["event"] == "Invitation.ResponseReceived"
    assert event["facts"]["answers"] == {"areas": ["customs", "law"]}
    assert event["by"] == f"person:{speaker('KEN')[0].id}"
    response = await site.read(behind["items"][0]["response"])
    assert response["answers"] == {"areas": ["customs", "law"]}

    account = await site.read(f"/rounds/{round_id}/letters")
    assert account["planned"] == 4 * 5
    assert account["cancelled"] == 2 * 5
    letters = await site.read("/letters", about=invitation_id(UUID(round_id), FIJI))
    assert sorted(letter["kind"] for letter in letters["items"]) == [
        "escalation",
        "invitation",
        "reminder",
        "reminder",
        "reminder",
    ]


async def test_eligible_parties_are_those_meant_and_not_yet_asked(site: Site, office: Office) -> None:
    round_id = await opened(site)
    await site.do(f"/rounds/{round_id}/issue", {"parties": [str(KENYA), str(FIJI)]})
    await site.do(f"/rounds/{round_id}/issue", {"parties": "eligible"})
    invitations = (await site.read("/invitations", round_id=round_id))["items"]
    assert {row["iso3"] for row in invitations} == {"KEN", "FJI", "ALB", "PER"}
    nobody_left = await site.send(f"/rounds/{round_id}/issue", {"parties": "eligible"})
    problem_of(nobody_left, 422, "no-parties")


async def test_it_refuses_a_party_that_may_not_receive_the_round(site: Site, office: Office) -> None:
    round_id = await opened(site)
    before = await site.log_position()
    refused = await site.send(f"/rounds/{round_id}/issue", {"parties": [str(KENYA), str(NORWAY)]})
    problem = problem_of(refused, 409, "may-not-receive")
    assert [fault["where"] for fault in problem["faults"]] == ["NOR"]
    assert await site.log_position() == before


async def test_it_refuses_a_due_date_in_the_past(site: Site, office: Office) -> None:
    before = await site.log_position()
    problem_of(await site.send("/rounds", a_round(QUESTIONNAIRE, days=-3)), 422, "due-in-the-past")
    assert await site.log_position() == before


async def test_it_refuses_an_extension_to_an_earlier_date(site: Site, office: Office) -> None:
    round_id = await issued(site)
    before = await site.log_position()
    problem_of(await site.send(f"/rounds/{round_id}/extend", later(days=5), version=2), 422, "not-later")
    invitation = invitation_id(round_id, KENYA)
    problem_of(
        await site.send(f"/invitations/{invitation}/extend", later(days=5), version=1), 422, "not-later"
    )
    assert await site.log_position() == before


async def test_it_refuses_what_is_not_known(site: Site, office: Office) -> None:
    nobody = uuid4()
    body = a_round(nobody)
    problem_of(await site.send("/rounds", body), 404, "not-found")
    problem_of(
        await site.send("/rounds", a_round(QUESTIONNAIRE) | {"form_version": "9"}), 404, "unknown-version"
    )
    problem_of(await site.send(f"/rounds/{nobody}/issue", {"parties": [str(KENYA)]}), 404, "not-found")
    problem_of(await site.send(f"/rounds/{nobody}/issue", {"parties": "eligible"}), 404, "not-found")
    problem_of(await site.hand_in("KEN", f"/invitations/{nobody}/response", GOOD), 404, "not-found")
    for path in (
        f"/rounds/{nobody}",
        f"/rounds/{nobody}/board",
        f"/rounds/{nobody}/response-rates",
        f"/rounds/{nobody}/letters",
        f"/rounds/{nobody}/gaps?question=areas",
        f"/rounds/{nobody}/gaps/behind?question=areas&option=law",
        f"/invitations/{nobody}",
        f"/invitations/{nobody}/response",
        f"/records/{nobody}/events",
        f"/parties/{nobody}",
        "/parties/XXX",
        f"/questionnaires/{nobody}",
        f"/questionnaires/{nobody}/versions",
        f"/questionnaires/{QUESTIONNAIRE}/versions/9",
        f"/questionnaires/{QUESTIONNAIRE}/versions/9/spreadsheet",
    ):
        problem_of(await site.get(path), 404, "not-found")
    problem_of(await site.get(f"/commands/{nobody}"), 404, "unknown-key")


async def test_it_names_every_fault_of_a_response(site: Site, office: Office) -> None:
    invitation = invitation_id(await issued(site), KENYA)
    await hired(site.services, *speaker("KEN"))
    before = await site.log_position()
    for answers, where in (
        ({"areas": ["customs", "law", "monitoring"]}, ["areas"]),
        ({"areas": ["fishing"], "remark": ["a", "b"]}, ["areas", "remark"]),
        ({"areas": {"x": 1}, "remark": True}, ["areas", "remark"]),
        ({"areas": [["customs"]]}, ["areas"]),
        ({"areas": ["customs"], "unheard_of": "x"}, ["unheard_of"]),
        ({"remark": "no areas"}, ["areas"]),
        ({"areas": ["customs"], "remark": "\0"}, ["remark"]),
    ):
        refused = await site.hand_in("KEN", f"/invitations/{invitation}/response", {"answers": answers})
        problem = problem_of(refused, 422, "answers")
        assert [fault["where"] for fault in problem["faults"]] == where, problem
    assert await site.log_position() == before
    problem_of(await site.get(f"/invitations/{invitation}/response"), 404, "not-found")


async def test_it_refuses_a_second_response_and_one_after_withdrawal(site: Site, office: Office) -> None:
    round_id = await issued(site)
    kenya, fiji = invitation_id(round_id, KENYA), invitation_id(round_id, FIJI)
    await site.answered("KEN", kenya, GOOD)
    problem_of(await site.hand_in("KEN", f"/invitations/{kenya}/response", GOOD), 409, "already-received")
    await site.do(f"/invitations/{fiji}/withdraw", {"reason": "Sent by mistake."}, version=1)
    problem_of(await site.hand_in("FJI", f"/invitations/{fiji}/response", GOOD), 409, "withdrawn")
    assert (await site.read(f"/invitations/{fiji}"))["withdrawn_because"] == "Sent by mistake."


async def test_a_party_answers_by_the_link_of_its_letter(
    site: Site, office: Office, postbox: Postbox
) -> None:
    round_id = await issued(site)
    invitation = invitation_id(round_id, KENYA)
    contact = contact_of("KEN", ContactRole.OFFICIAL_CONTACT_POINT)
    letters = (await site.read("/letters", about=invitation))["items"]
    (letter,) = [letter for letter in letters if letter["kind"] == "invitation"]
    await office.do(SendLetter(letter_id=letter["id"]))
    written = postbox.letters[0].get_body(("plain",))
    assert written is not None
    link = re.search(r"http\S+/l/(\S+)", written.get_content())
    assert link
    other = invitation_id(round_id, PERU)
    async with site.stranger() as party:
        path = "/api/v1/invitations/{}/response"
        problem_of(await party.post(path.format(invitation), json=GOOD), 401, "unauthenticated")
        opened = await Entrance(site.services).open_link(link[1], "a browser", datetime.now(UTC))
        assert opened
        party.headers["Authorization"] = f"Bearer {opened.secret}"
        problem_of(await party.post(path.format(other), json=GOOD), 404, "not-found")
        answered = await party.post(path.format(invitation), json=GOOD)
        assert answered.status_code == 200
    events = (await site.read(f"/records/{invitation}/events", as_of=answered.headers["Event-Position"]))[
        "items"
    ]
    assert events[-1]["by"] == f"person:{contact.id}"


async def test_an_extension_reaches_all_who_have_not_answered(site: Site, office: Office) -> None:
    round_id = await issued(site)
    await site.answered("PER", invitation_id(round_id, PERU), GOOD)
    extension = later()
    await site.do(f"/rounds/{round_id}/extend", extension, version=2)
    due = {row["iso3"]: row["due_at"] for row in (await site.read(f"/rounds/{round_id}/board"))["items"]}
    moved = datetime.fromisoformat(extension["due"]["at"])
    assert {iso3 for iso3, at in due.items() if datetime.fromisoformat(at) == moved} == {"KEN", "FJI", "ALB"}


async def test_the_same_key_gives_the_same_bytes(site: Site, office: Office) -> None:
    key, body = uuid4(), a_round(QUESTIONNAIRE)
    first = await site.send("/rounds", body, key=key)
    again = await site.send("/rounds", body, key=key)
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert first.headers["Event-Position"] == again.headers["Event-Position"]
    assert first.json()["id"] == str(identify("round", key))
    other = await site.send("/rounds", body | {"title": "Another"}, key=key)
    problem_of(other, 422, "key-reused")
    assert len((await site.read("/rounds"))["items"]) == 1


async def test_the_same_key_gives_the_same_refusal(site: Site, office: Office) -> None:
    round_id = await opened(site)
    body = {"parties": [str(NORWAY)]}
    first = await site.send(f"/rounds/{round_id}/issue", body, key="norway")
    again = await site.send(f"/rounds/{round_id}/issue", body, key="norway")
    problem_of(first, 409, "may-not-receive")
    assert (first.status_code, first.content) == (again.status_code, again.content)
    known = await site.read("/commands/norway")
    assert (known["outcome"], known["problem"]["code"]) == ("refused", "may-not-receive")


async def test_a_repeated_command_that_was_filled_in_from_the_tables_is_known_again(
    site: Site, office: Office
) -> None:
    round_id = await opened(site)
    issue = {"parties": "eligible"}
    first = await site.send(f"/rounds/{round_id}/issue", issue, key="issue")
    again = await site.send(f"/rounds/{round_id}/issue", issue, key="issue")
    assert (first.status_code, first.content) == (again.status_code, again.content) == (200, first.content)
    extension = later()
    first = await site.send(f"/rounds/{round_id}/extend", extension, key="extend", version=2)
    await site.answered("PER", invitation_id(round_id, PERU), GOOD)
    again = await site.send(f"/rounds/{round_id}/extend", extension, key="extend", version=2)
    assert (first.status_code, first.content) == (again.status_code, again.content) == (200, first.content)
    changed = await site.send(f"/rounds/{round_id}/extend", later(90), key="extend", version=2)
    problem_of(changed, 422, "key-reused")


async def test_eight_at_once_under_one_key_make_one_round(site: Site, office: Office) -> None:
    key, body = uuid4(), a_round(QUESTIONNAIRE)
    answers = await asyncio.gather(*(site.send("/rounds", body, key=key) for _ in range(8)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    assert len((await site.read("/rounds"))["items"]) == 1
    known = await site.read(f"/commands/{key}")
    assert (known["outcome"], known["answer"]) == ("done", answers[0].json())
    assert known["position"] == int(answers[0].headers["Event-Position"])


async def test_a_change_must_say_which_version_it_is_based_on(site: Site, office: Office) -> None:
    round_id = await issued(site)
    invitation = invitation_id(round_id, ALBANIA)
    for path, body in (
        (f"/rounds/{round_id}/extend", later()),
        (f"/invitations/{invitation}/extend", later()),
        (f"/invitations/{invitation}/withdraw", {"reason": "Sent by mistake."}),
    ):
        problem_of(await site.send(path, body), 428, "precondition-required")
        problem_of(await site.send(path, body, version=7), 412, "stale")
        problem_of(await site.send(path, body, version="x"), 412, "stale")
    seen = (await site.get(f"/invitations/{invitation}")).headers["ETag"]
    first = await site.send(f"/invitations/{invitation}/extend", later(), headers={"If-Match": seen})
    second = await site.send(f"/invitations/{invitation}/extend", later(90), headers={"If-Match": seen})
    assert first.status_code == 200
    assert problem_of(second, 412, "stale")["version"] == 2
    anyhow = await site.send(f"/invitations/{invitation}/extend", later(90), headers={"If-Match": "*"})
    assert anyhow.status_code == 200


async def test_every_read_can_be_asked_for_as_of_an_earlier_moment(site: Site, office: Office) -> None:
    round_id = await issued(site)
    invitation = invitation_id(round_id, KENYA)
    before, moment = site.position, datetime.now(UTC)
    await site.answered("KEN", invitation, GOOD)

    for as_of in (before, moment.isoformat(), moment.isoformat().replace("+00:00", "Z")):
        then = await site.get(f"/invitations/{invitation}", as_of=as_of)
        assert (then.json()["state"], then.headers["Event-Position"]) == ("issued", str(before))
        assert then.headers["ETag"] == '"1"'
    assert (await site.read(f"/invitations/{invitation}"))["state"] == "received"
    tomorrow = (moment + timedelta(days=1)).date()
    assert (await site.read(f"/invitations/{invitation}", as_of=tomorrow))["state"] == "received"
    problem_of(await site.get(f"/invitations/{invitation}", as_of="2020-01-01"), 404, "not-found")
    history = await site.read(f"/records/{invitation}/events", as_of=before)
    assert [event["event"] for event in history["items"]] == ["Invitation.QuestionnaireIssued"]
    table = await site.read(f"/rounds/{round_id}/gaps", question="areas", as_of=before)
    assert table["responses"] == 0
    assert table["rows"][0]["percent"] is None
    for nonsense in ("yesterday", "2026-02-30", "2026-03-02T10:00:00", "9999-12-31", "-1"):
        problem = problem_of(await site.get(f"/rounds/{round_id}", as_of=nonsense), 422, "invalid")
        assert problem["faults"][0]["where"] == "query/as_of"


async def test_lists_come_in_parts_that_show_one_moment(site: Site, office: Office) -> None:
    round_id = await issued(site)
    first = await site.read("/invitations", round_id=round_id, limit=3)
    await site.answered(first["items"][0]["iso3"], first["items"][0]["id"], GOOD)
    second = await site.read(first["next"])
    assert second["position"] == first["position"]
    assert second["next"] is None
    ids = [row["id"] for row in first["items"] + second["items"]]
    assert len(set(ids)) == len(ids) == 4
    parties = await site.read("/parties", limit=2)
    assert [row["iso3"] for row in parties["items"]] == ["ALB", "FJI"]
    assert [row["iso3"] for row in (await site.read(parties["next"]))["items"]] == ["KEN", "NOR"]


async def test_a_read_waits_for_the_position_that_it_names(site: Site, office: Office) -> None:
    opening = await site.send("/rounds", a_round(QUESTIONNAIRE))
    position = opening.headers["Event-Position"]
    path = opening.headers["Location"]
    seen = await site.client.get(path, headers={"Wait-For-Position": position})
    assert seen.status_code == 200
    assert int(seen.headers["Event-Position"]) >= int(position)


async def test_no_table_is_made_of_a_question_without_options(site: Site, office: Office) -> None:
    round_id = await issued(site)
    problem = problem_of(
        await site.get(f"/rounds/{round_id}/gaps", question="remark"), 422, "unknown-question"
    )
    assert "areas" in problem["faults"][0]["what"]


FAULTY: tuple[tuple[dict[str, Any], str], ...] = (
    ({"title": " "}, "/title"),
    ({"title": "x" * 201}, "/title"),
    ({"title": 5}, "/title"),
    ({"title": "Needs\n2026"}, "/title"),
    ({"questionnaire_id": "none"}, "/questionnaire_id"),
    ({"audience": {"categories": []}}, "/audience/categories"),
    ({"audience": {"categories": ["rich", "developing"]}}, "/audience/categories/0"),
    ({"due": {}}, "/due"),
    ({"due": {"on": "2027-02-30"}}, "/due/on"),
    ({"due": {"on": "9999-12-31"}}, "/due/on"),
    ({"due": {"at": "9999-12-31T23:59:59-12:00"}}, "/due/at"),
    ({"due": {"at": "2027-02-01T10:00:00"}}, "/due/at"),
    ({"schedule": {"reminders": ["P999999D"]}}, "/schedule/reminders/0"),
    ({"schedule": {"reminders": ["-P1D"]}}, "/schedule/reminders/0"),
    ({"schedule": {"reminders": ["P1D"] * 13}}, "/schedule/reminders"),
    ({"schedule": {"sometimes": True}}, "/schedule/sometimes"),
)


async def test_it_names_the_place_of_each_fault_in_a_body(site: Site, office: Office) -> None:
    before = await site.log_position()
    for change, where in FAULTY:
        refused = await site.send("/rounds", a_round(QUESTIONNAIRE) | change)
        problem = problem_of(refused, 422, "invalid")
        assert [fault["where"] for fault in problem["faults"]] == [where], problem
    everything = await site.send("/rounds", {})
    assert len(problem_of(everything, 422, "invalid")["faults"]) == 5
    assert await site.log_position() == before


async def test_a_text_with_a_null_character_is_refused_before_it_stands_in_the_log(
    site: Site, office: Office
) -> None:
    before = await site.log_position()
    refused = await site.send("/rounds", a_round(QUESTIONNAIRE) | {"notice": "Needs\0"})
    problem_of(refused, 422, "null-character")
    surrogate = json.dumps(a_round(QUESTIONNAIRE) | {"title": "\ud800"})
    as_json = {"Content-Type": "application/json"}
    problem_of(await site.send("/rounds", content=surrogate, headers=as_json), 422, "invalid")
    assert await site.log_position() == before
    backslash = a_round(QUESTIONNAIRE) | {"title": "\\u0000"}
    await site.do("/rounds", backslash)
