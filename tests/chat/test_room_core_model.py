"""`RoomCore` alone against a model: random joins, replays, posts, retries, removals, crashes and failing commits."""

import random
from collections import Counter
from datetime import UTC, datetime

import pytest

from chat_actors.chat import events
from chat_actors.chat.held_outbox import HeldOutbox
from chat_actors.chat.members import Member
from chat_actors.chat.pending_posts import PendingPost
from chat_actors.chat.room_core import (
    CloseIfEmpty,
    MemberLeft,
    NotifyRemoved,
    ReleaseSlots,
    RoomCore,
)
from chat_actors.protocol import decode_message, messages, refusals
from chat_actors.storage import Appended, Draft, Receipt, StoredMessage

STEPS = 10_000
USERS = ("ann", "ben", "cyd", "dan")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Recorder:
    """An outbox that keeps what it is offered."""

    closing = None
    backlog = 0

    def __init__(self):
        self.received = []

    def offer(self, block):
        self.received += [decode_message(text) for text in block.texts]
        return True

    def close(self, code, reason):
        raise AssertionError("no outbox overflows here")


class Stay:
    """One membership of a session, as the model sees it."""

    def __init__(self, session, user_id, last_seq, *, replays):
        self.session, self.user_id, self.joined_after = session, user_id, last_seq
        self.client = Recorder()
        self.outbox = HeldOutbox(self.client, 0) if replays else self.client
        self.is_held = replays
        self.ended_at = None
        self.is_superseded = False

    @property
    def seqs(self):
        return [message.seq for message in self.client.received if isinstance(message, messages.ChatMessage)]

    def expected(self, last_seq):
        """The numbers that the client must have received."""
        if self.is_held:
            return []
        return list(range(self.joined_after + 1, (last_seq if self.ended_at is None else self.ended_at) + 1))


class Answer:
    """An answer that is owed. A flush is answered when no post is pending."""

    def __init__(self, core, *, is_flush):
        self.core, self.is_flush, self.count = core, is_flush, 0

    def resolve(self, value):
        self.count += 1
        assert not (self.is_flush and self.core.pending)


