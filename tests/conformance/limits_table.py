"""The limits of the server, as data: the scope of each today, the shortest way to it, and what the client receives."""

from chat_actors.extensions.direct import extension as direct
from chat_actors.extensions.moderation import extension as moderation
from chat_actors.extensions.polls import extension as polls
from chat_actors.extensions.private_rooms import extension as private_rooms
from tests.conformance import limits_uses as uses
from tests.conformance.limits_rows import Count, Kept, Size, Time
from tests.conformance.limits_world import Scope

DAY = 86_400.0
TABLE = [
    # The connection and its frames.
    Count(
        name="limits.connections", scope=Scope.SERVER, limits={"connections": 3},
        allowed=3, use=uses.connect, connects_first=False, refusal=1013,
    ),
    Count(
        name="limits.connections_per_ip", scope=Scope.ADDRESS, limits={"connections_per_ip": 3},
        allowed=3, use=uses.connect, connects_first=False, refusal=1008,
    ),
    Size(
        name="limits.frame_bytes", scope=Scope.MESSAGE,
        allowed=uses.FRAME_BYTES, send=uses.send_fragments, refusal=1009,
    ),
    Count(
        name="limits.messages_per_second", covers=["limits.message_burst"], scope=Scope.USER,
        limits={"messages_per_second": 4, "message_burst": 10},
        allowed=10, use=uses.send_frame, in_room=False, refusal="too_many_messages", refill=(1, 4),
    ),
    Count(
        name="messages_per_second before login", scope=Scope.CONNECTION,
        limits={"messages_per_second": 4, "message_burst": 10},
        allowed=10, use=uses.send_frame, logged_in=False, refusal="too_many_messages", refill=(1, 4),
    ),
    Count(
        name="limits.backlog_bytes", scope=Scope.CONNECTION, limits={"backlog_bytes": 8_500},
        allowed=8, use=uses.leave_unread, in_room=False, connects_first=False, refusal=4008,
    ),
    Time(
        name="limits.ping_seconds", scope=Scope.CONNECTION,
        seconds=30, start=uses.start_pings, touch=uses.send_text_no_pong, end=uses.transport_close_code, refusal=1008,
    ),
    Time(
        name="limits.unauthenticated_seconds", scope=Scope.CONNECTION, limits={"unauthenticated_seconds": 60},
        seconds=60, start=uses.start_unauthenticated, touch=uses.ping, end=uses.client_close_code, refusal=4001,
    ),
    # Registration and login.
    Count(
        name="limits.registrations", covers=["limits.registration_window"], scope=Scope.ADDRESS,
        limits={"registrations": 4, "registration_window": 60},
        allowed=4, use=uses.register, in_room=False, refusal="too_many_registrations", spacing=10, refill=(30, 2),
    ),
    Time(
        name="limits.challenge_seconds", scope=Scope.CONNECTION, limits={"challenge_seconds": 60},
        seconds=60, start=uses.request_challenge, touch=uses.ping, end=uses.answer_challenge,
        refusal="challenge_expired",
    ),
    # Rooms and messages.
    Count(
        name="limits.rooms_per_minute", scope=Scope.USER, limits={"rooms_per_minute": 4},
        allowed=4, use=uses.change_room, in_room=False, refusal="too_many_rooms", refill=(30, 2),
    ),
    Count(
        name="limits.rooms_per_connection", scope=Scope.CONNECTION, limits={"rooms_per_connection": 3},
        allowed=3, use=uses.join_one_more_room, in_room=False, refusal="room_limit", ends_at_login=True,
    ),
    Count(
        name="limits.queries_per_second", scope=Scope.USER, limits={"queries_per_second": 2, "message_burst": 4},
        allowed=4, use=uses.sends("members", roomId="room-{}".format), in_room=False, refusal="too_many_messages",
        refill=(1, 2),
    ),
    Size(
        name="limits.content_chars", scope=Scope.MESSAGE, limits={"content_chars": 10},
        allowed=10, send=uses.sends_sized("chat_message", "content"), refusal="content_too_long",
    ),
    Size(name="id", scope=Scope.MESSAGE, allowed=64, send=uses.sends_sized("ping", "id"), refusal="invalid_id"),
    Size(
        name="clientMsgId", scope=Scope.MESSAGE,
        allowed=64, send=uses.sends_sized("chat_message", "clientMsgId", content="x"), refusal="invalid_client_msg_id",
    ),
    Size(
        name="roomId", scope=Scope.MESSAGE,
        allowed=128, send=uses.sends_sized("switch_room", "roomId"), refusal="invalid_room_id",
    ),
    Kept(
        name="data.keep_messages", scope=Scope.ROOM, retention={"keep_messages": 3},
        allowed=3, use=uses.post, listed=uses.item_count("history", "messages"),
    ),
    Time(
        name="data.keep_days", scope=Scope.MESSAGE, retention={"keep_days": 2.0},
        seconds=2 * DAY, tolerance=120, start=uses.post_once, touch=uses.post_again, end=uses.removal,
        refusal=uses.REMOVED,
    ),
    # Answers.
    Kept(
        name="messages of history", scope=Scope.MESSAGE, constants={"chat_actors.chat.room_queries.PAGE_MESSAGES": 3},
        allowed=3, use=uses.post, listed=uses.item_count("history", "messages", limit=100),
    ),
    Kept(
        name="members listed", scope=Scope.MESSAGE, constants={"chat_actors.chat.room.MEMBERS_LISTED": 3},
        allowed=3, use=uses.join_as_new_user, listed=uses.item_count("members", "members"),
    ),
    # Extensions.
    Count(
        name="Rate of a command", scope=Scope.USER, extensions=[uses.dice],
        allowed=3, use=uses.sends("roll"), refusal="too_many_messages", refill=(1, 2),
    ),
    Count(
        name="slow_mode", scope=Scope.USER, extensions=[moderation], prepare=uses.enable_slow_mode,
        allowed=1, use=uses.sends("chat_message", content="x"), refusal="slow_mode", refill=(30, 1),
    ),
    Count(
        name="banned users", scope=Scope.ROOM, extensions=[moderation],
        settings={"moderation": {"admins": ["ann", "ben"]}},
        constants={"chat_actors.extensions.moderation.MAX_LISTED": 3},
        allowed=3, use=uses.sends("ban", userId="user-{}".format), refusal="too_many",
    ),
    Count(
        name="guests", scope=Scope.ROOM, extensions=[private_rooms], prepare=uses.admit_ben,
        settings={"private_rooms": {"rooms": ["red", "blue"]}},
        constants={"chat_actors.extensions.private_rooms.MAX_GUESTS": 4},
        allowed=3, use=uses.invite_registered_user, refusal="too_many",
    ),
    Kept(
        name="invitations", scope=Scope.USER, extensions=[private_rooms],
        constants={"chat_actors.extensions.invitations.MAX_INVITATIONS": 3},
        allowed=3, use=uses.invite_to_new_room, listed=uses.item_count("invitations", "invitations"),
    ),
    Count(
        name="polls", scope=Scope.ROOM, extensions=[polls],
        constants={"chat_actors.extensions.polls.MAX_POLLS": 2},
        allowed=2, use=uses.sends("poll_open", question="?", options=["a", "b"]), refusal="too_many_polls",
    ),
    Count(
        name="blocked users", scope=Scope.USER, extensions=[direct],
        constants={"chat_actors.extensions.direct.MAX_BLOCKED": 3},
        allowed=3, use=uses.sends("direct_block", userId="user-{}".format), refusal="too_many",
    ),
    Kept(
        name="direct.keep", scope=Scope.USER, extensions=[direct], settings={"direct": {"keep": 3}},
        allowed=3, use=uses.sends("direct_send", to="owen", content="x"),
        listed=uses.item_count("direct_history", "messages"),
    ),
    Size(
        name="direct.chars", scope=Scope.MESSAGE, extensions=[direct], settings={"direct": {"chars": 10}},
        allowed=10, send=uses.sends_sized("direct_send", "content", to="owen"), refusal="content_too_long",
    ),
]  # fmt: skip

