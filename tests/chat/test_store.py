import pytest

from chat_actors.chat import Store
from chat_actors.chat.directory import Directory
from chat_actors.chat.store import StateUnreadable
from chat_actors.kernel.testing import RunningSystem, settle
from chat_actors.storage import MemoryStates
from chat_actors.testing import on_virtual_time
from tests.chat.rig import START


@on_virtual_time
async def test_store_names_a_state_of_another_type():
    states = MemoryStates()
    await Store(states, "x.Thing/cafe").put("thing", {"a": 1})
    with pytest.raises(StateUnreadable, match=r"the state 'thing' in 'x.Thing/cafe' cannot be read"):
        await Store(states, "x.Thing/cafe").get("thing", list[int], [])


@on_virtual_time
async def test_removed_key_has_its_default():
    store = Store(MemoryStates(), "x.Thing/cafe")
    await store.put("thing", 1)
    await store.remove("thing")
    assert await store.get("thing", int, 0) == 0


@on_virtual_time
async def test_page_selects_by_prefix_and_position():
    store = Store(MemoryStates(), "x.Thing/cafe")
    await store.put_all({"a1": 1, "b1": 2, "b2": 3, "b3": 4, "c1": 5})
    assert await store.page(int, prefix="b", after="b1", limit=1) == [("b2", 3)]
    assert [value for _, value in await store.page(int, prefix="b")] == [2, 3, 4]
    assert [value for _, value in await store.page(int, after="b1")] == [3, 4, 5]


@pytest.mark.anyio
async def test_rooms_parent_closes_the_states_at_its_stop():
    class Closable(MemoryStates):
        closed = 0

        async def aclose(self):
            self.closed += 1
            await super().aclose()

    states = Closable()
    async with RunningSystem() as system:
        system.spawn_named("rooms", Directory, lambda: START, states=states)
        await settle(system)
        assert states.closed == 0
    assert states.closed == 1
