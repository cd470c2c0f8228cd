import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from joblib import parallel_config

from kingdra_cluster import LadderIM, members
from kingdra_cluster.members import claim_threads, member_classifier, train_member, workers_peak_mb
from kingdra_cluster.modes.base import predict_rows
from kingdra_cluster.parallel import MemberProcesses, ThisProcess, member_workers
from kingdra_cluster.persistence import read_arrays, write_arrays

MODE = LadderIM(3, hidden_units=(8,), batch_size=32)


@pytest.fixture
def train(blobs, tmp_path):
    """Train a member of the blobs; every argument can be replaced."""

    def call(name, mode=MODE, **arguments):
        defaults = {"source": None, "labelled": None, "epochs": 1, "seed": 5, "round_index": 0, "scale": 2.0}
        return train_member(mode, blobs, target=tmp_path / name, threads=1, **defaults | arguments)

    return call


def labelled_blobs():
    return np.arange(90)[::-1].copy(), np.repeat([2, 1, 0], 30)


def state_of(result):
    arrays = read_arrays(result.path)
    return [arrays[name] for name in sorted(arrays) if name.startswith("state_")]


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(state_of(first), state_of(second), strict=True))


def test_a_member_returns_where_it_lies_its_answers_and_its_losses(train, blobs, tmp_path):
    result = train("a.npz")
    assert result.path == str(tmp_path / "a.npz")
    assert result.probabilities.shape == (90, 3)
    assert set(result.losses) == {"loss", "ladder_cost", "mi_clean", "mi_corrupted", "noise_kl"}
    classifier = member_classifier(MODE, result.path, (4,), 2.0)
    np.testing.assert_array_equal(predict_rows(classifier, blobs), result.probabilities)


def test_the_same_arguments_give_the_same_bits(train):
    first = train("a.npz")
    np.random.default_rng().random()
    train("other.npz", seed=6, labelled=labelled_blobs(), round_index=1)  # what ran before in this process is forgotten
    second = train("b.npz")
    assert same(first, second)
    np.testing.assert_array_equal(first.probabilities, second.probabilities)
    assert first.losses == second.losses


def test_members_with_other_seeds_differ(train):
    assert np.abs(train("a.npz").probabilities - train("b.npz", seed=6).probabilities).max() > 0.01


def test_a_member_goes_on_from_its_state(train):
    first = train("round_0.npz")
    for round_index, labelled in ((1, None), (1, labelled_blobs())):
        second = train(f"a{labelled is None}.npz", source=first.path, round_index=round_index, labelled=labelled)
        members._network.cache_clear()  # as in a process that was started anew
        again = train(f"b{labelled is None}.npz", source=first.path, round_index=round_index, labelled=labelled)
        assert same(second, again)
        assert not same(first, second)
    other_round = train("c.npz", source=first.path, round_index=2)
    unsupervised = train("d.npz", source=first.path, round_index=1)
    assert not same(other_round, unsupervised)  # another order


def test_the_state_holds_optimizer_and_noise(train):
    """Two epochs in one go equal neither one epoch nor one epoch twice from a state without its counters."""
    first = train("a.npz")
    network = MODE.make_network((4,), 5)
    names = [variable.path for variable in (*network.variables, *network.optimizer.variables)]
    state = dict(zip(names, state_of(first), strict=True))
    assert any("seed_generator" in name for name in names)
    momenta = [value for name, value in state.items() if "momentum" in name and "encoder" in name]
    assert momenta
    assert all(np.any(value) for value in momenta)
    assert next(value for name, value in state.items() if name.endswith("iteration")) == 2  # 90 rows, 32 a batch


def test_labels_are_learnt(train):
    rows, classes = labelled_blobs()
    quick, source, right = LadderIM(3, hidden_units=(8,), batch_size=32, learning_rate=0.02), None, []
    for index in range(4):
        options = {"labelled": (rows, classes), "epochs": 5, "round_index": index, "seed": 0}
        result = train(f"{index}.npz", mode=quick, source=source, **options)
        source = result.path
        right.append(np.mean(result.probabilities.argmax(axis=1)[rows] == classes))
    assert result.losses["supervised"] < 0.9  # ln 3 = 1.1 would be a guess
    assert right[-1] == 1


def test_a_finished_member_is_not_trained_again(train, monkeypatch, tmp_path):
    first = train("a.npz")
    changed = os.stat(tmp_path / "a.npz").st_mtime_ns
    monkeypatch.setattr(LadderIM, "make_batches", lambda *_, **__: pytest.fail("trained again"))
    again = train("a.npz", epochs=7)
    assert os.stat(tmp_path / "a.npz").st_mtime_ns == changed
    np.testing.assert_array_equal(again.probabilities, first.probabilities)
    assert again.losses == first.losses


