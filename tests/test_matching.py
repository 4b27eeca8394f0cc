"""Boxes meet boxes: the rules of pairing, for any two sets."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbvision.errors import RequestError
from nbvision.geometry import Box
from nbvision.matching import BoxPair, Matches, match_boxes, paired

edge = st.integers(0, 12)
box = st.builds(
    lambda x, y, w, h, label: Box(x, y, x + w, y + h, label),
    edge,
    edge,
    edge,
    edge,
    st.sampled_from(["", "door", "window"]),
)
boxes = st.lists(box, max_size=6)
HOSTILE = '<img src=x onerror="alert(1)">\n2. not a line of ours'


@given(boxes, boxes)
def test_every_box_appears_once_and_no_other(own: list[Box], others: list[Box]) -> None:
    matches = match_boxes(own, others)
    assert [row.own for row in matches if row.own is not None] == own
    found = [row.other for row in matches if row.other is not None]
    assert sorted(found, key=repr) == sorted(others, key=repr)
    assert len(matches.pairs) + len(matches.missed) == len(own)
    assert len(matches.pairs) + len(matches.extra) == len(others)


@given(boxes, boxes)
def test_no_two_that_are_left_over_could_be_a_pair(own: list[Box], others: list[Box]) -> None:
    matches = match_boxes(own, others)
    assert all(one.iou(other) == 0 for one in matches.missed for other in matches.extra)


@given(boxes, boxes)
def test_a_better_partner_is_always_taken_by_a_pair_at_least_as_good(
    own: list[Box], others: list[Box]
) -> None:
    found = paired(own, others)
    taken = dict(found.values())
    for number, one in enumerate(own):
        for count, other in enumerate(others):
            mine = found.get(number, (-1, 0.0))[1]
            assert one.iou(other) <= max(mine, taken.get(count, 0.0))


@given(boxes, boxes, st.floats(0, 1))
def test_a_threshold_only_takes_pairs_away(own: list[Box], others: list[Box], least: float) -> None:
    every, some = paired(own, others), paired(own, others, at_least=least)
    assert some == {number: pair for number, pair in every.items() if pair[1] >= least}


@given(boxes)
def test_boxes_that_meet_themselves_agree_fully(own: list[Box]) -> None:
    matches = match_boxes(own, own)
    assert all(row.iou == 1 for row in matches)
    assert matches.missed == matches.extra == ()
    assert matches.recall(1.0) == matches.precision(1.0) == 1


@given(boxes, boxes)
def test_the_two_sides_change_places(own: list[Box], others: list[Box]) -> None:
    positive = [iou for one in own for other in others if (iou := one.iou(other)) > 0]
    if len(set(positive)) < len(positive):
        return  # equal overlaps are taken in order, and the order differs
    one, other = match_boxes(own, others), match_boxes(others, own)
    assert sorted(p.iou for p in one.pairs) == sorted(p.iou for p in other.pairs)
    assert one.recall(0.3) == pytest.approx(other.precision(0.3))


@given(boxes, boxes)
def test_order_changes_nothing_when_no_two_overlaps_are_equal(
    own: list[Box], others: list[Box]
) -> None:
    positive = [iou for one in own for other in others if (iou := one.iou(other)) > 0]
    if len(set(positive)) < len(positive):
        return
    found = {(p.own, p.other) for p in match_boxes(own, others).pairs}
    assert {(p.own, p.other) for p in match_boxes(own[::-1], others[::-1]).pairs} == found


@given(st.lists(box, max_size=4), st.lists(box, max_size=4))
def test_it_is_never_worse_than_half_of_the_best_assignment(
    own: list[Box], others: list[Box]
) -> None:
    small, large = sorted((own, others), key=len)
    best = max(
        sum(one.iou(other) for one, other in zip(small, chosen, strict=True))
        for chosen in permutations(large, len(small))
    )
    assert sum(pair.iou for pair in match_boxes(own, others).pairs) >= best / 2 - 1e-9


def test_greedy_differs_from_the_best_assignment_as_it_says() -> None:
    """The best pair goes first, though breaking it up would leave nobody alone."""
    left, middle = Box(0, 0, 10, 10, "left"), Box(4, 0, 14, 10, "middle")
    others = [Box(3, 0, 13, 10), Box(13, 0, 17, 10)]
    matches = match_boxes([left, middle], others)
    assert [pair.own.label for pair in matches.pairs if pair.own] == ["middle"]
    assert matches.missed == (left,)
    assert matches.extra == (others[1],)


def test_equal_overlaps_are_taken_in_order() -> None:
    twin = Box(0, 0, 4, 4)
    assert paired([twin, twin], [twin, twin]) == {0: (0, 1.0), 1: (1, 1.0)}


def test_boxes_that_share_no_area_are_no_pair() -> None:
    assert match_boxes([Box(0, 0, 4, 4)], [Box(4, 0, 8, 4)]).pairs == ()
    assert match_boxes([Box(0, 0, 4, 4)], [Box(9, 9, 9, 9)]).pairs == ()
    assert match_boxes([Box(2, 2, 2, 2)], [Box(2, 2, 2, 2)]).mean_iou == 1


def test_nothing_against_nothing() -> None:
    none = match_boxes([], [])
    assert (len(none), none.mean_iou, none.recall(), none.precision()) == (0, 0.0, 1.0, 1.0)
    assert none.summary() == "0 pairs; 0 missed, 0 extra"
    assert match_boxes([], [Box(0, 0, 1, 1)]).precision() == 0
    assert match_boxes([Box(0, 0, 1, 1)], []).recall() == 0


def test_recall_and_precision_count_at_their_threshold() -> None:
    truth = [Box(0, 0, 10, 10), Box(20, 0, 30, 10)]
    found = [Box(0, 0, 10, 10), Box(20, 0, 30, 6), Box(50, 50, 60, 60)]
    matches = match_boxes(truth, found)
    assert (matches.recall(), matches.recall(0.75)) == (1.0, 0.5)
    assert matches.precision(0.75) == pytest.approx(1 / 3)
    assert matches.mean_iou == pytest.approx(0.8)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), 50])
def test_a_threshold_that_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(RequestError, match="from 0 to 1"):
        match_boxes([], [], at_least=share)
    with pytest.raises(RequestError, match="from 0 to 1"):
        match_boxes([Box(0, 0, 1, 1)], []).recall(share)


def test_it_takes_whatever_iterates() -> None:
    matches = match_boxes((b for b in [Box(0, 0, 1, 1)]), iter([Box(0, 0, 1, 1)]))
    assert matches[0] == BoxPair(Box(0, 0, 1, 1), Box(0, 0, 1, 1), 1.0)
    assert matches == Matches(tuple(matches))


def test_it_shows_a_table_and_words_and_labels_do_no_harm() -> None:
    truth = [Box(0, 0, 10, 10, HOSTILE), Box(50, 0, 60, 10, "window")]
    shown = match_boxes(truth, [Box(0, 0, 10, 9, "door"), Box(80, 0, 90, 10)])._repr_mimebundle_()
    assert shown["text/plain"].splitlines() == [
        "1 pair, mean IoU 0.90; 1 missed, 1 extra",
        '1. <img src=x onerror="alert(1)"> 2. not a line of ours – door: IoU 0.900',
        "2. window [50, 0, 60, 10]: missed",
        "3. no label [80, 0, 90, 10]: extra",
    ]
    assert "<img" not in shown["text/html"]
    assert "<table>" in shown["text/html"]
    assert "0.900" in shown["text/html"]


def test_what_is_no_box_is_refused() -> None:
    with pytest.raises(RequestError, match="boxes hold"):
        match_boxes([Box(0, 0, 1, 1)], [(0, 0, 1, 1)])  # type: ignore[list-item]
