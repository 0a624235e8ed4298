"""The definitions of the demo: the shipped ones, with recommendations, and quiet hours that it is sure to meet."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from campaigns.channels import CHANNELS_FILE
from campaigns.channels import SHIPPED as CAMPAIGNS
from console.demo.intelligence import LAUNCHED, SUGGESTION
from segments.definition import SHIPPED as SEGMENTS

if TYPE_CHECKING:
    from pathlib import Path

QUIET_CHANNEL = "sms"


def write_definitions(folder: Path, now: datetime) -> Path:
    """Write the shipped definitions to a folder, its text messages quiet from the hour before `now` for nine hours.

    Whether hours are quiet is a question of when an event arrives, which is the real time in the demo too.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for name, shipped in (("campaigns", CAMPAIGNS), ("segments", SEGMENTS)):
        shutil.copytree(shipped, folder / name)
    file = folder / "campaigns" / f"{CHANNELS_FILE}.json"
    channels = json.loads(file.read_text())
    for channel in channels:
        if channel["key"] == QUIET_CHANNEL:
            channel["quiet_hours"] = _around(now.astimezone(UTC))
    file.write_text(json.dumps(channels, indent=2) + "\n")
    _add_suggestion(folder / "campaigns" / f"{LAUNCHED}.json")
    return folder


def _add_suggestion(file: Path) -> None:
    campaign = json.loads(file.read_text())
    campaign["message"] += SUGGESTION
    file.write_text(json.dumps(campaign, indent=2) + "\n")


def _around(now: datetime) -> dict[str, str]:
    begin, end = now - timedelta(hours=1), now + timedelta(hours=8)
    return {"from": f"{begin:%H}:00", "to": f"{end:%H}:00", "zone": "UTC"}