class Model:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.core = RoomCore("red", 0)
        self.stored, self.receipts = [], {}  # the journal
        self.append = None  # with the writer
        self.stays, self.ended = {}, []
        self.observer = self.join(object(), "observer", replays=False)
        self.reserved = 0
        self.owed = []
        self.is_removing = False
        self.posts = 0

    def run(self, effects):
        for effect in effects:
            match effect:
                case MemberLeft(session=session):
                    if session in self.stays:
                        stay = self.stays.pop(session)
                        stay.ended_at = self.core.last_seq
                        self.ended.append(stay)
                        assert self.is_removing or not self.core.pending.has_any_of(session)
                case NotifyRemoved(session=session):
                    assert session not in self.core.members
                case ReleaseSlots(count=count):
                    self.reserved -= count
                case events.UserLeft(user_id=user_id):
                    assert user_id not in self.core.members.users
                case CloseIfEmpty():
                    pass
                case _:
                    raise AssertionError(effect)

    def owe(self, *, is_flush=False):
        self.owed.append(Answer(self.core, is_flush=is_flush))
        return self.owed[-1]

    # -- steps --

    def join(self, session, user_id, *, replays):
        if (earlier := self.stays.get(session)) is not None:
            earlier.is_superseded = True
            earlier.ended_at = self.core.last_seq
            self.ended.append(earlier)
        stay = self.stays[session] = Stay(session, user_id, self.core.last_seq, replays=replays)
        joined = None if replays else messages.joined(user_id, "red", None, self.core.last_seq)
        was_there = user_id in self.core.members.users
        effects = self.core.join(Member(session, user_id, stay.outbox), joined)
        assert list(effects) == ([] if was_there else [events.UserJoined(user_id, "red")])
        return stay

    def step(self):
        actions = {
            self.join_somebody: 5,
            self.finish_a_replay: 4,
            self.leave: 2,
            self.remove_user: 1,
            self.post: 12,
            self.begin_append: 6,
            self.end_append: 6,
            self.fail_append: 1,
            self.lose_the_outcome: 1,
            self.crash_after_the_commit: 1,
            self.flush: 1,
            self.end_turn: 8,
        }
        (action,) = self.rng.choices(list(actions), actions.values())
        action()

    def join_somebody(self):
        if self.stays and self.rng.random() < 0.3:
            stay = self.any_stay()
            if stay is not None:
                self.join(stay.session, stay.user_id, replays=True)
        elif len(self.stays) < 12:
            self.join(object(), self.rng.choice(USERS), replays=self.rng.random() < 0.5)

    def any_stay(self):
        stays = [stay for stay in self.stays.values() if stay is not self.observer]
        return self.rng.choice(stays) if stays else None

    def finish_a_replay(self):
        if (stay := self.any_stay()) is not None:
            self.core.replayed(stay.session)
            stay.is_held = False

    def leave(self):
        if (stay := self.any_stay()) is not None:
            answer = self.owe() if self.rng.random() < 0.5 else None
            self.run(self.core.leave(stay.session, answer))

    def remove_user(self):
        user_id = self.rng.choice(USERS)
        self.is_removing = True
        self.run(self.core.remove(user_id, refusals.ROOM_FAILED))
        self.is_removing = False
        assert user_id not in self.core.members.users

    def post(self):
        if (stay := self.any_stay()) is None:
            return
        self.posts += 1
        # Every fifth post repeats an earlier one.
        number = self.rng.randint(1, self.posts) if self.rng.random() < 0.2 else self.posts
        draft = Draft(stay.user_id, f"{number}", f"m{number}" if self.rng.random() < 0.8 else None)
        author = self.core.members.get(stay.session)
        self.core.pending.add(PendingPost(draft, author))
        self.reserved += 1

    def begin_append(self):
        append = self.core.next_append()
        assert (append is None) or self.append is None
        self.append = append or self.append

    def commit(self):
        """The journal numbers the drafts, each `client_msg_id` of a user once."""
        new, receipts = [], []
        for draft in self.append.drafts:
            if (repeated := self.receipt(draft)) is not None:
                receipts.append(repeated)
                continue
            message = StoredMessage(len(self.stored) + 1, draft.user_id, draft.content, NOON)
            self.stored.append(message)
            if draft.client_msg_id is not None:
                self.receipts[draft.user_id, draft.client_msg_id] = message.seq
            new.append(message)
            receipts.append(Receipt(message.seq, NOON, True))
        self.append = None
        return Appended(new, receipts)

    def receipt(self, draft):
        seq = self.receipts.get((draft.user_id, draft.client_msg_id))
        return None if seq is None else Receipt(seq, NOON, False)

    def end_append(self):
        if self.append is not None:
            self.run(self.core.stored(self.commit()))

    def fail_append(self):
        if self.append is not None:
            self.append = None
            self.run(self.core.failed())

    def lose_the_outcome(self):
        """The writer fails before or after the commit. A room that reads the journal may crash before it answers."""
        if self.append is None:
            return
        core, drafts, is_stored = self.core, self.append.drafts, self.rng.random() < 0.5
        if is_stored:
            self.commit()
        self.append, core.is_in_doubt = None, True
        if self.rng.random() < 0.5:
            self.run(core.broadcast(self.stored[core.last_seq :]))
        by_id, stored = [self.receipt(draft) for draft in drafts], self.stored[core.append_after :]
        receipts = core.pending.receipts(by_id, stored)
        if is_stored:
            seqs = [receipt.seq for draft, receipt in zip(drafts, receipts, strict=True) if draft.client_msg_id is None]
            assert len(seqs) == len(set(seqs))
            for draft, receipt in zip(drafts, receipts, strict=True):
                message = self.stored[receipt.seq - 1]
                assert (message.user_id, message.content) == (draft.user_id, draft.content)
        else:
            assert receipts == by_id
        self.run(core.settled(by_id, stored))
        assert not core.is_in_doubt

    def crash_after_the_commit(self):
        """The next incarnation reads the journal, and finishes the append."""
        if self.append is not None:
            self.core.unfinished = self.commit()
            self.run(self.core.broadcast(self.stored[self.core.last_seq :]))
            self.run(self.core.restarted())

    def flush(self):
        if self.core.pending:
            self.core.flush_requests.append(self.owe(is_flush=True))

    def end_turn(self):
        self.core.fan_out.flush()

    # -- what must hold --

    def check(self):
        core = self.core
        assert {member.session for member in core.members} == set(self.stays)
        pending = (*core.pending.drafts, *core.pending.in_flight)
        assert set(core.pending._counts) == {each for p in pending for each in (p.author.session, p.draft.user_id)}
        assert self.reserved == len(core.pending)
        assert core.last_seq == len(self.stored)
        assert all(answer.count <= 1 for answer in self.owed)
        core.fan_out.flush()
        for stay in [*self.stays.values(), *self.ended]:
            expected = stay.expected(core.last_seq)
            if stay.is_superseded:  # what was not flushed is in the replay of the next stay
                assert stay.seqs == expected[: len(stay.seqs)]
            else:
                assert stay.seqs == expected
            announced = [type(message) for message in stay.client.received if not is_answer(message)]
            assert stay.outbox is not stay.client or announced[0] is messages.Joined
        self.check_announcements()
        self.ended.clear()

    def check_announcements(self):
        present = Counter()
        for message in self.observer.client.received:
            if isinstance(message, messages.UserJoined):
                present[message.user_id] += 1
                assert present[message.user_id] == 1
            elif isinstance(message, messages.UserLeft):
                present[message.user_id] -= 1
                assert present[message.user_id] == 0
        assert +present == Counter({user: 1 for user in self.core.members.users if user != "observer"})


def is_answer(message):
    return isinstance(message, messages.Accepted | messages.Error)


@pytest.mark.parametrize("seed", range(3))
def test_core_agrees_with_a_model(seed):
    model = Model(seed)
    for step in range(STEPS):
        model.step()
        if step % 100 == 99:
            model.check()
    while model.core.pending:
        model.begin_append()
        model.end_append()
    model.check()
    assert all(answer.count == 1 for answer in model.owed)
    assert len(model.stored) > STEPS // 20
    accepted = [
        m.seq for stay in model.stays.values() for m in stay.client.received if isinstance(m, messages.Accepted)
    ]
    assert set(accepted) <= {message.seq for message in model.stored}
