"""RUC as the last stage of KingdraCluster: what it changes, what it leaves, what survives a kill."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from kingdra_cluster import RUC, KingdraCluster, LadderIM, PseudoLabelWarning
from kingdra_cluster.backbones import make_backbone
from kingdra_cluster.clean_split import core_split
from kingdra_cluster.modes import fit_state, ruc

pytestmark = [
    pytest.mark.usefixtures("eager"),
    pytest.mark.filterwarnings("ignore::kingdra_cluster.CollapseWarning"),
    pytest.mark.filterwarnings("ignore::kingdra_cluster.PseudoLabelWarning"),
]
ROOT = Path(__file__).parents[1]
REFINEMENT = RUC(hidden_units=(8,), batch_size=30, n_epochs=3, n_neighbors=10)
RESULTS = ("labels_", "probabilities_", "ensemble_labels_", "ensemble_probabilities_", "pseudo_labels_")


WITH_A_MODEL = """
import sys, warnings
import keras, numpy as np, tensorflow as tf
from kingdra_cluster import RUC, KingdraCluster, LadderIM

tf.config.run_functions_eagerly(True)
warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(60, 4))
backbone = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, kernel_initializer="ones")])
refine = RUC(hidden_units=(4,), batch_size=30, n_epochs=1, backbone=backbone)
options = {"n_members": 2, "n_rounds": 1, "epochs_first_round": 1, "start_votes": 0, "checkpoint_dir": sys.argv[1]}
mode = LadderIM(hidden_units=(4,), batch_size=30)
model = KingdraCluster(2, mode=mode, refine=refine, random_state=0, **options).fit(X)
print(model.probabilities_.sum(axis=0).tolist())
"""


def make(refine=REFINEMENT, **arguments):
    mode = LadderIM(hidden_units=(8,), batch_size=30, learning_rate=0.02)
    options = {"n_members": 2, "n_rounds": 2, "epochs_first_round": 2, "epochs_per_round": 1}
    options |= {"start_votes": 4, "start_balance": 0.7, "tol": None, "random_state": 0}
    return KingdraCluster(3, mode=mode, refine=refine, **options | arguments)


@pytest.fixture(scope="module")
def refined(blobs):
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield make().fit(blobs)
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def rounds_done(blobs, tmp_path_factory):
    """Checkpoints of all rounds and of no refinement, to be copied."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("rounds") / "state"
    tf.config.run_functions_eagerly(True)
    make(refine=None, checkpoint_dir=folder).fit(blobs)
    tf.config.run_functions_eagerly(False)
    return folder


@pytest.fixture
def own_rounds(rounds_done, tmp_path):
    """Such checkpoints, the test's own."""
    return shutil.copytree(rounds_done, tmp_path / "rounds")


def assert_same(model, expected):
    for name in RESULTS:
        np.testing.assert_array_equal(getattr(model, name), getattr(expected, name), err_msg=name)


def test_the_refined_answer_counts_and_the_ensembles_is_kept(blobs, refined, own_rounds):
    plain = make(refine=None, checkpoint_dir=own_rounds).fit(blobs)
    assert plain.refiner_ is None
    np.testing.assert_array_equal(refined.ensemble_probabilities_, plain.probabilities_)
    np.testing.assert_array_equal(plain.ensemble_labels_, plain.labels_)
    np.testing.assert_array_equal(refined.pseudo_labels_, plain.pseudo_labels_)
    assert np.any(refined.probabilities_ != plain.probabilities_)
    alone = clone(REFINEMENT).set_params(n_clusters=3, random_state=refined.refiner_.random_state)
    start = np.clip(plain.probabilities_, 0, 1)
    np.testing.assert_array_equal(alone.fit(blobs, start).probabilities_, refined.probabilities_)


def test_the_refiner_is_the_users_alone(blobs, own_rounds):
    model = make(clone(REFINEMENT).set_params(n_epochs=1), checkpoint_dir=own_rounds).fit(blobs)
    assert model.refiner_.checkpoint_dir is None, "the folder is the ensemble's"


def test_new_rows_and_a_saved_folder_get_the_refined_answer(blobs, refined, tmp_path):
    np.testing.assert_array_equal(refined.predict_proba(blobs[7:9]), refined.probabilities_[7:9])
    refined.save(tmp_path / "model")
    loaded = KingdraCluster.load(tmp_path / "model")
    assert_same(loaded, refined)
    np.testing.assert_array_equal(loaded.predict_proba(blobs), refined.probabilities_)
    np.testing.assert_array_equal(loaded.refiner_.clean_, refined.refiner_.clean_)
    assert loaded.get_params()["refine__n_epochs"] == 3
    loaded.save(tmp_path / "again")
    np.testing.assert_array_equal(KingdraCluster.load(tmp_path / "again").labels_, refined.labels_)


def test_arguments_of_the_refinement_are_reached_through_the_ensemble(refined):
    model = clone(refined)
    assert model.refine is not refined.refine
    assert not [name for name in vars(model.refine) if name.endswith("_")]
    model.set_params(refine__learning_rate=0.5)
    assert (model.refine.learning_rate, REFINEMENT.learning_rate) == (0.5, 0.05)
    assert model.set_params(refine=None).get_params()["refine"] is None
    assert refined.refine.random_state is None  # what was given is left as it was


