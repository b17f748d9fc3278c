import pytest

from chat_actors.kernel import Actor, BadHandler, handles
from chat_actors.kernel.actor import handlers_of
from chat_actors.kernel.testing import RunningSystem
from tests.kernel.conftest import Add, Counter, Fail, Get

pytestmark = pytest.mark.anyio


def _handled_by(actor_class):
    return {kind: method.call.__name__ for kind, method in handlers_of(actor_class).methods.items()}


def test_handler_takes_each_type_of_its_annotation():
    class Both(Actor[Get | Add | Fail]):
        @handles
        def one(self, message: Get | Add) -> None: ...

        @handles
        async def other(self, message: Fail) -> None: ...

    assert _handled_by(Both) == {Get: "one", Add: "one", Fail: "other"}


def test_subclass_inherits_and_overrides_handlers():
    class Child(Counter):
        @handles
        def add(self, message: Add) -> None: ...

    assert _handled_by(Child) == {Get: "get", Add: "add", Fail: "fail"}
    assert handlers_of(Child).methods[Add].call is Child.add


def test_handler_table_marks_async_handlers():
    methods = handlers_of(Counter).methods
    assert (methods[Add].is_async, methods[Get].is_async) == (False, True)


def test_handler_table_marks_own_on_turn_end():
    class Collecting(Counter):
        def on_turn_end(self): ...

    assert handlers_of(Collecting).has_turn_end
    assert not handlers_of(Counter).has_turn_end


def test_second_handler_of_a_type_is_refused():
    class Ambiguous(Counter):
        @handles
        def also_add(self, message: Add) -> None: ...

    with pytest.raises(BadHandler, match=r"\.also_add .*: Counter\.add is already the handler of Add"):
        handlers_of(Ambiguous)


def test_handler_without_message_type_is_refused():
    class Untyped(Actor[Get]):
        @handles
        def get(self, message): ...

    with pytest.raises(BadHandler, match=r"Untyped\.get.*annotate 'message' with a message class"):
        handlers_of(Untyped)


def test_handler_of_two_arguments_is_refused():
    class TwoArguments(Actor[Get]):
        @handles
        def get(self, message: Get, other: Add): ...

    with pytest.raises(BadHandler, match="its one argument"):
        handlers_of(TwoArguments)


async def test_spawn_refuses_class_with_bad_handler():
    class Untyped(Actor[Get]):
        @handles
        def get(self, message): ...

    async with RunningSystem() as system:
        with pytest.raises(BadHandler, match=r"Untyped\.get"):
            system.spawn_named("vague", Untyped)
        assert system.tree() == []
