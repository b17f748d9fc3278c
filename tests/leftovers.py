"""Find what a test leaves behind: child processes, threads, open files and sockets, temporary files.

Linux only: elsewhere there is no /proc, and only threads and temporary files are seen.
"""

import threading
import time
from pathlib import Path

END_WITHIN = 60.0  # seconds; a thread or process may still be ending
PROC = Path("/proc/self")
KEPT_OPEN = ("/dev/", "anon_inode:", "/proc/")  # by event loops, random number generators and readers of /proc


def children():
    """The child processes of this one, zombies too, with their command lines."""
    found = {}
    for thread in _listed(PROC / "task"):
        for pid in _text(thread / "children").split():
            found[f"process {pid}"] = _text(Path("/proc", pid, "cmdline")).replace("\0", " ") or "a zombie"
    return found


def threads():
    """The non-daemon threads, which keep this process from ending."""
    return {f"thread {one.ident}": one.name for one in threading.enumerate() if not one.daemon}


def open_files():
    """The open descriptors, with what they refer to."""
    found = {}
    for entry in _listed(PROC / "fd"):
        try:
            target = str(entry.readlink())
        except OSError:  # the descriptor of the listing itself
            continue
        if not target.startswith(KEPT_OPEN):
            found[f"descriptor {entry.name}"] = target
    return found


def files_in(folder):
    """The entries of a folder for temporary files."""
    return {f"temporary file {path.name}": str(path) for path in _listed(folder)}


def processes_with(variable, value):
    """The processes started after this one whose environment has this value, orphans too, with their command lines."""
    wanted, since = f"{variable}={value}", _start_time(PROC)
    return {
        f"process {entry.name}": _text(entry / "cmdline").replace("\0", " ")
        for entry in _listed(Path("/proc"))
        if entry.name.isdecimal() and _start_time(entry) > since and wanted in _text(entry / "environ").split("\0")
    }


def _start_time(process):
    """In clock ticks since the machine started, see proc(5); 0 for a process that has ended."""
    fields = _text(process / "stat").rpartition(")")[2].split()
    return int(fields[19]) if fields else 0


def remaining(find, before):
    """The items of `find()` that are not in `before`, and are still there after `END_WITHIN` seconds."""
    until = time.monotonic() + END_WITHIN
    while left := {name: item for name, item in find().items() if before.get(name) != item}:
        if time.monotonic() > until:
            break
        time.sleep(0.01)
    return left


def _listed(folder):
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _text(path):
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
