"""A wrong declaration fails at the start, with the class, the method and what to write."""

import dataclasses

import msgspec
import pytest

from chat_actors import (
    API_VERSION,
    Bot,
    Command,
    Extension,
    Message,
    RoomKind,
    Scope,
    Service,
    Where,
    command,
    endpoint,
    handles,
)
from chat_actors.chat import Enabled, Extensions, InvalidDeclaration
from chat_actors.protocol import DuplicateTag


class Roll(Command, frozen=True, tag="roll"):
    sides: int = 6


class Rolled(Message, frozen=True, tag="rolled"):
    result: int


class Snake(msgspec.Struct):
    room_id: str


class SnakeAgain(msgspec.Struct, rename="camel"):
    inner: tuple[Snake, ...] = ()


@dataclasses.dataclass
class SnakeData:
    room_id: str


def service(**members):
    return {"services": [type("Dice", (Service,), members)]}


def bot(**members):
    return {"services": [type("Dice", (Bot,), {"name": "dice", **members})]}


def kind(**members):
    return {"room_kinds": [type("Quiz", (RoomKind,), {"rooms": "*", **members})]}


def message(**fields):
    return msgspec.defstruct("Shown", list(fields.items()), bases=(Message,), tag="shown")


def asking(field_type, returned=None):
    asked = msgspec.defstruct("Ask", [("field", field_type)], bases=(Command,), tag="ask")

    @command()
    def ask(self, caller, request):
        pass

    ask.__annotations__ = {"request": asked, "return": returned}
    return service(ask=ask)


def asking_in_room(field):
    asked = msgspec.defstruct("Ask", [(field, str)], bases=(Command,), tag="ask", rename="camel")

    @command(where=Where.IN_ROOM)
    def in_room(self, caller, request):
        pass

    in_room.__qualname__ = "in_room"
    in_room.__annotations__ = {"request": asked}
    return service(in_room=in_room)


async def async_hook(self, *arguments):
    pass


def plain_hook(self, *arguments):
    pass


@handles
def untyped(self, message):
    pass


@endpoint("GET", "/x")
def answer(self, request):
    pass


class Instance:
    pass


WRONG = [
    (
        kind(on_jion=plain_hook),
        r"^Quiz\.on_jion of .* 'bad': RoomKind has no hook of this name; write on_join, or _on_jion",
    ),
    (kind(on_message=plain_hook), "Quiz.on_message .* derive the class from Bot"),
    (bot(on_messsage=async_hook), r"Dice\.on_messsage .* Bot has no hook .* write on_message"),
    (service(on_post=plain_hook), r"Dice\.on_post .* derive the class from RoomKind"),
    (service(on_turn_end=async_hook), r"Dice\.on_turn_end .* write def on_turn_end, without async"),
    (kind(matches=classmethod(async_hook)), r"Quiz\.matches .* write def matches, without async"),
    (kind(matches=plain_hook), r"Quiz\.matches .* write @classmethod"),
    (kind(on_user_removed=async_hook), r"Quiz\.on_user_removed .* write @classmethod"),
    (service(on_user_removed=async_hook), r"Dice\.on_user_removed .* write @classmethod"),
    (kind(on_join=lambda self: None), r"Quiz\.on_join .* write def on_join\(self, user_id\)"),
    (kind(on_post=lambda self, user_id, content, extra: content), r"write def on_post\(self, user_id, content\)"),
    (kind(may_stay=lambda self: None), r"Quiz\.may_stay .* write def may_stay\(self, user_id\)"),
    (kind(may_stay=command()(lambda self, user_id: None)), r"Quiz\.may_stay .* remove @command"),
    (kind(on_join=5), r"Quiz\.on_join .* must be a method"),
    (kind(on_open=command()(lambda self: None)), r"Quiz\.on_open .* remove @command"),
    (kind(rooms=""), "^Quiz of .* no room would have it: set rooms or chosen_as"),
    (kind(rooms=("a", "b")), r"Quiz\.rooms .* must be a text"),
    (kind(answer=answer), r"Quiz\.answer .* write it in a Service: a RoomKind has no @endpoint"),
    (kind(untyped=untyped), r"Quiz\.untyped .* a RoomKind has no @handles"),
    (service(untyped=untyped), r"Dice\.untyped .* annotate 'message' with a message class"),
    (service(is_needed=lambda self: True), r"Dice\.is_needed .* write @property"),
    (service(scope="server"), r"Dice\.scope .* Scope\.SERVER"),
    (service(scope=Scope.USER, answer=answer), r"^Dice of .* only a service with Scope\.SERVER can have endpoints"),
    (bot(rooms="casino"), r"Dice\.rooms .* write a tuple of names: rooms = \('casino',\)"),
    (bot(rooms=("a\n",)), r"Dice\.rooms .* is not the name of a room"),
    (bot(name="a b"), "^Dice of .* write name ="),
    ({"services": kind()["room_kinds"]}, "^Quiz of .* it is a RoomKind: write it in room_kinds, not in services"),
    ({"room_kinds": service()["services"]}, "^Dice of .* it is a Service: write it in services, not in room_kinds"),
    ({"services": [Instance()]}, r"^Instance of .* write the class in services, without \(\)"),
    ({"services": [Instance]}, "^Instance of .* it is no Service: derive it from Service"),
    ({"services": [Bot]}, "^Bot of .* write a subclass"),
    ({"services": Service}, r"^services of .* write a list: services=\[\.\.\.\]"),
    ({"messages": [Roll]}, "^Roll of .* it is no ExtensionMessage"),
    (
        {"messages": [message(field=Snake)]},
        r'^Snake\.room_id of .*: write class Snake\(msgspec\.Struct, rename="camel"\)',
    ),
    ({"messages": [message(field=list[SnakeAgain])]}, r"^Snake\.room_id"),
    ({"messages": [message(field=SnakeData)]}, r"^SnakeData\.room_id .* write a msgspec\.Struct"),
    ({"messages": [message(field=Instance)]}, "^Shown of .* the type Instance of a field has no form in JSON"),
    ({"messages": [message(field="Nothing")]}, "^Shown of .* its fields have no form in JSON"),
    (asking_in_room("room_id"), r"^in_room of .*: its field room_id is the room that the server looks up"),
    (asking(Snake), r"^Snake\.room_id"),
    (asking(Instance), "^Ask of .* Instance"),
    (asking(int, Snake), "annotate its result with subclasses of Message or None"),
    (asking(int, message(field=Snake)), r"^Snake\.room_id"),
    (asking(int, "Nothing"), r"ask of .* its annotations cannot be resolved"),
    ({"settings": dict}, "^settings of .* write the class of a msgspec.Struct"),
    (
        {"api": API_VERSION + 1},
        "^api of .* it needs version 2, and this server has version 1: install a newer chat-actors",
    ),
    ({"api": "1"}, "^api of .* write the version"),
]


