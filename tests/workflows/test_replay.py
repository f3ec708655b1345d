"""Histories that were recorded earlier are replayed against today's workflows.

A workflow that runs for months is continued by whatever code is there when it wakes up. If that code
would not have done what the history says, the workflow is stuck; this is where it shows first.
"""

import json
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError

from workflows.rounds import QuestionnaireDeadline
from workflows.worker import WORKFLOWS

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def stored(path: Path) -> WorkflowHistory:
    """Read a history that was written down."""
    return WorkflowHistory.from_json(path.stem, path.read_text())


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_today_s_code_follows_a_recorded_history(path: Path) -> None:
    replayer = Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter)

    await replayer.replay_workflow(stored(path))


def test_every_workflow_has_a_recorded_history() -> None:
    recorded = {
        json.loads(path.read_text())["events"][0]["workflowExecutionStartedEventAttributes"]["workflowType"][
            "name"
        ]
        for path in HISTORIES
    }

    assert recorded == {kind.__name__ for kind in WORKFLOWS}


@workflow.defn(name="QuestionnaireDeadline")
class BrokenDeadline(QuestionnaireDeadline):
    """A workflow that somebody changed without a thought for those that are running."""

    @workflow.signal(name="deadline_changed")
    def deadline_changed(self, deadline: object) -> None:
        """Forget what it is told."""

    @workflow.run
    async def run(self, invitation_id: UUID) -> str:
        """Wait a day before anything else."""
        await workflow.sleep(timedelta(days=1))
        return "closed"


async def test_a_careless_change_is_caught() -> None:
    replayer = Replayer(
        workflows=[BrokenDeadline],
        data_converter=pydantic_data_converter,
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    path = next(path for path in HISTORIES if path.stem == "questionnaire-deadline-lapsed")

    with pytest.raises(NondeterminismError):
        await replayer.replay_workflow(stored(path))
