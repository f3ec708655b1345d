"""The command line: one command for each thing that a person or an operator does.

Each command imports what it needs when it runs, so that help is there at once and a worker does not load
the web server.
"""

import asyncio
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console

if TYPE_CHECKING:
    from services.settings import Settings

Result = TypeVar("Result")
PROJECT = Path(__file__).resolve().parents[1]

app = typer.Typer(
    name="mandate",
    help="Mandate tracks what a treaty body asked for, from the paragraph that asked to the evidence that "
    "it was done.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
people = typer.Typer(help="Let people in where nobody is there yet to do it.", no_args_is_help=True)
history_app = typer.Typer(
    help="The proofs of the history: check them, change the key, grow the tree anew.", no_args_is_help=True
)
console = Console(stderr=True, highlight=False, soft_wrap=True)

Port = Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 lets the program choose.")]
DataFolder = Annotated[
    Path | None,
    typer.Option("--data", help="Folder that keeps everything. Without it: .mandate/data in the project."),
]

HERE = "On this machine"
PROCESSES = "Processes of an installation (settings from the environment)"
CARE = "Care"
app.add_typer(history_app, name="history", rich_help_panel=CARE)
app.add_typer(people, name="people", rich_help_panel=CARE)


@app.command(rich_help_panel=HERE)
def up(
    demo: Annotated[
        bool, typer.Option("--demo", help="Load the demonstration: parties, rounds, answers.")
    ] = False,
    data: DataFolder = None,
    port: Port = 0,
    letters_port: Port = 0,
    smtp_port: Port = 0,
    temporal_port: Port = 0,
    workflows_port: Port = 0,
) -> None:
    """Run all of Mandate on this machine: database, workflows, site and a mail box to look into.

    Everything is kept in one folder; Ctrl-C stops everything in order, and starting again finds it as it
    was. A second copy runs beside the first with --data and another folder.
    """
    from api.stack.local import Ports
    from api.stack.session import run

    wanted = Ports(port, letters_port, smtp_port, temporal_port, workflows_port)
    raise typer.Exit(asyncio.run(run(_data_folder(data), wanted, demo=demo)))


@app.command(
    rich_help_panel=HERE, context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
)
def test(
    context: typer.Context,
    no_skips: Annotated[bool, typer.Option("--no-skips", help="Fail when a test is skipped.")] = False,
) -> None:
    """Check style, types and imports, then run the tests on a real PostgreSQL and a real Temporal.

    What follows goes to pytest: [bold]./mandate test tests/domain -k extend[/bold].
    """
    from api.checks import run

    raise typer.Exit(run(PROJECT, context.args, no_skips=no_skips))


@app.command(rich_help_panel=HERE)
def bench(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    proven_events: Annotated[
        int, typer.Option(min=2_000, help="How many events the history has that is proven, such as 1000000.")
    ] = 50_000,
) -> None:
    """Measure writing, loading, rebuilding and proving against pgbench, COPY, hashlib and the eventsourcing
    library."""
    from api.bench import main as measure

    measure(json=json, proven_events=proven_events)


@app.command(rich_help_panel=HERE)
def sink(
    smtp_port: Annotated[int, typer.Option(help="Port that takes letters.")] = 1025,
    port: Annotated[int, typer.Option(help="Port of the pages that show them.")] = 8025,
    folder: Annotated[Path, typer.Option(help="Folder that keeps them.")] = Path(".mandate/letters-sink"),
    host: Annotated[str, typer.Option(help="Network address to listen on.")] = "127.0.0.1",
) -> None:
    """Take letters instead of a mail server, and show them in the browser. Nothing is delivered."""
    from api.sink.server import run

    _run(run(folder, smtp_port, port, host))


@app.command(rich_help_panel=PROCESSES)
def prepare() -> None:
    """Make roles, database and tables where they are missing. Run it once, before the other processes.

    It ends with a failure when the history is not what was published of it: nothing should be opened then.
    """
    from psycopg.conninfo import conninfo_to_dict

    from projections import history
    from services import schema

    settings = _settings(*("superuser_url", "owner_url", "writer_url", "projector_url", "reader_url"))
    urls = (settings.owner_url, settings.writer_url, settings.projector_url, settings.reader_url)
    named = [conninfo_to_dict(url) for url in urls]
    passwords = {str(parts["user"]): str(parts.get("password", "")) for parts in named}
    _run(schema.prepare(settings.superuser_url, passwords, database=str(named[0]["dbname"])))
    _run(_history(history.check(settings)))
    console.print("The database is ready.")


@app.command(rich_help_panel=PROCESSES)
def serve() -> None:
    """Serve the site and its interface for programs."""
    from api import serving

    serving.serve(_settings("writer_url", "reader_url"))


@app.command(rich_help_panel=PROCESSES)
def work() -> None:
    """Run the workflows: deadlines, reminders, letters, and what starts them."""
    from workflows.worker import run

    _run(run(_settings("writer_url", "reader_url")))


@app.command(rich_help_panel=PROCESSES)
def project() -> None:
    """Keep the tables at the head of the event log, and prove the history."""
    from projections.projector import run

    _run(run(_settings("projector_url")))


@app.command(rich_help_panel=CARE)
def seed(
    demo: Annotated[
        bool, typer.Option("--demo", help="The demonstration: parties, rounds, answers.")
    ] = False,
    data: DataFolder = None,
) -> None:
    """Load data through the ordinary commands into the copy that runs on this machine, or as settings say."""
    if not demo:
        console.print("Say what to load: [bold]--demo[/bold].")
        raise typer.Exit(2)
    from api.demo import load

    _run(load(_settings("writer_url", data=data), console.print))


@app.command(rich_help_panel=CARE)
def rebuild(data: DataFolder = None) -> None:
    """Build all tables anew from the event log, beside the old ones, and let them take over."""
    from projections.runner import rebuild as run

    settings = _settings("projector_url", data=data)
    with console.status("Reading the log.") as status:
        _run(run(settings, lambda position, head: status.update(f"Position {position:,} of {head:,}.")))
    console.print("The tables are rebuilt.")


@app.command(rich_help_panel=CARE)
def secrets(
    folder: Annotated[Path, typer.Argument(help="Folder for the files.")] = Path("secrets"),
    host: Annotated[str, typer.Option(help="Host of PostgreSQL as the processes see it.")] = "postgresql",
) -> None:
    """Write fresh passwords and keys for docker compose, one file each. Files that exist are left alone."""
    from api.secrets import write

    for path in write(folder, host):
        console.print(f"Wrote {path}")


@people.command()
def administrator(
    name: Annotated[str, typer.Option(prompt="Name", help="Name of the person.")],
    address: Annotated[
        str, typer.Option(prompt="Mail address", help="Mail address with which the person signs in.")
    ],
    another: Annotated[
        bool, typer.Option("--another", help="Go on also when there is an administrator already.")
    ] = False,
    data: DataFolder = None,
) -> None:
    """Make the first administrator, and print the link with which that person sets a password.

    The link is good once and for 24 hours, and is printed this once. With --another, and the address of an
    administrator who has lost the password, it makes a link for that person.
    """
    from pydantic import ValidationError

    from api.administrators import NotMade, make_administrator
    from services.directory import Entry

    settings = _settings("writer_url", data=data)
    try:
        entry = Entry(name=name, email=address)
        made = _run(make_administrator(settings, entry, another=another))
    except ValidationError:
        console.print("Give a name, and a mail address such as ana@example.org.", style="red")
        raise typer.Exit(2) from None
    except NotMade as error:
        console.print(str(error), style="red")
        raise typer.Exit(1) from None
    console.print("Open this address in a browser, or hand it to the person. It is good once, for 24 hours:")
    typer.echo(made.address)


@app.command(
    rich_help_panel=CARE,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def verify(context: typer.Context) -> None:
    """Verify an evidence pack offline: [bold]./mandate verify pack.zip --key KEY[/bold]."""
    from services.verify.mandate_verify import main as verify_pack

    raise typer.Exit(verify_pack(context.args))


@history_app.command("check")
def check_history(data: DataFolder = None) -> None:
    """Hold the whole log against the checkpoints that were published. Ends with 3 where it differs."""
    from projections.history import watch

    async def check() -> int:
        found = await watch(_settings("writer_url", data=data))
        for finding in found.findings:
            console.print(finding.message, style="red", markup=False)
        console.print(
            f"{found.size:,} events and {found.checkpoints:,} checkpoints were read. "
            f"{found.covered:,} events are as they were published."
        )
        return 3 if found.findings else 0

    raise typer.Exit(_run(_history(check())))


@history_app.command("rotate")
def rotate_history_key(data: DataFolder = None) -> None:
    """Make a fresh signing key, named by the old one, which is then forgotten. It signs from the next
    checkpoint on."""
    from projections.history import log_keys
    from services.keys import rotate

    async def fresh() -> str:
        settings = _settings("keys_folder", data=data)
        return rotate(settings.keys_folder, log_keys(settings)).chain[-1].encoded

    console.print(f"The log signs with {_run(_history(fresh()))} from now on.", markup=False)


@history_app.command("regrow")
def regrow_history(data: DataFolder = None) -> None:
    """Let the tree grow anew from the log, as after a change of the tree that the log does not share."""
    from projections.history import regrow

    size = _run(_history(regrow(_settings("projector_url", data=data))))
    console.print(f"The tree has grown anew: {size:,} events.")


def _data_folder(data: Path | None) -> Path:
    from api.stack.account import default_data_folder

    return data.resolve() if data else default_data_folder(PROJECT)


def _settings(*needed: str, data: Path | None = None) -> "Settings":
    """Settings from the environment, or from the copy that runs on this machine; all of ``needed`` given."""
    from services.settings import MissingSettingError, Settings

    settings = Settings()
    if data or not settings.writer_url:
        from api.stack.local import local_settings

        settings = local_settings(_data_folder(data)) or settings
    try:
        settings.require(*needed)
    except MissingSettingError as error:
        console.print(str(error), style="red")
        console.print("To try Mandate on this machine, run: ./mandate up --demo")
        raise typer.Exit(2) from None
    return settings


async def _history(work: Coroutine[Any, Any, Result]) -> Result:
    """Do something with the history; end with 3 when it differs from what was published, and say how."""
    from services.history_tree import HistoryDiffers
    from services.keys import KeysError

    try:
        return await work
    except (HistoryDiffers, KeysError) as difference:
        console.print(f"The history is not as it was published. {difference}", style="red", markup=False)
        raise typer.Exit(3) from None


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run until it ends, or until the process is asked to stop: then it is cancelled and may tidy up."""
    import uvloop

    async def main() -> Result:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        await asyncio.wait([task])
        if task.cancelled():
            raise typer.Exit
        return task.result()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def main() -> None:
    """The entry point of the installed program."""
    app(prog_name="mandate")


if __name__ == "__main__":
    main()
