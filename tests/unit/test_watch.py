"""What a job asks for, and what the worker's settings make of it."""

from __future__ import annotations

import pytest

from pmon.metadata import JobMetadata
from pmon.monitor.watch import resolve
from pmon.settings import Settings, VideoMode


@pytest.mark.parametrize(
    ("video", "looks"), [("auto", True), ("always", True), ("adaptive", True), ("off", False)]
)
def test_a_worker_that_looks_at_no_video_watches_none(video: VideoMode, looks: bool) -> None:
    settings = Settings(api_key="key", api_secret="secret", video=video)
    watch = resolve(JobMetadata(monitoring_type="full"), settings)
    assert watch.video == looks
    assert watch.audio
