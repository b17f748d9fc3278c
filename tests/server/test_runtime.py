import anyio
import pytest

from chat_actors.chat.registrar import FindKey
from chat_actors.kernel import KernelError, SystemFailed
from chat_actors.kernel.testing import virtual_asyncio
from chat_actors.server.runtime import Runtime
from chat_actors.server.settings import Settings
from chat_actors.storage import MemoryAccounts

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return virtual_asyncio()


class BrokenAccounts(MemoryAccounts):
    """Raises what no adapter may raise."""

    async def key_of(self, user_id):
        raise ValueError("a bug in the storage")


async def test_a_core_that_fails_again_and_again_ends_the_server_with_its_error(caplog):
    failures = []
    runtime = Runtime(Settings(), on_failure=failures.append, accounts=BrokenAccounts())
    await runtime.start()
    registrar = next(cell.ref for cell in runtime.system.family if cell.path == "/registrar")
    for _ in range(6):
        with pytest.raises(KernelError):
            await registrar.ask(FindKey("alice"), timeout=60)
    await runtime.system.wait_stopped()
    await anyio.wait_all_tasks_blocked()
    (group,) = failures
    assert isinstance(group.exceptions[0], SystemFailed)
    assert group.exceptions[0].path == "/registrar"
    assert "the actor system has failed, so the server stops" in caplog.text
    await runtime.stop(within=1)


async def test_stopping_twice_or_before_the_start_changes_nothing():
    runtime = Runtime(Settings(), on_failure=lambda error: None, accounts=MemoryAccounts())
    await runtime.stop(within=1)
    await runtime.start()
    await runtime.stop(within=1)
    await runtime.stop(within=1)
