import pytest

from chat_actors.chat import Storage
from chat_actors.server.runtime import Runtime
from chat_actors.server.settings import Settings
from chat_actors.storage import MemoryAccounts


@pytest.fixture
async def runtime():
    runtime = Runtime(Settings(), on_failure=lambda error: None, storage=Storage(MemoryAccounts()))
    await runtime.start()
    yield runtime
    await runtime.stop(within=5)
