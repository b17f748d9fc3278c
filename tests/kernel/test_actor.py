import pytest

from chat_actors.kernel import Actor, BadHandler, handles
from chat_actors.kernel.actor import handlers_of
from chat_actors.kernel.testing import RunningSystem
from tests.kernel.conftest import Add, Counter, Fail, Get

pytestmark = pytest.mark.anyio


def _handled_by(actor_class):
    return {kind: method.call.__name__ for kind, method in handlers_of(actor_class).methods.items()}


def test_a_handler_takes_the_type_that_its_argument_is_annotated_with_and_a_union_each_of_its_members():
    class Both(Actor[Get | Add | Fail]):
        @handles
        def one(self, message: Get | Add) -> None: ...

        @handles
        async def other(self, message: Fail) -> None: ...

    assert _handled_by(Both) == {Get: "one", Add: "one", Fail: "other"}


def test_a_subclass_inherits_handlers_and_may_override_them():
    class Child(Counter):
        @handles
        def add(self, message: Add) -> None: ...

    assert _handled_by(Child) == {Get: "get", Add: "add", Fail: "fail"}
    assert handlers_of(Child).methods[Add].call is Child.add


def test_a_plain_handler_and_an_async_one_are_told_apart():
    methods = handlers_of(Counter).methods
    assert (methods[Add].is_async, methods[Get].is_async) == (False, True)


def test_only_an_actor_with_its_own_on_turn_end_is_told_of_turns():
    class Collecting(Counter):
        def on_turn_end(self): ...

    assert handlers_of(Collecting).ends_turns
    assert not handlers_of(Counter).ends_turns


def test_two_handlers_of_one_type_are_refused():
    class Ambiguous(Counter):
        @handles
        def also_add(self, message: Add) -> None: ...

    with pytest.raises(BadHandler, match=r"\.also_add .*: Counter\.add is already the handler of Add"):
        handlers_of(Ambiguous)


def test_a_handler_without_a_message_type_is_refused():
    class Vague(Actor[Get]):
        @handles
        def get(self, message): ...

    with pytest.raises(BadHandler, match=r"Vague\.get.*annotate 'message' with a message class"):
        handlers_of(Vague)


def test_a_handler_of_two_arguments_is_refused():
    class Greedy(Actor[Get]):
        @handles
        def get(self, message: Get, other: Add): ...

    with pytest.raises(BadHandler, match="its one argument"):
        handlers_of(Greedy)


async def test_a_class_with_a_bad_handler_is_refused_where_it_is_spawned():
    class Vague(Actor[Get]):
        @handles
        def get(self, message): ...

    async with RunningSystem() as system:
        with pytest.raises(BadHandler, match=r"Vague\.get"):
            system.spawn_named("vague", Vague)
        assert system.tree() == []