def test_the_state_of_another_network_is_refused_by_name(train):
    wide = train("wide.npz", mode=LadderIM(3, hidden_units=(9,), batch_size=32))
    with pytest.raises(ValueError, match=r"wide\.npz holds the state of another network"):
        train("a.npz", source=wide.path)


def test_a_mode_that_leaves_its_optimizer_unbuilt_is_told_so(train):
    class Unbuilt(LadderIM):
        def make_network(self, input_shape, seed=None):
            network = super().make_network(input_shape, seed)
            network.compile(optimizer=keras.optimizers.Adam())
            return network

    mode = Unbuilt(3, hidden_units=(7,), batch_size=32)
    train("a.npz", mode=mode)
    with pytest.raises(ValueError, match="make_network must return a network whose optimizer is built"):
        train("b.npz", mode=mode)


@pytest.mark.parametrize(("what", "value"), [("seed", 6), ("round_index", 1), ("mode", LadderIM(4, hidden_units=(8,)))])
def test_a_finished_file_of_another_member_round_or_fit_is_refused_by_name(train, what, value):
    train("a.npz")
    with pytest.raises(ValueError, match=r"a\.npz is of another fit: .*\(5, 0\) and \(90, 3\), expected"):
        train("a.npz", **{what: value})


def test_the_state_of_another_member_is_refused_by_name(train):
    source = train("a.npz", seed=6).path
    with pytest.raises(ValueError, match=r"a\.npz is of another member or fit: its seed is 6, expected 5"):
        train("b.npz", source=source, round_index=1)


def test_a_finished_file_of_another_kind_is_refused_by_name(train, tmp_path):
    write_arrays(tmp_path / "a.npz", X=np.zeros(3))
    with pytest.raises(ValueError, match=r"a\.npz is of another kind: it holds no array 'whose'"):
        train("a.npz")


def test_a_damaged_state_is_refused_by_name(train, tmp_path):
    write_arrays(tmp_path / "damaged.npz", state_000=np.zeros(2))
    with pytest.raises(ValueError, match=r"damaged\.npz"):
        train("a.npz", source=tmp_path / "damaged.npz")
    assert not (tmp_path / "a.npz").exists()


def test_members_say_how_much_memory_their_processes_needed(train):
    result = train("a.npz")
    assert 100 < result.peak_mb < 100_000
    other = result._replace(process=("elsewhere", 1), peak_mb=10.0)
    assert workers_peak_mb([result]) == 0
    assert workers_peak_mb([result, other._replace(peak_mb=30.0), other, other._replace(process=("there", 1))]) == 40


def test_divergence_is_an_error_and_leaves_no_file(train, tmp_path):
    with pytest.raises(FloatingPointError, match="training diverged.*learning_rate"):
        train("a.npz", mode=LadderIM(3, hidden_units=(8,), batch_size=8, learning_rate=1e30), epochs=2)
    assert not (tmp_path / "a.npz").exists()


# Threads and workers


def test_this_process_has_one_thread():
    import tensorflow as tf

    assert claim_threads(1)
    tf.constant(1.0) + 1
    assert tf.config.threading.get_intra_op_parallelism_threads() == 1
    assert claim_threads(1)
    assert not claim_threads(2)


def test_too_many_threads_are_refused_before_training(blobs, tmp_path):
    with pytest.raises(RuntimeError, match="threads_per_member=2"):
        train_member(
            MODE, blobs, source=None, target=tmp_path / "a.npz", labelled=None, epochs=1, seed=0, round_index=0,
            scale=1.0, threads=2,
        )  # fmt: skip


def test_one_job_runs_here_if_the_threads_allow_it():
    assert isinstance(member_workers(None, 1), ThisProcess)
    assert isinstance(member_workers(1, 1), ThisProcess)
    elsewhere = member_workers(1, 2)
    assert isinstance(elsewhere, MemberProcesses)
    assert (elsewhere.n_processes, elsewhere.threads) == (1, 2)


def test_several_jobs_run_in_processes():
    assert member_workers(2, 1).n_processes == 2
    with parallel_config("loky", n_jobs=3):
        assert member_workers(None, 1).n_processes == 3


@pytest.mark.parametrize("backend", ["threading", "multiprocessing"])
def test_backends_that_tensorflow_does_not_survive_are_refused(backend):
    with parallel_config(backend, n_jobs=2), pytest.raises(ValueError, match="needs joblib's loky or dask backend"):
        member_workers(2, 1)


def test_a_process_that_has_not_run_yet_takes_the_threads_it_is_given():
    code = (
        "from kingdra_cluster.members import claim_threads; import tensorflow as tf; assert claim_threads(2);"
        "tf.constant(1.0) + 1; assert tf.config.threading.get_intra_op_parallelism_threads() == 2;"
        "assert claim_threads(2) and not claim_threads(1)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1], timeout=120)
