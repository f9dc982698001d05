"""``app.py`` with an ear on every file that its process touches: one line of JSON per event into the file that OVERHEARD names.

Interpreter events only: what compiled readers (DuckDB, Arrow) open is not heard.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import threading
from pathlib import Path
from typing import Any

HEARD = {
    "open", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown", "os.listdir",
    "os.scandir", "os.utime", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "shutil.rmtree", "shutil.move",
    "shutil.copyfile", "tempfile.mkstemp", "sqlite3.connect", "ctypes.dlopen",
}  # fmt: skip  #: auditing events


def listen(path: str) -> None:
    """From now on, until the process ends: an ear cannot be taken off again."""
    sink = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def ear(event: str, args: tuple[Any, ...]) -> None:
        if event in HEARD and args and not isinstance(args[0], int):
            names = [os.fsdecode(arg) for arg in args[: 1 if event == "open" else 2] if isinstance(arg, (str, bytes, os.PathLike))]
            os.write(sink, json.dumps([event, threading.current_thread().name, *names]).encode() + b"\n")

    sys.addaudithook(ear)


if __name__ == "__main__":
    listen(os.environ["OVERHEARD"])
    root = Path(__file__).resolve().parents[2]
    sys.path[0] = str(root)
    sys.argv[0] = str(root / "app.py")
    runpy.run_path(str(root / "app.py"), run_name="__main__")
