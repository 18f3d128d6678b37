"""The page that shows notices: it knows all of them, and makes no markup of names."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from pmon.outputs.notices import shapes

BROWSER = Path(__file__).parents[2] / "examples" / "browser"
SCRIPT = (BROWSER / "notices.js").read_text()


def test_the_browser_receiver_takes_every_type_of_notice() -> None:
    """A new one must not be passed over there."""
    for kind in get_args(shapes.AnyNotice):
        assert f'case "{kind.__struct_config__.tag}":' in SCRIPT


def test_the_browser_receiver_makes_no_markup_of_what_others_wrote() -> None:
    for word in ("HTML", "document.write", "eval(", "new Function"):
        assert word not in SCRIPT


def test_the_browser_receiver_loads_nothing_from_elsewhere() -> None:
    page = (BROWSER / "index.html").read_text().partition("-->")[2]
    assert "://" not in page.replace('placeholder="wss://your.livekit.server"', "")
