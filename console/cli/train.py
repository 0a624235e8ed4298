"""`holdfast train`, which takes the number of offers from the definitions.

Training knows no definitions: the number is a default from here, read when an option asks for it.
"""

from __future__ import annotations

import os
from copy import copy
from pathlib import Path

from campaigns.definition import load_definitions
from training.__main__ import train as train_alone


def count_offers() -> int:
    """Return the number of offers in HOLDFAST_DEFINITIONS_DIR, or of the shipped ones."""
    folder = os.environ.get("HOLDFAST_DEFINITIONS_DIR")
    return len(load_definitions(Path(folder) if folder else None).offers)


train = copy(train_alone)
train.context_settings = {
    **train_alone.context_settings,
    "default_map": {name: {"offers": count_offers} for name in train_alone.commands},
}
