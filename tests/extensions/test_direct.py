"""Direct messages between two users."""

from chat_actors.extensions.direct import extension
from chat_actors.testing import MemoryServer, on_virtual_time


def errors(client):
    return [(message["code"], message.get("id")) for message in client.hear() if message["type"] == "error"]


def contents(messages):
    return [message["content"] for message in messages]


@on_virtual_time
async def test_message_reaches_subscribed_connections_only():
    async with MemoryServer(extension) as server:
        ann = await server.connect("ann", room="den")
        ben, ben_2, ben_3 = [await server.connect("ben") for _ in range(3)]
        for client in (ben, ben_2):
            await client.send("direct_open")
            assert client.expect("direct_opened")["last"] == 0
        await ann.send("direct_send", to="ben", content="hello", id="q")
        sent = ann.expect("direct_sent")
        assert (sent["to"], sent["seq"], sent["id"]) == ("ben", 1, "q")
        for client in (ben, ben_2):
            (message,) = client.hear()
            assert (message["sender"], message["content"], message["seq"]) == ("ann", "hello", 1)
        assert ben_3.hear() == []


@on_virtual_time
async def test_senders_other_connections_receive_a_copy():
    async with MemoryServer(extension) as server:
        ann, ann_2 = await server.connect("ann"), await server.connect("ann")
        await server.connect("ben")
        for client in (ann, ann_2):
            await client.send("direct_open")
            client.hear()
        await ann.send("direct_send", to="ben", content="hello")
        assert contents(ann_2.hear()) == ["hello"]
        assert [message["type"] for message in ann.hear()] == ["direct_sent"]


@on_virtual_time
async def test_messages_for_offline_user_survive_restart():
    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann"), await server.connect("ben")
        await ben.disconnect()
        for n in range(3):
            await ann.send("direct_send", to="ben", content=str(n))
        await server.restart()
        ben = await server.connect("ben")
        await ben.send("direct_open")
        assert ben.expect("direct_opened")["last"] == 3
        await ben.send("direct_history", after=1)
        history = ben.expect("direct_history")
        assert (contents(history["messages"]), history["more"]) == (["1", "2"], False)


@on_virtual_time
async def test_history_pages_forwards_and_backwards():
    async with MemoryServer(extension) as server:
        ann = await server.connect("ann")
        await server.connect("ben")
        for n in range(250):
            await ann.send("direct_send", to="ben", content=str(n))
            await server.advance(0.3)
        everything = [str(n) for n in range(250)]
        forward, after, more = [], 0, True
        while more:
            await ann.send("direct_history", after=after)
            page = ann.expect("direct_history")
            forward += contents(page["messages"])
            after, more = page["messages"][-1]["seq"], page["more"]
            await server.advance(1)
        assert forward == everything
        backward, before, more = [], {}, True
        while more:
            await ann.send("direct_history", **before)
            page = ann.expect("direct_history")
            backward = contents(page["messages"]) + backward
            before, more = {"before": page["messages"][0]["seq"]}, page["more"]
            await server.advance(1)
        assert backward == everything


@on_virtual_time
async def test_store_keeps_the_newest_messages():
    async with MemoryServer(extension, settings={"direct": {"keep": 5}}) as server:
        ann = await server.connect("ann")
        await server.connect("ben")
        for n in range(8):
            await ann.send("direct_send", to="ben", content=str(n))
        await ann.send("direct_history", after=0)
        assert contents(ann.expect("direct_history")["messages"]) == ["3", "4", "5", "6", "7"]
        assert all(len(space) <= 7 for space in server._storage.states._spaces.values())


@on_virtual_time
async def test_crossing_messages_do_not_deadlock():
    """Two users send to each other at the same time; neither waits for the other's actor."""
    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann"), await server.connect("ben")
        for _ in range(10):
            ann.send_nowait("direct_send", to="ben", content="from ann")
            ben.send_nowait("direct_send", to="ann", content="from ben")
        await server.advance(0.5)
        for client in (ann, ben):
            assert [message["type"] for message in client.hear()] == ["direct_sent"] * 10


@on_virtual_time
async def test_messages_in_flight_are_limited_per_user(monkeypatch):
    """Two connections of one user share the limit; two users do not."""
    monkeypatch.setattr("chat_actors.extensions.direct.MAX_IN_FLIGHT", 1)
    async with MemoryServer(extension) as server:
        ann, ann_2, ben, _ = [await server.connect(name) for name in ("ann", "ann", "ben", "cyd")]
        for clients, codes in (((ann, ann_2), ["busy"]), ((ann, ben), [])):
            for client in clients:
                client.send_nowait("direct_send", to="cyd", content="hello")
            await server.advance(0.5)
            assert [code for client in clients for code, _ in errors(client)] == codes


@on_virtual_time
async def test_blocked_sender_is_refused():
    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann"), await server.connect("ben")
        await ben.send("direct_open")
        await ben.send("direct_block", userId="ann")
        assert ben.expect("direct_blocked")["blocked"] == ["ann"]
        await ann.send("direct_send", to="ben", content="hello", id="q")
        assert errors(ann) == [("blocked", "q")]
        assert ben.hear() == []
        await ben.send("direct_unblock", userId="ann")
        ben.hear()
        await ann.send("direct_send", to="ben", content="hello")
        assert contents(ben.hear()) == ["hello"]


