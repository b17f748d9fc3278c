"""How long a test waits for what must happen."""

PATIENCE = 300.0
"""Seconds. This only ends a test that hangs. A machine that runs other work may be slow, and no test judges that."""
