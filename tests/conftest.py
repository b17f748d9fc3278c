import pytest


@pytest.fixture
def anyio_backend():
    """Sockets and subprocesses run on asyncio; tests of actors say where they run on both."""
    return "asyncio"
