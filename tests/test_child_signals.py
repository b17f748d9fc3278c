import subprocess
import sys

from tests.patience import PATIENCE

CHILD = "import signal; print([signal.getsignal(n) is not signal.SIG_IGN for n in (1, 2, 15)])"
PARENT = f"""
import signal, subprocess, sys
from tests.child_signals import SIGNALS, restore_for_children
for number in SIGNALS:
    signal.signal(number, signal.SIG_IGN)
restore_for_children()
for number in SIGNALS:
    signal.raise_signal(number)
subprocess.run([sys.executable, "-c", {CHILD!r}], check=True)
"""


def test_child_signals_are_not_inherited_as_ignored():
    done = subprocess.run([sys.executable, "-c", PARENT], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout == "[True, True, True]\n"
