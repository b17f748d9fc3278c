"""One use of each limit, as a short sequence of commands, and the preparations of the server for it."""

from chat_actors import Command, Extension, Message, Rate, Service, command
from chat_actors.client import public_pem
from chat_actors.identity import sign
from tests.chat.rig import KEY
from tests.conformance.limits_world import Subject, outcome
from tests.server.transport.fakes import Rig
from tests.wire.peer import TEXT

FRAME_BYTES = 100
ERROR_BYTES = len('{"type":"error","message":"Unknown message type: no_such_type","code":"unknown_type"}')
REMOVED = "(removed)"


class Roll(Command, frozen=True, tag="roll"):
    """A command with a rate."""


class Rolled(Message, frozen=True, tag="rolled"):
    pass


class Dice(Service):
    @command(rate=Rate(per_second=2, burst=3))
    def roll(self, caller, roll: Roll) -> Rolled:
        return Rolled()


dice = Extension(name="dice", services=[Dice])


def sends(type, **fields):  # noqa: A002 - as it is called on the wire
    """Return a use that sends this command. A callable in a field is called with the number of the use."""

    async def use(world, subject, n):
        client = await world.client_of(subject)
        client.hear()
        await client.send(type, **{name: value(n) if callable(value) else value for name, value in fields.items()})
        return outcome(client)

    return use


async def register(world, subject, n):
    """Every second attempt fails; failed attempts count too."""
    client = await world.client_of(subject)
    await client.send("register", userId="x" if n % 2 else f"user-{n}", publicKey=public_pem(KEY))
    code = outcome(client)
    return None if code == "invalid_user_id" else code


async def send_frame(world, subject, n):
    """Frames of all types count, including refused ones."""
    client = await world.client_of(subject)
    client.hear()
    await client.send(("ping", "get_challenge", "no_such_type")[n % 3])
    code = outcome(client)
    return None if code == "unknown_type" else code


async def change_room(world, subject, n):
    client = await world.client_of(subject)
    client.hear()
    await client.send(("join", "switch_room")[n % 2], userId=subject.user, roomId=f"room-{n}")
    return outcome(client)


async def join_one_more_room(world, subject, n):
    client = await world.client_of(subject)
    client.hear()
    await client.send("join", userId=subject.user, roomId=f"room-{n}", additional=True)
    return outcome(client)


async def connect(world, subject, n):
    server = await world.server(subject.server)
    try:
        await server.connect(address=subject.address)
    except AssertionError as refused:
        return int(str(refused).split(": ")[1].split()[0])
    return None


async def leave_unread(world, subject, n):
    """Cause an answer of 1,000 bytes, and leave it unread."""
    client = await world.client_of(subject)
    await client.send("no_such_type" + "x" * (1000 - ERROR_BYTES))
    return None if client.closing is None else int(client.closing.code)


async def post(world, subject, n):
    await (await world.client_of(subject)).say(str(n))


async def invite_to_new_room(world, subject, n):
    """Invite the subject's user into one more room."""
    server = await world.server()
    await world.client_of(subject)
    host = await server.connect(address="192.0.2.9")
    await world.log_in(host, "owen")
    await host.join(f"private-{n}")
    await host.send("invite", userId=subject.user)
    assert outcome(host) is None


async def invite_registered_user(world, subject, n):
    """Invite one more registered user."""
    await world.register(await world.server(subject.server), f"user-{n}")
    return await sends("invite", userId=f"user-{n}")(world, subject, n)


def item_count(type, field, **fields):  # noqa: A002 - as it is called on the wire
    """Return a function that counts the items in a field of the answer to this command."""

    async def count(world, subject):
        client = await world.client_of(subject)
        await world.advance(120)  # the rates refill, and the journal prunes
        client.hear()
        await client.send(type, **fields)
        return len([message for message in client.hear() if field in message][-1][field])

    return count


async def join_as_new_user(world, subject, n):
    """Let one more user join the subject's room."""
    await world.register(await world.server(subject.server), f"user-{n}")
    await world.client_of(Subject(user=f"user-{n}", connection=100 + n, room=subject.room))


def sends_sized(type, field, **others):  # noqa: A002 - as it is called on the wire
    """Return a function that sends this command, with `parts[0]` one-byte and `parts[1]` four-byte characters."""

    async def send(world, subject, parts):
        client = await world.client_of(subject)
        client.hear()
        text = "".join(character * count for character, count in zip("x😀", parts, strict=False))
        await client.send(type, **others, **{field: text})
        return outcome(client)

    return send


async def send_fragments(world, subject, parts):
    """Send one message in fragments of these sizes to a `WebSocketProtocol` without a socket."""
    if not hasattr(world, "transport"):
        world.transport = Rig(frame_bytes=FRAME_BYTES)
    for n, size in enumerate(parts):
        world.transport.send(TEXT if n == 0 else 0, b"x" * size, fin=n == len(parts) - 1)
    return sent_close_code(world.transport)


def sent_close_code(transport):
    """The code of the Close frame that the server has sent, or None."""
    closes = [event[1] for event in transport.take_calls() if event[0] == "write" and event[1][:1] == b"\x88"]
    return int.from_bytes(closes[0][2:4], "big") if closes else None


async def start_unauthenticated(world, subject):
    return await (await world.server()).connect(address=subject.address)


async def ping(world, client):
    await client.send("ping")
    client.hear()


async def client_close_code(world, client):
    return outcome(client)


async def request_challenge(world, subject):
    client = await (await world.server()).connect()
    await client.send("get_challenge")
    client.challenge = client.expect("challenge")["challenge"]
    return client


async def answer_challenge(world, client):
    await client.send("authenticate", userId="ann", signature=sign(KEY, client.challenge))
    return outcome(client)


async def start_pings(world, subject):
    return Rig(ping_seconds=10)


async def send_text_no_pong(world, transport):
    transport.send(TEXT, b"still here")


async def transport_close_code(world, transport):
    return sent_close_code(transport)


async def post_once(world, subject):
    client = await world.client_of(subject)
    await client.say("to be removed")
    return client, client.expect("chat_message")["seq"]


async def post_again(world, posted):
    await posted[0].say("later")


async def removal(world, posted):
    client, seq = posted
    client.hear()
    await client.send("history", after=seq - 1, limit=1)
    found = client.expect("history")["messages"]
    return None if found and found[0]["seq"] == seq else REMOVED


async def enable_slow_mode(world, server):
    owner = await world.client_of(Subject(server=server, connection=200, user="owen"))
    await owner.send("slow_mode", seconds=30)


async def admit_ben(world, server):
    """Invite ben into the red room, so that two users can invite others."""
    owner = await world.client_of(Subject(server=server, connection=200))
    await owner.send("invite", userId="ben")
