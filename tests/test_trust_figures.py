import numpy as np
from scipy.special import softmax

from experiments.trust_figures import attack_curves, calibration


def answers(n=500):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, n)
    logits = rng.normal(size=(n, 4)) + 2 * np.eye(4)[truth]
    return truth, {"before": softmax(4 * logits, axis=1), "after": softmax(logits, axis=1)}


def test_the_calibration_picture_names_its_axes_and_the_errors():
    truth, both = answers()
    left, right = calibration(truth, both).axes
    labels = [text.get_text() for text in left.get_legend().get_texts()]
    assert labels[0] == "as right as sure"
    assert labels[1].startswith("before (ECE ")
    assert (left.get_ylabel(), right.get_ylabel()) == ("accuracy (%)", "share of the rows (%)")
    assert left.get_xlabel() == right.get_xlabel() == "confidence: largest probability (%)"
    for stairs in right.patches:
        np.testing.assert_allclose(stairs.get_data().values.sum(), 100)


def test_calibration_of_one_row_and_one_cluster(tmp_path):
    calibration([0], {"alone": [[1.0]]}).savefig(tmp_path / "one.png")
    assert (tmp_path / "one.png").stat().st_size > 5000


def test_attack_curves_are_in_percent():
    axes = attack_curves({"before": [0.9, 0.2], "after": [0.9, 0.5]}, [0, 0.1], "largest change of a pixel").axes[0]
    assert [line.get_ydata().tolist() for line in axes.lines] == [[90, 20], [90, 50]]
    assert axes.get_xlabel() == "largest change of a pixel"
