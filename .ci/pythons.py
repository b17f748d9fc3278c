"""Run the fast part of the suite on the newest of each other Python, 3.11 or later, that this machine has."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

OLDEST = (3, 11)
ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTEST_XDIST_AUTO_NUM_WORKERS": "2"}  # the Pythons run side by side

Version = tuple[int, ...]


def candidates() -> Iterator[Path]:
    """Programs that may be a Python: on the PATH, and those of pyenv."""
    for folder in os.get_exec_path():
        yield from Path(folder).glob("python3.[1-9][0-9]")
    yield from (Path.home() / ".pyenv" / "versions").glob("3.*/bin/python")


def version_of(program: Path) -> Version:
    """The version as a tuple of numbers; nothing if it is not a Python that runs."""
    code = "import sys; print(*sys.version_info[:3] if sys.version_info.releaselevel == 'final' else ())"
    try:
        done = subprocess.run([program, "-c", code], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else ()


def others() -> list[tuple[Version, Path]]:
    """The newest Python of each minor version but this one, by its version."""
    found: dict[Version, tuple[Version, Path]] = {}
    for program in candidates():
        version = version_of(program)
        if version >= OLDEST and version[:2] != sys.version_info[:2]:
            known = found.get(version[:2])
            if known is None or version > known[0]:
                found[version[:2]] = version, program
    return sorted(found.values())


def run(version: Version, program: Path) -> tuple[bool, str]:
    """Make an environment, install what the fast part needs, and run it; whether it passed, and what to print."""
    name = ".".join(map(str, version))
    environment = ROOT / ".venv" / f"python-{name}"
    python = environment / "bin" / "python"
    began = time.monotonic()
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    output = ""
    for command in (
        [program, "-m", "venv", "--without-pip", environment],
        [*pip, "install", "-q", "-e", f"{ROOT}[test]"],
        [python, "-m", "pytest", "-m", "fast", "-p", "no:cacheprovider"],
    ):
        done = subprocess.run(
            command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        output += done.stdout
        if done.returncode != 0:
            break
    outcome = "passed" if done.returncode == 0 else "FAILED"
    seconds = time.monotonic() - began
    return done.returncode == 0, f"{output}fast suite on Python {name}: {outcome} in {seconds:.0f} s"


if __name__ == "__main__":
    pythons = others()
    print("other Pythons:", ", ".join(".".join(map(str, version)) for version, _ in pythons) or "none", flush=True)
    with ThreadPoolExecutor(len(pythons) or 1) as together:
        outcomes = list(together.map(lambda one: run(*one), pythons))
    print("\n".join(output for _, output in outcomes))
    sys.exit(not all(passed for passed, _ in outcomes))
