"""Accuracies and tables, against hand-worked cases."""

import numpy as np
import pytest

from simclr_keras import evaluation

pytestmark = pytest.mark.newest


def test_top_k_counts_labels_among_the_highest_scores():
    """Hand-worked: ranks of the labels are 1, 2, 3 and 3."""
    scores = [[9, 1, 0, 2], [3, 1, 0, 2], [3, 1, 0, 2], [1, 5, 3, 4]]
    labels = [0, 3, 1, 2]
    found = [evaluation.top_k_accuracy(scores, labels, k) for k in (1, 2, 3)]
    assert found == [0.25, 0.5, 1.0]


def test_top_k_of_equal_scores_prefers_the_lower_class():
    """As argmax: constant scores say class 0, so one of four is right."""
    scores, labels = np.zeros([4, 4]), [0, 1, 2, 3]
    assert evaluation.top_k_accuracy(scores, labels, 1) == 0.25
    assert evaluation.top_k_accuracy(scores, labels, 3) == 0.75


def test_top_k_counts_unknown_labels_as_missed():
    assert evaluation.top_k_accuracy(np.zeros([2, 3]), [-1, 3], 3) == 0.0


@pytest.mark.parametrize(
    ("scores", "labels", "k", "name"),
    [
        (np.zeros([2, 3]), [0, 1], 0, "k must"),
        (np.zeros([2, 3]), [0], 1, "labels"),
        (np.zeros([0, 3]), [], 1, "n at least 1"),
        (np.full([1, 2], np.nan), [0], 1, "finite"),
        (np.zeros([2, 3]), [0.0, 1.0], 1, "integers .*Received: float64"),
    ],
)
def test_top_k_names_what_is_wrong(scores, labels, k, name):
    with pytest.raises(ValueError, match=name):
        evaluation.top_k_accuracy(scores, labels, k)


def test_mean_per_class_weighs_classes_equally():
    """Hand-worked: class 0 has 3 of 4, class 1 has 0 of 1 right."""
    found = evaluation.mean_per_class_accuracy([0, 0, 0, 1, 0], [0] * 4 + [1])
    assert found == pytest.approx((3 / 4 + 0) / 2)


def test_markdown_table_as_drawn_by_hand():
    table = evaluation.markdown_table(
        [("raw pixels", 21.04, None), ("pre|trained", 92.6, 3)],
        ["features", "top-1 %", "n"],
    )
    assert table.splitlines() == [
        "| features     | top-1 % |   n |",
        "| ------------ | ------: | --: |",
        "| raw pixels   |    21.0 |   - |",
        "| pre\\|trained |    92.6 |   3 |",
    ]


def test_markdown_table_refuses_ragged_rows():
    with pytest.raises(ValueError, match="2 cells"):
        evaluation.markdown_table([(1,)], ["a", "b"])


def test_percent():
    assert evaluation.percent(0.9254) == "92.5 %"
    assert evaluation.percent(None) == "-"
