from load.delivery_checks import DeliveryChecker, MessageStamp, MessageStamper

NOW = 1_700_000_000_000_000_000


def check(checker, *received):
    """The violation of each message, given as its sequence number and stamp."""
    return [checker.check(seq, stamp) for seq, stamp in received]


def test_stamp_round_trips_through_content():
    stamp = MessageStamp("ann", 2, 7, NOW)
    assert len(stamp.as_content(100)) == 100
    assert MessageStamp.parse(stamp.as_content()) == MessageStamp.parse(stamp.as_content(100)) == stamp


def test_content_without_stamp_is_none():
    assert [MessageStamp.parse(text) for text in ("", "hello", "a b c d e", "ann 1 x 3 .")] == [None] * 4


def test_checker_accepts_gaps_in_seq():
    ann, ben, checker = MessageStamper("ann"), MessageStamper("ben"), DeliveryChecker()
    assert check(checker, (3, ann.next(NOW)), (9, ben.next(NOW)), (10, None), (12, ann.next(NOW))) == [None] * 4


def test_checker_reports_missing_message_once():
    ann, checker = MessageStamper("ann"), DeliveryChecker()
    stamps = [ann.next(NOW) for _ in range(4)]
    assert check(checker, (1, stamps[0]), (3, stamps[2]), (4, stamps[3])) == [None, "messages are missing", None]


def test_checker_reports_duplicate():
    ann, checker = MessageStamper("ann"), DeliveryChecker()
    stamp = ann.next(NOW)
    assert check(checker, (1, stamp), (1, stamp)) == [None, "received twice"]


def test_checker_reports_reordering_once():
    ann, ben, checker = MessageStamper("ann"), MessageStamper("ben"), DeliveryChecker()
    first, second = ann.next(NOW), ben.next(NOW)
    assert check(checker, (2, second), (1, first), (3, ann.next(NOW)), (4, ben.next(NOW))) == [
        None,
        "out of order",
        None,
        None,
    ]


def test_new_epoch_restarts_numbering():
    ann, checker = MessageStamper("ann"), DeliveryChecker()
    received = ann.next(NOW)
    ann.next(NOW)  # refused by the server
    ann.begin_epoch()
    assert check(checker, (1, received), (2, ann.next(NOW)), (3, ann.next(NOW))) == [None] * 3


def test_checker_reset_forgets_last_seq():
    ann, checker = MessageStamper("ann"), DeliveryChecker()
    check(checker, (50, ann.next(NOW)))
    ann.next(NOW)
    checker.reset()
    assert checker.last_seq is None
    assert check(checker, (1, ann.next(NOW))) == [None]