NOT_IN_THE_TABLE = {
    "server.bind": "not a limit",
    "server.certfile": "not a limit",
    "server.keyfile": "not a limit",
    "server.workers": "not a limit",
    "server.drain_seconds": "bounds the shutdown of the server: tests/cli/test_drain.py",
    "server.compression": "not a limit",
    "server.trusted_proxies": "not a limit",
    "server.allowed_origins": "not a limit",
    "server.extensions": "not a limit",
    "data.dir": "not a limit",
    "data.journal": "not a limit",
    "data.durability": "not a limit",
    "data.nats": "not a limit",
    "moderation.rooms": "not a limit",
    "moderation.admins": "not a limit",
    "private_rooms.rooms": "not a limit",
    "private_rooms.invitations_per_sender": "of sender and recipient: tests/extensions/test_private_rooms.py",
    "polls.rooms": "not a limit",
    "typing.rooms": "not a limit",
    "typing.seconds": "not a limit: the expiry of a state, tests/extensions/test_typing.py",
    "webhooks.targets": "not a limit",
    "webhooks.tokens": "not a limit",
    "webhooks.queue": "bounds the events for a target, not what a client does",
    "webhooks.timeout": "bounds a target, not a client",
    "webhooks.give_up_after": "bounds a target, not a client",
    "webhooks.first_pause": "not a limit",
    "direct.unread_per_sender": "has a scope of its own, sender and recipient: tests/extensions/test_direct.py",
    "chat_actors.extensions.direct.LOADED_AT_ONCE": "not a limit",
    "chat_actors.extensions.direct.MAX_IN_FLIGHT": "needs requests at the same time: tests/extensions/test_direct.py",
    "chat_actors.extensions.polls.MAX_VOTERS": "needs a user for each use: tests/extensions/test_polls.py",
}
"""Settings and constants without a row, and why."""
