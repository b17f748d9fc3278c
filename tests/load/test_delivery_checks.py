from load.delivery_checks import DeliveryChecker, MessageStamp, MessageStamper

NOW = 1_700_000_000_000_000_000


def check(checker, *received):
    """What is wrong with each; a message is a seq and a mark."""
    return [checker.check(seq, stamp) for seq, stamp in received]


def test_a_mark_survives_the_way_through_a_content():
    stamp = MessageStamp("ann", 2, 7, NOW)
    assert len(stamp.as_content(100)) == 100
    assert MessageStamp.parse(stamp.as_content()) == MessageStamp.parse(stamp.as_content(100)) == stamp


def test_what_somebody_else_says_has_no_mark():
    assert [MessageStamp.parse(text) for text in ("", "hello", "a b c d e", "ann 1 x 3 .")] == [None] * 4


def test_a_complete_stream_is_fine_whatever_its_numbers():
    ann, ben, checker = MessageStamper("ann"), MessageStamper("ben"), DeliveryChecker()
    assert check(checker, (3, ann.next(NOW)), (9, ben.next(NOW)), (10, None), (12, ann.next(NOW))) == [None] * 4


def test_one_left_out_is_told_once():
    ann, checker = MessageStamper("ann"), DeliveryChecker()
    stamps = [ann.next(NOW) for _ in range(4)]
    assert check(checker, (1, stamps[0]), (3, stamps[2]), (4, stamps[3])) == [None, "messages are missing", None]


def test_one_that_comes_twice_is_told():
    ann, checker = MessageStamper("ann"), DeliveryChecker()
    stamp = ann.next(NOW)
    assert check(checker, (1, stamp), (1, stamp)) == [None, "received twice"]


def test_two_in_the_wrong_order_are_told_once():
    ann, ben, checker = MessageStamper("ann"), MessageStamper("ben"), DeliveryChecker()
    first, second = ann.next(NOW), ben.next(NOW)
    assert check(checker, (2, second), (1, first), (3, ann.next(NOW)), (4, ben.next(NOW))) == [
        None,
        "out of order",
        None,
        None,
    ]


def test_a_new_stay_follows_on_nothing():
    ann, checker = MessageStamper("ann"), DeliveryChecker()
    received = ann.next(NOW)
    ann.next(NOW)  # was refused
    ann.begin_epoch()
    assert check(checker, (1, received), (2, ann.next(NOW)), (3, ann.next(NOW))) == [None] * 3


def test_who_enters_another_room_begins_anew():
    ann, checker = MessageStamper("ann"), DeliveryChecker()
    check(checker, (50, ann.next(NOW)))
    ann.next(NOW)
    checker.reset()
    assert checker.last_seq is None
    assert check(checker, (1, ann.next(NOW))) == [None]