@pytest.mark.parametrize(("declared", "problem"), WRONG, ids=[str(number) for number in range(len(WRONG))])
def test_wrong_declaration_names_what_to_write(declared, problem):
    with pytest.raises(InvalidDeclaration, match=problem):
        Extensions([Enabled(Extension(**{"name": "bad", **declared}))])


@pytest.mark.parametrize("name", ["Party", "chat-party", "a__b", "", "7up"])
def test_name_of_an_extension_is_checked(name):
    with pytest.raises(InvalidDeclaration, match='lower-case letters, digits and single _: name="party"'):
        Extensions([Enabled(Extension(name=name))])


def test_two_bots_of_one_name_are_refused():
    one, other = (Enabled(Extension(name=name, **bot())) for name in ("one", "other"))
    with pytest.raises(InvalidDeclaration, match=r"name = 'dice' of .* 'other': Dice of the extension 'one' has this"):
        Extensions([one, other])


def test_command_has_one_method():
    def declare(name):
        @command()
        def roll(self, caller, request: Roll):
            pass

        return type(name, (Service,), {"roll": roll})

    with pytest.raises(InvalidDeclaration, match="handles Roll already: a command has one method"):
        Extensions([Enabled(Extension(name="party", services=[declare("Dice"), declare("Casino")]))])


@pytest.mark.parametrize("tag", ["joined", "chat_message", "ping", "error"])
def test_message_cannot_have_a_type_of_the_server(tag):
    mine = msgspec.defstruct("Mine", [], bases=(Message,), tag=tag)
    with pytest.raises(DuplicateTag, match=f"message '{tag}' is claimed by the server and .* give Mine another tag"):
        Extensions([Enabled(Extension(name="party", messages=[mine]))])


@pytest.mark.parametrize("tag", ["joined", "join"])
def test_command_cannot_have_a_type_of_the_server(tag):
    mine = msgspec.defstruct("Mine", [], bases=(Command,), tag=tag)

    @command()
    def ask(self, caller, request: mine):
        pass

    with pytest.raises(DuplicateTag, match=f"command '{tag}' is claimed by the server"):
        Extensions([Enabled(Extension(name="party", **service(ask=ask)))])


def test_messages_of_two_extensions_cannot_have_one_type():
    other = msgspec.defstruct("Other", [], bases=(Message,), tag="rolled")

    @command()
    def roll(self, caller, request: Roll) -> Rolled | None:
        pass

    dice = Extension(name="party", **service(roll=roll))
    for name, remedy in (("casino", "switch one of them off"), ("party", "give one of Rolled and Other another tag")):
        with pytest.raises(DuplicateTag, match=f"'rolled' is claimed .*{remedy}"):
            Extensions([Enabled(dice), Enabled(Extension(name=name, messages=[other]))])
    assert Extensions([Enabled(dice), Enabled(Extension(name="same", messages=[Rolled]))]).vocabulary.messages["rolled"]


def test_marked_methods_may_begin_with_on():
    class Done(msgspec.Struct):
        pass

    @handles
    def on_done(self, message: Done):
        pass

    assert Extensions([Enabled(Extension(name="party", **service(on_done=on_done, _on_tick=plain_hook)))]).services
