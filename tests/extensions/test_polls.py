"""Polls: opening, voting, closing, and persistence."""

from chat_actors.extensions.polls import MAX_POLLS, extension
from chat_actors.testing import MemoryServer, on_virtual_time


def errors(client):
    return [message["code"] for message in client.hear() if message["type"] == "error"]


async def open_poll(client, **fields):
    await client.send("poll_open", question="Tea?", options=["yes", "no"], **fields)
    return client.expect("poll")["pollId"]


@on_virtual_time
async def test_user_has_one_vote_and_may_change_it():
    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann", room="den"), await server.connect("ben", room="den")
        poll = await open_poll(ann)
        for client, option in ((ann, 0), (ben, 0), (ben, 1), (ben, 1)):
            await client.send("poll_vote", pollId=poll, option=option)
        ann.hear()
        await ann.send("polls")
        (poll,) = ann.expect("polls")["polls"]
        assert poll["votes"] == [1, 1]
        assert (poll["voted"], poll["openedBy"], poll["closed"]) == (0, "ann", False)


@on_virtual_time
async def test_subscribers_receive_counts_but_no_votes():
    async with MemoryServer(extension) as server:
        ann, ben, cyd = [await server.connect(name, room="den") for name in ("ann", "ben", "cyd")]
        await ben.send("polls")
        cyd.hear()
        ben.hear()
        poll = await open_poll(ann)
        await ann.send("poll_vote", pollId=poll, option=1)
        await ann.send("poll_close", pollId=poll)
        received = ben.hear()
        assert [(message["votes"], message["closed"]) for message in received] == [
            ([0, 0], False), ([0, 1], False), ([0, 1], True),
        ]  # fmt: skip
        assert all("voted" not in message for message in received)
        assert cyd.hear() == []


@on_virtual_time
async def test_timed_poll_closes_also_after_restart():
    async with MemoryServer(extension) as server:
        ann = await server.connect("ann", room="den")
        first, second = await open_poll(ann, seconds=60), await open_poll(ann, seconds=600)
        await ann.send("poll_vote", pollId=second, option=1)
        await server.advance(61)
        await ann.send("poll_vote", pollId=first, option=1)
        assert errors(ann) == ["poll_closed"]
        await server.restart()
        ann = await server.connect("ann", room="den")
        await ann.send("polls")
        assert [(poll["closed"], poll["votes"]) for poll in ann.expect("polls")["polls"]] == [
            (True, [0, 0]), (False, [0, 1]),
        ]  # fmt: skip
        await server.advance(600)
        assert ann.expect("poll")["closed"]


@on_virtual_time
async def test_invalid_command_is_refused():
    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann", room="den"), await server.connect("ben", room="den")
        poll = await open_poll(ann)
        for command, fields, code in (
            ("poll_vote", {"pollId": 99, "option": 0}, "no_such_poll"),
            ("poll_vote", {"pollId": poll, "option": 2}, "no_such_option"),
            ("poll_vote", {"pollId": poll, "option": -1}, "no_such_option"),
            ("poll_close", {"pollId": poll}, "not_owner"),
            ("poll_open", {"question": "", "options": ["a", "b"]}, "missing_field"),
            ("poll_open", {"question": "?", "options": ["a"]}, "missing_field"),
            ("poll_vote", {"pollId": poll}, "missing_field"),
        ):
            await ben.send(command, **fields)
            assert errors(ben) == [code], command


@on_virtual_time
async def test_new_poll_replaces_the_oldest_closed_one():
    async with MemoryServer(extension) as server:
        ann = await server.connect("ann", room="den")
        polls = []
        for _ in range(MAX_POLLS):
            polls.append(await open_poll(ann))
            await server.advance(5)
        await ann.send("poll_open", question="One more?", options=["yes", "no"])
        assert errors(ann) == ["too_many_polls"]
        await ann.send("poll_close", pollId=polls[3])
        await server.advance(5)
        ann.hear()
        newest = await open_poll(ann)
        await ann.send("polls")
        poll_ids = [poll["pollId"] for poll in ann.expect("polls")["polls"]]
        assert poll_ids == [*polls[:3], *polls[4:], newest]


@on_virtual_time
async def test_poll_accepts_a_bounded_number_of_voters(monkeypatch):
    """The cap holds for each poll. A user who has voted may still change the vote."""
    monkeypatch.setattr("chat_actors.extensions.polls.MAX_VOTERS", 2)
    async with MemoryServer(extension) as server:
        ann, ben, cyd = [await server.connect(name, room="den") for name in ("ann", "ben", "cyd")]
        first, second = await open_poll(ann), await open_poll(ann)
        for client in (ann, ben, cyd):
            await client.send("poll_vote", pollId=first, option=0)
        assert errors(cyd) == ["too_many_votes"]
        await ann.send("poll_vote", pollId=first, option=1)
        await cyd.send("poll_vote", pollId=second, option=0)
        assert errors(ann) == errors(cyd) == []


@on_virtual_time
async def test_removed_user_leaves_no_poll_and_no_vote_of_the_id():
    """The counts stay."""
    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann", room="den"), await server.connect("ben", room="den")
        await ann.send("poll_open", question="?", options=["a", "b"])
        for client in (ann, ben):
            await client.send("poll_vote", pollId=1, option=1)
        await server.remove_user("ben", release=True)
        await server.remove_user("ann", release=True)
        ann = await server.connect("ann", room="den")
        await ann.send("polls")
        (poll,) = ann.expect("polls")["polls"]
        assert (poll["votes"], poll["openedBy"], poll.get("voted")) == ([0, 2], "removed:user", None)
        await ann.send("poll_close", pollId=1)
        assert ann.expect("error")["code"] == "not_owner"
        await ann.send("poll_vote", pollId=1, option=0)
        assert ann.expect("poll")["votes"] == [1, 2]


@on_virtual_time
async def test_polls_of_one_user_displace_no_closed_poll_of_others(monkeypatch):
    monkeypatch.setattr("chat_actors.extensions.polls.MAX_POLLS", 3)
    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann", room="den"), await server.connect("ben", room="den")
        for client in (ann, ben, ben, ben, ben):
            await client.send("poll_open", question="?", options=["a", "b"])
            await client.send("poll_close", pollId=client.expect("poll")["pollId"])
            client.hear()
            await server.advance(6)
        await ann.send("polls")
        assert [poll["pollId"] for poll in ann.expect("polls")["polls"]] == [1, 4, 5]
