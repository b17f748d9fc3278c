"""Default signal handling in the processes that tests start.

Under `nohup`, or in the background of a script, SIGHUP or SIGINT is ignored, and child processes inherit that.
"""

import signal

SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def _ignore(number, frame):
    """Unlike SIG_IGN, a handler is not inherited: `exec` replaces it with SIG_DFL (signal(7))."""


def restore_for_children():
    """Give later child processes the default of each signal that is ignored; this process still ignores it."""
    for number in SIGNALS:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _ignore)
