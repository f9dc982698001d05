"""The program as a user starts it, with a watch around its ingest: ``python -m bench.served PORT DONE DATA``.

PORT is that of ``bench.paced``. Says where the page is, as ever; leaves the notes of ``bench.latency_runner`` in DONE when it ends.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import app
from bench.latency_runner import Watch, settings


def main(port: int, result: Path, folder: Path) -> None:
    chosen = settings(port, folder)
    for name in ("venues", "symbols"):
        os.environ[f"DOPE_{name.upper()}"] = ",".join(getattr(chosen, name))
    for name in ("endpoints", "fees"):
        os.environ[f"DOPE_{name.upper()}"] = json.dumps(getattr(chosen, name))
    os.environ |= {"DOPE_DEBOUNCE_MS": "0", "DOPE_DATA_DIR": str(chosen.data_dir), "DOPE_MODEL_DIR": str(chosen.model_dir)}
    watch = Watch(sys.maxsize)
    watch.install()
    try:
        app.run(["serve", "--source", "live", "--port", "0"])
    finally:
        watch.save(result)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
