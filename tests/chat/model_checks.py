"""What holds after a step of the model: the posts, their answers, the presence events, and the server's own state."""

import itertools
from collections import Counter

from chat_actors.protocol import messages
from tests.chat.session_model import NO_ROOM

NO_ROOM_CODES = ("not_in_room", "no_current_room")


def check_posts(batch, added):
    """Each post is stored once, unless it repeats one that is stored already. Those of one client keep their order."""
    required, optional = Counter(), Counter()
    for post in batch.posts:
        entry = (post.room, post.user, post.content)
        is_dropped = batch.has_journal and batch.fault == "commit"
        if is_dropped or (batch.has_journal and post.client_msg_id and batch.was_stored(entry, added)):
            continue
        is_open = batch.is_loose or post.client.has_ended
        if batch.fault == "close":  # a join of that room may fail: then the client stays where it was, and posts there
            optional.update((room, post.user, post.content) for room in batch.logs)
        else:
            (optional if is_open else required)[entry] += 1
        if batch.has_journal and post.client_msg_id:  # a repetition in the same step
            required[entry] = min(1, required[entry])
            optional[entry] = min(1 - required[entry], optional[entry])
    stored = Counter(added)
    assert not required - stored, f"not stored: {required - stored}"
    assert not stored - required - optional, f"stored, but not posted: {stored - required - optional}"
    for client in {post.client for post in batch.posts}:
        own = [(post.room, post.user, post.content) for post in batch.posts if post.client is client]
        for room in {post.room for post in batch.posts}:
            once = [entry for entry in own if entry[0] == room and stored[entry] == own.count(entry) == 1]
            assert [entry for entry in added if entry in once] == once, f"{client}: not in the order sent"


def check_outcomes(batch, client, logs):
    """Each post with a `clientMsgId` is accepted with the number of its message; each that is not stored is refused."""
    if batch.is_loose:
        return
    fails = batch.has_journal and batch.fault == "commit"
    own = [post for post in batch.posts if post.client is client]
    received = Counter()
    for outcome in client.outcomes:
        if isinstance(outcome, messages.Accepted):
            received[outcome.request_id, outcome.client_msg_id] += 1
            rooms = {post.room for post in own if post.client_msg_id == outcome.client_msg_id}
            users = {post.user for post in own if post.client_msg_id == outcome.client_msg_id}
            entries = [entry for room in rooms for entry in logs[room] if entry[0] == outcome.seq]
            assert any(user in users and content == outcome.client_msg_id for _, user, content in entries), outcome
        else:
            assert outcome.code == "not_stored"
            assert outcome.room_id is None
            received[outcome.request_id, None] += 1
    expected = Counter(
        (post.request_id, None if fails else post.client_msg_id) for post in own if fails or post.client_msg_id
    )
    assert received == expected, client
    if not fails and batch.fault != "explode":  # a crash on a join removes the member before its posts are stored
        sent = Counter((post.room, post.content) for post in own if post.client_msg_id is None)
        assert not sent - Counter(client.received), f"{client} has left before its own messages"


def check_answers(client):
    """Each command is answered as the model says. Between rooms there is no order, so the order is not checked here."""
    received, expected = Counter(client.answers), Counter(client.session.answers)
    races = Counter({answer: count for answer, count in expected.items() if answer[-1] == NO_ROOM})
    for request in (answer[:-1] for answer in races.elements()):
        code = next((code for code in NO_ROOM_CODES if received[*request, code]), NO_ROOM_CODES[0])
        received[*request, code] -= 1
    assert received == expected - races, client


def check_presence(batch, clients, ended, before, after):
    """`user_joined` and `user_left` come at the first and the last connection of a user, to the other users."""
    open_users = {one.user for one in ended} | {one.session.user for one in ended}
    for client in clients:
        for stay in [*client.stays.values(), *client.ended_stays]:
            if batch.fault == "close":
                continue
            assert all(user != stay.user for user, _ in stay.presence), f"{client} is told of its own user"
            for user in (before[stay.room].keys() | after[stay.room].keys() | dict(stay.presence).keys()) - {stay.user}:
                signs = [sign for named, sign in stay.presence if named == user]
                was_in, is_in = bool(before[stay.room][user]), bool(after[stay.room][user])
                context = f"{client} in {stay.room} about {user}: {signs}"
                _check_signs(signs, was_in, is_in, stay, context)
                if not (stay.is_new or stay.has_ended or batch.is_loose or user in open_users):
                    _check_exactly(batch.toggles.get((stay.room, user), {}), signs, before[stay.room][user], context)


def _check_signs(signs, was_in, is_in, stay, context):
    assert all(one != other for one, other in itertools.pairwise(signs)), context
    if signs and not stay.is_new:
        assert signs[0] == (-1 if was_in else +1), context
    if signs and not stay.has_ended:
        assert signs[-1] == (+1 if is_in else -1), context
    if not signs and not stay.is_new and not stay.has_ended:
        assert was_in == is_in, context


def _check_exactly(toggles, signs, connections, context):
    """With one moving connection of the user, the number of events is known."""
    if len(toggles) > 1:
        return
    moves = next(iter(toggles.values()), [])
    others = connections - (1 if moves and moves[0] == -1 else 0)
    assert signs == ([] if others else moves), context


def check_server(system, clients):
    """The rooms have those members that the clients believe to be, and both sides watch each other, and no other."""
    tree = {node.path: node for node in system.tree()}
    rooms = {room for client in clients for room in client.stays}
    assert {node.path for node in tree["/rooms"].children} == {f"/rooms/room:{room}" for room in rooms}
    assert len(tree["/sessions"].children) == len(clients)
    members = {}
    for client in clients:
        session = client.rig.session._cell
        stays = {stay.room_id: stay for stay in session.actor._memberships.all}
        current = session.actor._memberships.current
        assert not session.actor._memberships.changes, client
        assert set(stays) == set(client.stays), client
        assert (current.room_id if current else None) == client.current, client
        assert session.actor.context._watched == {stay.room for stay in stays.values()}, client
        for room, stay in stays.items():
            members.setdefault(room, {})[stay.room, client.rig.session] = client.user
    for room, expected in members.items():
        (ref,) = {ref for ref, _ in expected}
        core = ref._cell.actor.core
        assert {(ref, member.session): member.user_id for member in core.members} == expected, room
        assert ref._cell.actor.context._watched == {session for _, session in expected}, room
