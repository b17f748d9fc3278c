import pytest

from chat_actors.chat import Store
from chat_actors.chat.store import StateUnreadable
from chat_actors.storage import MemoryStates
from chat_actors.testing import on_virtual_time


@on_virtual_time
async def test_store_names_a_state_of_another_type():
    states = MemoryStates()
    await Store(states, "x.Thing/cafe").put("thing", {"a": 1})
    with pytest.raises(StateUnreadable, match=r"the state 'thing' in 'x.Thing/cafe' cannot be read"):
        await Store(states, "x.Thing/cafe").get("thing", list[int], [])
