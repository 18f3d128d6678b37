"""Write docs/notices.schema.json from the structs of the notices."""

from __future__ import annotations

import json
from pathlib import Path

from pmon.outputs.notices.shapes import schema

PATH = Path(__file__).parents[1] / "docs" / "notices.schema.json"


def main() -> None:
    PATH.write_text(json.dumps(schema(), indent=2) + "\n")


if __name__ == "__main__":
    main()
