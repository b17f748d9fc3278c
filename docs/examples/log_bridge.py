"""Post each new line of a log file to a room: python log_bridge.py http://127.0.0.1:8080 ops /var/log/app.log"""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from chat_actors.client import ClientError, Identity
from chat_actors.client.sync import connect

MAX_CHARACTERS = 1000  # of a line


def follow(path: Path, file: TextIO) -> Iterator[str]:
    """Yield each line that is added to the open file, and after a rotation, those of the new file."""
    line = ""
    while True:
        is_rotated = path.exists() and not os.path.samestat(path.stat(), os.fstat(file.fileno()))
        while part := file.readline():
            line += part
            if line.endswith("\n"):
                yield line.strip()
                line = ""
        if is_rotated:
            file.close()
            file = path.open(errors="replace")
        time.sleep(0.2)


def main(url: str, room_id: str, name: str) -> None:
    with connect(url, Identity.load_or_create("log-bridge")) as chat, chat.room(room_id, listen=False) as room:
        path = Path(name)
        file = path.open(errors="replace")
        file.seek(0, os.SEEK_END)
        print(f"following {path}", flush=True)
        for line in filter(None, follow(path, file)):
            room.say(line[:MAX_CHARACTERS])  # returns once the line is stored, so it waits while the server is down


try:
    main(*sys.argv[1:])
except (ClientError, OSError) as error:
    sys.exit(str(error))
except KeyboardInterrupt:
    pass
