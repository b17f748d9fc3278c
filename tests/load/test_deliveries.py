from load.deliveries import Listener, Mark, Marker

NOW = 1_700_000_000_000_000_000


def hear(listener, *heard):
    """What is wrong with each; a message is a seq and a mark."""
    return [listener.hear(seq, mark) for seq, mark in heard]


def test_a_mark_survives_the_way_through_a_content():
    mark = Mark("ann", 2, 7, NOW)
    assert len(mark.as_content(100)) == 100
    assert Mark.of(mark.as_content()) == Mark.of(mark.as_content(100)) == mark


def test_what_somebody_else_says_has_no_mark():
    assert [Mark.of(text) for text in ("", "hello", "a b c d e", "ann 1 x 3 .")] == [None] * 4


def test_a_complete_stream_is_fine_whatever_its_numbers():
    ann, ben, listener = Marker("ann"), Marker("ben"), Listener()
    assert hear(listener, (3, ann.next(NOW)), (9, ben.next(NOW)), (10, None), (12, ann.next(NOW))) == [None] * 4


def test_one_left_out_is_told_once():
    ann, listener = Marker("ann"), Listener()
    marks = [ann.next(NOW) for _ in range(4)]
    assert hear(listener, (1, marks[0]), (3, marks[2]), (4, marks[3])) == [None, "messages are missing", None]


def test_one_that_comes_twice_is_told():
    ann, listener = Marker("ann"), Listener()
    mark = ann.next(NOW)
    assert hear(listener, (1, mark), (1, mark)) == [None, "heard twice"]


def test_two_in_the_wrong_order_are_told_once():
    ann, ben, listener = Marker("ann"), Marker("ben"), Listener()
    first, second = ann.next(NOW), ben.next(NOW)
    assert hear(listener, (2, second), (1, first), (3, ann.next(NOW)), (4, ben.next(NOW))) == [
        None,
        "out of order",
        None,
        None,
    ]


def test_a_new_stay_follows_on_nothing():
    ann, listener = Marker("ann"), Listener()
    heard = ann.next(NOW)
    ann.next(NOW)  # was refused
    ann.begin_stay()
    assert hear(listener, (1, heard), (2, ann.next(NOW)), (3, ann.next(NOW))) == [None] * 3


def test_who_enters_another_room_begins_anew():
    ann, listener = Marker("ann"), Listener()
    hear(listener, (50, ann.next(NOW)))
    ann.next(NOW)
    listener.enter()
    assert listener.last_seq is None
    assert hear(listener, (1, ann.next(NOW))) == [None]
