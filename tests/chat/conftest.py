import logging

import pytest

from chat_actors.kernel.testing import virtual_asyncio, virtual_trio


@pytest.fixture(params=[virtual_asyncio, virtual_trio], ids=["asyncio", "trio"])
def anyio_backend(request):
    return request.param()


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "chat_actors")
