"""Nearest-neighbour matching that is told the clusters' shares: the loss, the score, unequal clusters, errors."""

import numpy as np
import pytest

from kingdra_cluster import NNM
from kingdra_cluster.modes.nnm_network import score_heads

pytestmark = pytest.mark.usefixtures("eager")
HEADS = 2
TINY = {"backbone": {"name": "mlp", "hidden_units": (6,)}, "n_heads": HEADS}


def test_a_prior_replaces_the_balance_in_the_loss_and_in_the_score():
    rng = np.random.default_rng(0)
    rows, prior = rng.dirichlet(np.ones(3), (12, HEADS)).astype("float32"), [0.6, 0.3, 0.1]
    output = {"anchor": rows, "neighbor": rows[::-1], "has_partner": np.zeros(12, "float32")}
    output["partner"] = rows
    network = NNM(3, **TINY, prior=prior, local=False, entropy_weight=2.0).make_network((4,), seed=3)
    shares = rows.mean(axis=0)
    expected = [
        -2 * (np.log(3) - sum(p * np.log(p / q) for p, q in zip(sorted(head), sorted(prior), strict=True)))
        for head in shares
    ]
    assert float(network.loss_terms(output)["entropy"]) == pytest.approx(sum(expected), rel=1e-4)
    places, neighbors = np.arange(12), np.arange(12)[:, None]
    plain = score_heads(rows, places, neighbors, class_level=False)
    with_prior = score_heads(rows, places, neighbors, class_level=False, prior=prior)
    change = [
        sum(p * (np.log(p / q) - np.log(p)) for p, q in zip(sorted(head), sorted(prior), strict=True)) - np.log(3)
        for head in shares
    ]
    np.testing.assert_allclose(with_prior - plain, change, rtol=1e-4)


def test_a_network_told_of_the_shares_in_any_order_finds_unequal_clusters():
    rng = np.random.default_rng(0)
    centres = 3 * np.repeat(np.eye(4)[:2], [84, 28], axis=0)
    options = {"backbone": {"name": "mlp", "hidden_units": (8,)}, "n_neighbors": 5, "batch_size": 56}
    model = NNM(2, **options, n_epochs=30, learning_rate=0.02, prior=[0.25, 0.75], random_state=0)
    model.fit(centres + rng.normal(0, 0.3, (112, 4)))
    assert sorted(np.bincount(model.labels_, minlength=2)) == [28, 84]


@pytest.mark.parametrize("prior", [[0.5, 0.5], [0.5, 0.6, -0.1], [0.5, 0.4, 0.3]])
def test_a_prior_that_is_none_is_refused(prior):
    with pytest.raises(ValueError, match="prior must be one positive share for each of the 3 clusters"):
        NNM(3, prior=prior).check_parameters()


def test_a_prior_by_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="prior must be one of .*'uniform'"):
        NNM(3, prior="zipf").check_parameters()
