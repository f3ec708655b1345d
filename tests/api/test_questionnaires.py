"""A questionnaire comes in as a spreadsheet over HTTP, or is refused with its cells."""

from importlib.resources import files

from openpyxl import load_workbook

from api.questionnaires import SPREADSHEET
from domain.questionnaires import Questionnaire
from tests.api.conftest import BEGUN, Site, problem_of
from tests.services.test_xlsforms import a_workbook, stored

GOOD = stored(a_workbook())
AS_SPREADSHEET = {"Content-Type": SPREADSHEET}
ID = Questionnaire.id_of("needs")


async def test_a_spreadsheet_is_taken_in_and_given_back_byte_by_byte(site: Site) -> None:
    taken = await site.send("/questionnaires", content=GOOD, headers=AS_SPREADSHEET, key="needs")
    assert (taken.status_code, taken.headers["Location"]) == (201, f"/api/v1/questionnaires/{ID}")
    assert taken.json() == {"id": str(ID), "version": 1, "form_id": "needs", "form_version": "2016.1"}

    questionnaire = await site.read(f"/questionnaires/{ID}")
    assert questionnaire["title"] == {"en": "Needs", "fr": "Besoins"}
    versions = (await site.read(f"/questionnaires/{ID}/versions"))["items"]
    assert [version["form_version"] for version in versions] == ["2016.1"]
    form = await site.read(f"/questionnaires/{ID}/versions/2016.1")
    names = [question["name"] for section in form["form"]["sections"] for question in section["questions"]]
    assert names == ["welcome", "areas", "other_area", "staff"]

    spreadsheet = await site.get(f"/questionnaires/{ID}/versions/2016.1/spreadsheet")
    assert spreadsheet.content == GOOD
    assert spreadsheet.headers["content-type"] == SPREADSHEET
    assert spreadsheet.headers["content-disposition"] == 'attachment; filename="needs-2016.1.xlsx"'
    assert spreadsheet.headers["etag"] == f'"{versions[0]["spreadsheet_sha256"]}"'
    xform = await site.get(f"/questionnaires/{ID}/versions/2016.1/xform")
    assert b"<h:html" in xform.content
    assert "attachment" in xform.headers["content-disposition"]


async def test_a_spreadsheet_may_come_in_a_form_and_again_under_its_key(site: Site) -> None:
    file = {"spreadsheet": ("needs.xlsx", GOOD, SPREADSHEET)}
    first = await site.send("/questionnaires", files=file, key="needs")
    again = await site.send("/questionnaires", content=GOOD, headers=AS_SPREADSHEET, key="needs")
    assert (first.status_code, first.content) == (again.status_code, again.content) == (201, first.content)
    once_more = await site.send("/questionnaires", content=GOOD, headers=AS_SPREADSHEET)
    problem_of(once_more, 409, "already-taken-in")


async def test_a_version_never_changes_and_a_new_one_stands_beside_it(site: Site) -> None:
    await site.do("/questionnaires", content=GOOD, headers=AS_SPREADSHEET)
    changed = a_workbook()
    changed["survey"]["C4"] = "Areas of work"
    refused = await site.send("/questionnaires", content=stored(changed), headers=AS_SPREADSHEET)
    problem_of(refused, 409, "version-differs")
    changed["settings"]["D2"] = "2026"
    await site.do("/questionnaires", content=stored(changed), headers=AS_SPREADSHEET)
    assert (await site.read(f"/questionnaires/{ID}"))["latest_version"] == "2026"
    versions = (await site.read(f"/questionnaires/{ID}/versions"))["items"]
    assert [version["form_version"] for version in versions] == ["2016.1", "2026"]


async def test_what_is_no_xlsform_is_refused_with_its_cells_and_nothing_is_stored(site: Site) -> None:
    unsupported = a_workbook()
    unsupported["survey"]["A8"] = "geopoint"
    unsupported["survey"]["G5"] = "nonsense("
    refused = await site.send("/questionnaires", content=stored(unsupported), headers=AS_SPREADSHEET)
    assert refused.status_code == 422
    places = {fault["where"] for fault in refused.json()["faults"]}
    assert "survey!A8" in places, refused.json()
    for content in (b"", b"no spreadsheet", GOOD[:500]):
        problem = await site.send("/questionnaires", content=content, headers=AS_SPREADSHEET)
        problem_of(problem, 422, "no-spreadsheet")
    problem_of(await site.send("/questionnaires", content=GOOD), 415, "unsupported-media-type")
    problem_of(
        await site.send("/questionnaires", data={"spreadsheet": "text"}, files={"x": ("", b"")}),
        400,
        "malformed",
    )
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    problem_of(await site.send("/questionnaires", content=b"--y", headers=broken), 400, "malformed")
    assert await site.log_position() == BEGUN
    assert (await site.read("/questionnaires"))["items"] == []


async def test_the_questionnaire_that_is_shipped_is_taken_in(site: Site) -> None:
    content = files("domain.reference").joinpath("needs-2016.xlsx").read_bytes()
    assert load_workbook(files("domain.reference").joinpath("needs-2016.xlsx").open("rb")).sheetnames
    taken = await site.do("/questionnaires", content=content, headers=AS_SPREADSHEET)
    form = await site.read(f"/questionnaires/{taken['id']}/versions/{taken['form_version']}")
    kinds = [question["kind"] for section in form["form"]["sections"] for question in section["questions"]]
    assert "select_multiple" in kinds
