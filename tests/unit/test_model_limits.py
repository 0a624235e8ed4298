"""What `holdfast models` says of a model that a command is not for."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from console.model_limits import _NOT_MONITORED, _NOT_TRIED
from console.models import models
from models.leads import LEADS
from models.tasks.registry import TASKS, can_be_tried
from training.tasks.registry import TASKS as TRAINED


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("monitor sentiment", "sentiment cannot be monitored: the warehouse has no labels of messages; label some new"),
        ("monitor leads", "leads cannot be monitored: the warehouse has no leads; `holdfast train leads`"),
        ("monitor chrun", "no model 'chrun' can be monitored; there are: churn, "),
        (
            "experiment start sentiment v1 --share 0.5",
            "sentiment cannot be tried in an experiment: a message is read once",
        ),
        ("experiment status leads", "leads cannot be tried in an experiment: a lead has one score"),
        ("experiment stop uplift --why x", "uplift cannot be tried in an experiment: its own gate"),
    ],
)
def test_a_command_that_is_not_for_a_model_says_why_and_what_to_do(command: str, said: str) -> None:
    result = CliRunner().invoke(models, command.split())
    assert (result.exit_code, said in result.output) == (2, True), result.output


def test_every_model_can_be_looked_at_or_has_a_sentence() -> None:
    everything = {*TASKS, LEADS}
    assert everything == {*TRAINED, *_NOT_MONITORED}
    assert everything == {*filter(can_be_tried, TASKS), *_NOT_TRIED}