@on_virtual_time
async def test_invalid_message_is_refused():
    async with MemoryServer(extension) as server:
        ann = await server.connect("ann")
        for fields, code in (
            ({"to": "nobody", "content": "hello"}, "no_such_user"),
            ({"to": "ann", "content": "x" * 4001}, "content_too_long"),
            ({"to": "ann", "content": ""}, "missing_field"),
            ({"to": "not a name", "content": "x"}, "missing_field"),
        ):
            await ann.send("direct_send", **fields, id="q")
            assert errors(ann) == [(code, "q")]


@on_virtual_time
async def test_user_can_message_themselves():
    async with MemoryServer(extension) as server:
        ann = await server.connect("ann")
        await ann.send("direct_send", to="ann", content="note")
        assert ann.expect("direct_sent")["seq"] == 1
        await ann.send("direct_history")
        assert contents(ann.expect("direct_history")["messages"]) == ["note"]


async def send_many(server, client, count, **fields):
    for n in range(count):
        await client.send("direct_send", content=str(n), **fields)
        await server.advance(0.3)


async def inbox(client):
    await client.send("direct_history", after=0)
    history = client.expect("direct_history")
    return [(message["sender"], message["content"]) for message in history["messages"]], history["lost"]


@on_virtual_time
async def test_flood_of_a_stranger_evicts_no_message_of_others():
    async with MemoryServer(extension, settings={"direct": {"keep": 20, "unread_per_sender": 12}}) as server:
        ann, ben, cyd = [await server.connect(name) for name in ("ann", "ben", "cyd")]
        await send_many(server, ann, 3, to="ben")
        ann.hear()
        await send_many(server, cyd, 30, to="ben")
        assert errors(cyd) == [("quota_full", None)] * 18
        messages, lost = await inbox(ben)
        assert ([sender for sender, _ in messages], lost) == (["ann"] * 3 + ["cyd"] * 12, 0)


@on_virtual_time
async def test_full_box_removes_from_the_longest_conversation():
    """Also if the messages were received live, so that no quota applies."""
    async with MemoryServer(extension, settings={"direct": {"keep": 10}}) as server:
        ann, ben, cyd = [await server.connect(name) for name in ("ann", "ben", "cyd")]
        await ben.send("direct_open")
        await send_many(server, ann, 3, to="ben")
        await send_many(server, cyd, 30, to="ben")
        assert errors(cyd) == []
        messages, lost = await inbox(ben)
        assert messages == [("ann", str(n)) for n in range(3)] + [("cyd", str(n)) for n in range(23, 30)]
        assert lost == 23


@on_virtual_time
async def test_quota_counts_unread_messages_only():
    """It ends when the recipient reads, and it holds over a restart."""
    async with MemoryServer(extension, settings={"direct": {"unread_per_sender": 2}}) as server:
        ann, ben = await server.connect("ann"), await server.connect("ben")
        for _ in range(2):
            await send_many(server, ann, 3, to="ben")
            assert errors(ann) == [("quota_full", None)]
            await ben.send("direct_history")
        await send_many(server, ben, 5, to="ann")
        await server.restart()
        ann = await server.connect("ann")
        await send_many(server, ann, 3, to="ben")
        assert errors(ann) == [("quota_full", None)]


@on_virtual_time
async def test_history_counts_lost_messages_in_both_directions():
    async with MemoryServer(extension, settings={"direct": {"keep": 6}}) as server:
        ann, ben, cyd = [await server.connect(name) for name in ("ann", "ben", "cyd")]
        await ben.send("direct_open")
        await send_many(server, cyd, 2, to="ben")
        await send_many(server, ann, 10, to="ben")
        await send_many(server, cyd, 1, to="ben")
        ben.hear()
        found = []
        for fields in ({"after": 0}, {"after": 2}, {"before": 13}, {}, {"before": 3}):
            await ben.send("direct_history", **fields)
            history = ben.expect("direct_history")
            found.append(([message["seq"] for message in history["messages"]], history["lost"]))
        assert found == [
            ([1, 2, 10, 11, 12, 13], 7),
            ([10, 11, 12, 13], 7),
            ([1, 2, 10, 11, 12], 7),
            ([1, 2, 10, 11, 12, 13], 7),
            ([1, 2], 0),
        ]


@on_virtual_time
async def test_lower_setting_removes_stored_messages_at_the_start():
    async with MemoryServer(extension) as server:
        ann, _ = await server.connect("ann"), await server.connect("ben")
        await send_many(server, ann, 8, to="ben")
        data = server._storage
    async with MemoryServer(extension, settings={"direct": {"keep": 3}}) as server:
        server._storage = data
        await server.restart()
        ben = await server.connect("ben")
        messages, lost = await inbox(ben)
        assert ([content for _, content in messages], lost) == (["5", "6", "7"], 5)


@on_virtual_time
async def test_next_user_of_an_id_gets_no_messages_and_no_blocks():
    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann"), await server.connect("ben")
        await ben.send("direct_send", to="ann", content="a secret")
        await ann.send("direct_block", userId="ben")
        await ben.send("direct_block", userId="ann")
        await server.remove_user("ann", release=True)
        ann, ben = await server.connect("ann"), await server.connect("ben")
        assert await inbox(ann) == ([], 0)
        assert (await inbox(ben))[0] == [("ben", "a secret")]
        await ben.send("direct_send", to="ann", content="hello")
        await ann.send("direct_send", to="ben", content="hello")
        assert errors(ann) == errors(ben) == []