@pytest.mark.parametrize("killed_after", [1, 3])
def test_a_fit_killed_while_refining_goes_on_to_the_same_bits(blobs, refined, tmp_path, monkeypatch, killed_after):
    saved = []

    def save_and_die(*arguments):
        fit_state.save_fit(*arguments)
        saved.append(arguments)
        if len(saved) == killed_after:
            raise KeyboardInterrupt

    monkeypatch.setattr(ruc, "save_fit", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        make(checkpoint_dir=tmp_path).fit(blobs)
    saved.clear()
    monkeypatch.setattr(ruc, "save_fit", lambda *arguments: saved.append(arguments))
    monkeypatch.setattr(LadderIM, "make_batches", lambda *_, **__: pytest.fail("a member was trained again"))
    resumed = make(checkpoint_dir=tmp_path).fit(blobs)
    assert len(saved) == REFINEMENT.n_epochs - killed_after
    assert_same(resumed, refined)


def test_rounds_are_kept_when_the_refinement_is_another(blobs, own_rounds, monkeypatch):
    monkeypatch.setattr(LadderIM, "make_batches", lambda *_, **__: pytest.fail("a member was trained again"))
    for n_epochs in (2, 1):
        model = make(clone(REFINEMENT).set_params(n_epochs=n_epochs), checkpoint_dir=own_rounds).fit(blobs)
        assert len(model.refiner_.history_) == n_epochs
        assert len(list(own_rounds.glob("refinement_*"))) == 1


def test_a_backbone_with_other_weights_is_another_refinement(blobs, own_rounds, monkeypatch):
    monkeypatch.setattr(LadderIM, "make_batches", lambda *_, **__: pytest.fail("a member was trained again"))
    found = []
    for seed in (0, 0, 1):
        backbone = make_backbone({"name": "mlp", "hidden_units": (4,)}, blobs.shape[1:], seed)
        make(clone(REFINEMENT).set_params(backbone=backbone, n_epochs=1), checkpoint_dir=own_rounds).fit(blobs)
        found += own_rounds.glob("refinement_*")
    assert found[0] == found[1] != found[2]
    assert len(found) == 3, "the state of another refinement is removed"


def test_a_killed_refinement_with_a_model_goes_on_in_a_new_process(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(WITH_A_MODEL, encoding="utf-8")
    lines = []
    for _ in range(2):  # the second finds all members trained: nothing has claimed its threads
        run = subprocess.run([sys.executable, script, tmp_path / "state"], capture_output=True, text=True, cwd=ROOT)
        assert run.returncode == 0, run.stderr
        lines.append(run.stdout)
    assert lines[0] == lines[1] != ""


def test_cores_of_the_graph_say_what_to_believe(blobs):
    model = make(refine=clone(REFINEMENT).set_params(split="cores", n_epochs=1)).fit(blobs)
    cores = core_split(model.pseudo_labels_, model.ensemble_labels_)
    np.testing.assert_array_equal(model.refiner_.clean_start_, cores)
    assert 0 < cores.sum() < 90


def test_a_split_by_cores_alone_and_without_any_core(blobs):
    labels, pseudo_labels = np.repeat([0, 1, 2], 30), np.where(np.arange(90) % 3, -1, np.repeat([0, 1, 2], 30))
    labels[0] = 1  # a core row whose neighbours disagree, and the core too
    pseudo_labels[0] = 1
    model = clone(REFINEMENT).set_params(n_clusters=3, split="voted_cores", n_epochs=1)
    found = model.fit(blobs, labels, pseudo_labels=pseudo_labels).clean_start_
    np.testing.assert_array_equal(found, (pseudo_labels >= 0) & (np.arange(90) > 0))
    with pytest.warns(PseudoLabelWarning, match="no row is clean by split='voted_cores'"):
        assert model.fit(blobs, labels, pseudo_labels=np.full(90, -1)).clean_start_.all()
    with pytest.raises(ValueError, match="split='voted_cores' wants pseudo_labels"):
        model.fit(blobs, labels)


@pytest.mark.parametrize(
    ("refine", "error", "words"),
    [
        ("ruc", TypeError, "refine must be a RUC or None; received str"),
        (RUC(n_epochs=0), ValueError, "n_epochs must be an integer of at least 1"),
        (RUC(split="core"), ValueError, "the nearest is 'cores'"),
    ],
)
def test_a_refinement_of_the_wrong_kind_is_refused_before_training(blobs, refine, error, words, monkeypatch):
    monkeypatch.setattr(LadderIM, "make_network", lambda *_: pytest.fail("training began"))
    with pytest.raises(error, match=words):
        make(refine=refine).fit(blobs)


@pytest.mark.slow
def test_a_worker_process_refines_to_the_same_bits(blobs):
    here, there = (make(n_jobs=n_jobs).fit(blobs) for n_jobs in (1, 2))
    np.testing.assert_array_equal(there.ensemble_labels_, here.ensemble_labels_)
    np.testing.assert_array_equal(there.labels_, here.labels_)
