import pytest


def pytest_make_parametrize_id(val, argname):
    """Name bytes after their parameter: frames are masked with random keys, and test ids must be the same each time."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture
def anyio_backend():
    """Sockets and subprocesses run on asyncio; tests of actors say where they run on both."""
    return "asyncio"
