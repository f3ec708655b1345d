"""Records a history of each path through each workflow, for the tests that replay them.

Run ``python -m tests.workflows.record`` after a workflow was changed in a way that its old histories cannot
follow, keep the old files (running workflows have such histories) and patch the workflow for them.
"""

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from temporalio.client import Client

from api.stack.postgres import PostgresServer
from api.stack.temporal import TemporalServer
from domain.rounds import invitation_id
from services.rounds import SubmitResponse, WithdrawInvitation
from services.schema import prepare
from services.settings import Settings
from services.wiring import open_services
from tests.cast import FIJI, KENYA, PERU, Postbox
from tests.conftest import folders, running, settings_for
from tests.services.ledgers import publish
from tests.workflows.conftest import Clockwork, clockwork
from tests.workflows.test_on_the_real_server import a_short_round
from workflows.triggers import workflow_id
from workflows.worker import connect

FOLDER = Path(__file__).parent / "histories"


async def main() -> None:
    """Let three invitations live, each in another way, and write their histories down."""
    with TemporaryDirectory(prefix="mandate-record-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        async with PostgresServer(folder / "postgres") as postgres, TemporalServer(folder / "t") as temporal:
            await prepare(postgres.url(), postgres.passwords)
            settings = settings_for(postgres, "mandate").model_copy(update=folders(folder))
            client = await connect(Settings(temporal_address=temporal.address))
            async with (
                open_services(settings, Postbox()) as services,
                running(settings) as runner,
                clockwork(services, runner, client, datetime.now(UTC)) as work,
            ):
                await _live(work, client)


async def _live(work: Clockwork, client: Client) -> None:
    round_id = await a_short_round(work.office, KENYA, PERU, FIJI)
    lapsed, answered, withdrawn = (invitation_id(round_id, party) for party in (KENYA, PERU, FIJI))
    await work.triggers.pull()
    await asyncio.sleep(6)
    work.office.now = datetime.now(UTC)
    await work.office.do(SubmitResponse(invitation_id=answered, answers={"areas": ["law"]}))
    await work.office.do(WithdrawInvitation(invitation_id=withdrawn, reason="Sent in error."))
    await work.triggers.pull()
    for name, id in {"lapsed": lapsed, "answered-late": answered, "withdrawn": withdrawn}.items():
        handle = client.get_workflow_handle(workflow_id(id))
        if id != lapsed:
            await handle.result()
        await _write(client, workflow_id(id), f"questionnaire-deadline-{name}")
    await work.runner.catch_up()
    await client.execute_workflow(
        "ReconcileDeadlines", id="reconcile", task_queue=work.triggers.task_queue, result_type=int
    )
    await _write(client, "reconcile", "reconcile-deadlines")
    await publish(work.services.settings)
    for kind, name in {"WatchHistory": "watch-history", "SendCheckpoint": "send-checkpoint"}.items():
        await client.execute_workflow(kind, id=name, task_queue=work.triggers.task_queue, result_type=int)
        await _write(client, name, name)


async def _write(client: Client, id: str, name: str) -> None:
    history = await client.get_workflow_handle(id).fetch_history()
    FOLDER.mkdir(exist_ok=True)
    # Which machine recorded it is nobody's business.
    text = re.sub(r"\d+@[\w.-]+", "recorder", history.to_json())
    (FOLDER / f"{name}.json").write_text(text)


if __name__ == "__main__":
    asyncio.run(main())
