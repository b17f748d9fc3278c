"""How each limit is used: the shortest sequences of commands, and the state of the server that they need."""

from chat_actors import Command, Extension, Message, Rate, Service, command
from chat_actors.client import public_pem
from chat_actors.identity import sign
from tests.chat.rig import KEY
from tests.conformance.limits_world import Carrier, outcome
from tests.server.transport.fakes import Rig
from tests.wire.peer import TEXT

FRAME_BYTES = 100
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
    """A use that sends this command. A field that is a function is called with the number of the use."""

    async def use(world, carrier, n):
        client = await world.enter(carrier)
        client.hear()
        await client.send(type, **{name: value(n) if callable(value) else value for name, value in fields.items()})
        return outcome(client)

    return use


async def register(world, carrier, n):
    """Every second attempt fails; failed attempts count too."""
    client = await world.enter(carrier)
    await client.send("register", userId="x" if n % 2 else f"user-{n}", publicKey=public_pem(KEY))
    code = outcome(client)
    return None if code == "invalid_user_id" else code


async def send_frame(world, carrier, n):
    """Frames of all types count, including refused ones."""
    client = await world.enter(carrier)
    client.hear()
    await client.send(("ping", "get_challenge", "no_such_type")[n % 3])
    code = outcome(client)
    return None if code == "unknown_type" else code


async def change_room(world, carrier, n):
    client = await world.enter(carrier)
    client.hear()
    await client.send(("join", "switch_room")[n % 2], userId=carrier.user, roomId=f"room-{n}")
    return outcome(client)


async def connect(world, carrier, n):
    server = await world.server(carrier.server)
    try:
        await server.connect(address=carrier.address)
    except AssertionError as refused:
        return int(str(refused).split(": ")[1].split()[0])
    return None


async def leave_unread(world, carrier, n):
    """Cause an answer of 1,000 bytes, and leave it unread."""
    client = await world.enter(carrier)
    await client.send("no_such_type" + "x" * (1000 - ERROR_BYTES))
    return None if client.closing is None else int(client.closing.code)


ERROR_BYTES = len('{"type":"error","message":"Unknown message type: no_such_type","code":"unknown_type"}')


async def post(world, carrier, n):
    await (await world.enter(carrier)).say(str(n))


async def invite_to_new_room(world, carrier, n):
    """Invite the carrier's user into one more room."""
    server = await world.server()
    await world.enter(carrier)
    host = await server.connect(address="192.0.2.9")
    await world._log_in(host, "owen")
    await host.join(f"private-{n}")
    await host.send("invite", userId=carrier.user)
    assert outcome(host) is None


async def make_guests(world, carrier, n):
    """Invite one more registered user."""
    await world.register(await world.server(carrier.server), f"user-{n}")
    return await sends("invite", userId=f"user-{n}")(world, carrier, n)


def lists(type, field, **fields):  # noqa: A002 - as it is called on the wire
    """A function that returns the number of items in a field of the answer to this command."""

    async def listed(world, carrier):
        client = await world.enter(carrier)
        await world.advance(120)  # rates, and pruning
        client.hear()
        await client.send(type, **fields)
        return len([message for message in client.hear() if field in message][-1][field])

    return listed


async def join_as_new_user(world, carrier, n):
    """Let one more user join the carrier's room."""
    await world.register(await world.server(carrier.server), f"user-{n}")
    await world.enter(Carrier(user=f"user-{n}", connection=100 + n, room=carrier.room))


def fits(type, field, **others):  # noqa: A002 - as it is called on the wire
    """Send this command with a field of so many characters: of one byte each, and of four in the second part."""

    async def send(world, carrier, parts):
        client = await world.enter(carrier)
        client.hear()
        text = "".join(character * count for character, count in zip("x😀", parts, strict=False))
        await client.send(type, **others, **{field: text})
        return outcome(client)

    return send


async def send_fragments(world, carrier, parts):
    """Send the fragments of one message to the real transport, without a socket."""
    if not hasattr(world, "transport"):
        world.transport = Rig(frame_bytes=FRAME_BYTES)
    for n, size in enumerate(parts):
        world.transport.send(TEXT if n == 0 else 0, b"x" * size, fin=n == len(parts) - 1)
    return closed_with(world.transport)


def closed_with(transport):
    """The code of the Close frame that the transport has sent, or None."""
    closes = [event[1] for event in transport.take_told() if event[0] == "write" and event[1][:1] == b"\x88"]
    return int.from_bytes(closes[0][2:4], "big") if closes else None


async def start_unauthenticated(world, carrier):
    return await (await world.server()).connect(address=carrier.address)


async def ping(world, client):
    await client.send("ping")
    client.hear()


async def close_code(world, client):
    return outcome(client)


async def request_challenge(world, carrier):
    client = await (await world.server()).connect()
    await client.send("get_challenge")
    client.challenge = client.expect("challenge")["challenge"]
    return client


async def answer_challenge(world, client):
    await client.send("authenticate", userId="ann", signature=sign(KEY, client.challenge))
    return outcome(client)


async def start_pings(world, carrier):
    return Rig(ping_seconds=10)


async def talk_without_pongs(world, transport):
    transport.send(TEXT, b"still here")


async def closed_transport(world, transport):
    return closed_with(transport)


async def post_once(world, carrier):
    client = await world.enter(carrier)
    await client.say("to be removed")
    return client, client.expect("chat_message")["seq"]


async def post_again(world, posted):
    await posted[0].say("later")


async def is_removed(world, posted):
    client, seq = posted
    client.hear()
    await client.send("history", after=seq - 1, limit=1)
    found = client.expect("history")["messages"]
    return None if found and found[0]["seq"] == seq else REMOVED


async def slow_down(world, server):
    owner = await world.enter(Carrier(server=server, connection=200, user="owen"))
    await owner.send("slow_mode", seconds=30)


async def admit_ben(world, server):
    """Invite ben into the red room, so that two users can invite others."""
    owner = await world.enter(Carrier(server=server, connection=200))
    await owner.send("invite", userId="ben")
