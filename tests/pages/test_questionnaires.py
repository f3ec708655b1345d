"""A manager takes in a questionnaire from a spreadsheet."""

from importlib.resources import files
from io import BytesIO

from openpyxl import load_workbook
from playwright.async_api import FilePayload

from services.wiring import Services
from tests.pages.conftest import Reader

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CONTENT = files("domain.reference").joinpath("needs-2016.xlsx").read_bytes()


async def choose(reader: Reader, content: bytes, name: str = "needs.xlsx") -> None:
    """Choose a file and send it."""
    await reader.open("/questionnaires")
    file = FilePayload(name=name, mimeType=XLSX, buffer=content)
    await reader.page.get_by_label("Spreadsheet").set_input_files(file)
    await reader.press("Take it in")


async def events(services: Services) -> int:
    """Return how many questionnaires and versions of them the log holds."""
    async with services.pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT count(*) FROM log.stored_events WHERE topic LIKE '%Questionnaire%'"
        )
        row = await cursor.fetchone()
    return row[0] if row else 0


async def test_a_spreadsheet_is_taken_in_and_shown_in_its_languages(manager: Reader) -> None:
    await choose(manager, CONTENT)
    assert "Rotterdam Convention 2016" in await manager.heading()
    await manager.follow("Français")
    assert "Convention de Rotterdam" in await manager.heading()
    await choose(manager, CONTENT)
    assert "was taken in already" in await manager.text()


async def test_a_spoilt_spreadsheet_is_refused_cell_by_cell_and_nothing_is_stored(
    manager: Reader, services: Services
) -> None:
    book = load_workbook(BytesIO(CONTENT))
    book["survey"]["A3"] = "select_one_external authorities"
    book["survey"]["B4"] = "no name"
    spoilt = BytesIO()
    book.save(spoilt)

    await choose(manager, spoilt.getvalue())

    rows = await manager.page.locator("tbody tr").all_inner_texts()
    places = [tuple(row.split("\t")[:3]) for row in rows]
    assert ("survey", "3", "A") in places
    assert ("survey", "4", "B") in places
    assert "nothing was stored" in await manager.text()
    assert await events(services) == 0
    await manager.must_be_good()


async def test_what_is_no_spreadsheet_is_refused(manager: Reader, services: Services) -> None:
    await choose(manager, b"Dear colleagues, please find attached", "letter.docx")
    assert "The spreadsheet was not taken in" in await manager.text()
    await manager.open("/questionnaires")
    await manager.press("Take it in")
    assert "Choose a spreadsheet (.xlsx)." in await manager.text()
    assert await events(services) == 0


async def test_a_file_over_the_limit_is_refused(manager: Reader, services: Services) -> None:
    await choose(manager, b"x" * 2_100_000)
    said = await manager.text()
    assert "That is too large" in said
    assert await events(services) == 0
