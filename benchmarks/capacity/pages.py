"""What pmon tells of itself over HTTP."""

from __future__ import annotations

import json
import re

from capacity.results import Told

LISTENING = re.compile(r'^pmon_listening\{mode="(\w+)"\} (\S+)$', re.M)
OVERDUE = re.compile(r"^pmon_microphones_overdue (\S+)$", re.M)


def told_of(metrics: str, worker: str) -> Told:
    """Of its pages ``/metrics`` and ``/worker``."""
    modes = {mode: round(float(value)) for mode, value in LISTENING.findall(metrics)}
    overdue = OVERDUE.search(metrics)
    return Told(
        heard=modes.get("heard", 0),
        resting=modes.get("resting", 0),
        overdue=None if overdue is None else round(float(overdue[1])),
        load=json.loads(worker)["worker_load"],
    )
