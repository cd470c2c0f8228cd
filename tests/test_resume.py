"""A killed fit goes on as if nothing had happened; what is not its own is refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from kingdra_cluster import KingdraCluster, LadderIM

pytestmark = [
    pytest.mark.filterwarnings("ignore::kingdra_cluster.CollapseWarning"),
    pytest.mark.filterwarnings("ignore::kingdra_cluster.PseudoLabelWarning"),
]
RESULTS = ("labels_", "probabilities_", "pseudo_labels_", "mappings_")


class Killed(BaseException):
    """Stands for a signal."""


def kill_after(round_index):
    def callback(estimator, record):
        if record["round"] == round_index:
            raise Killed

    return [callback]


def make(folder=None, **arguments):
    mode = LadderIM(hidden_units=(16,), batch_size=16, learning_rate=0.02, mi_weight=1.0, ladder_weight=0.01)
    defaults = {"mode": mode, "n_members": 2, "n_rounds": 4, "epochs_first_round": 8, "epochs_per_round": 1}
    defaults |= {"confidence_threshold": 0.0, "tol": None, "random_state": 0, "mi_weight_later": 0.5}
    defaults |= {"start": None, "labeller": "published", "shared_mapping": True}
    return KingdraCluster(3, **defaults | {"checkpoint_dir": folder} | arguments)


def assert_same(model, expected):
    for name in RESULTS:
        np.testing.assert_array_equal(getattr(model, name), getattr(expected, name), err_msg=name)
    timeless = [
        [{k: v for k, v in record.items() if not k.startswith(("seconds", "workers"))} for record in m.history_]
        for m in (model, expected)
    ]
    assert timeless[0] == timeless[1]


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def undisturbed(blobs):
    model = make().fit(blobs)
    assert model.history_[-1]["supervised"]
    return model


@pytest.fixture(scope="module")
def killed(blobs, tmp_path_factory):
    """A checkpoint after round 1 of 4, to be copied."""
    folder = tmp_path_factory.mktemp("killed") / "fit"
    with pytest.raises(Killed):
        make(folder, callbacks=kill_after(1)).fit(blobs)
    return folder


@pytest.fixture
def half_done(killed, tmp_path):
    """A checkpoint after round 1 of 4, the test's own."""
    return shutil.copytree(killed, tmp_path / "fit")


@pytest.fixture(scope="module")
def finished(blobs, tmp_path_factory):
    """The checkpoint of a whole fit, to be copied."""
    folder = tmp_path_factory.mktemp("finished") / "fit"
    make(folder).fit(blobs)
    return folder


def test_without_a_seed_a_killed_fit_goes_on_with_the_one_it_began_with(blobs, tmp_path):
    with pytest.raises(Killed):
        make(tmp_path, random_state=None, callbacks=kill_after(0)).fit(blobs)
    begun = json.loads((tmp_path / "run.json").read_text())["seed"]
    seen = []
    make(tmp_path, random_state=None, callbacks=[lambda _, record: seen.append(record["round"])]).fit(blobs)
    assert seen == [0, 1, 2, 3], "the round that was finished is only reported"
    assert json.loads((tmp_path / "run.json").read_text())["seed"] == begun


@pytest.mark.parametrize("round_index", [0, 1, 2, 3])
def test_a_fit_killed_after_a_round_goes_on_to_the_same_bits(blobs, undisturbed, tmp_path, round_index):
    with pytest.raises(Killed):
        make(tmp_path, callbacks=kill_after(round_index)).fit(blobs)
    seen = []
    model = make(tmp_path, callbacks=[lambda estimator, record: seen.append(record["round"])]).fit(blobs)
    assert_same(model, undisturbed)
    assert seen == list(range(round_index, 4))
    np.testing.assert_array_equal(model.predict_proba(blobs), undisturbed.probabilities_)


def test_a_fit_killed_every_round_ends_with_the_same_bits(blobs, undisturbed, tmp_path):
    for round_index in range(4):
        with pytest.raises(Killed):
            make(tmp_path, callbacks=kill_after(round_index)).fit(blobs)
    assert_same(make(tmp_path).fit(blobs), undisturbed)


def test_finished_members_of_an_unfinished_round_are_not_trained_again(blobs, undisturbed, half_done):
    finished = contents(half_done)
    with pytest.raises(Killed):
        make(half_done, callbacks=kill_after(2)).fit(blobs)
    round_2 = half_done / "round_0002"
    for name in ("round.json", "round.npz", "member_001.npz"):
        (round_2 / name).unlink()
    for name, content in finished.items():  # as it was before round 2 was concluded
        (half_done / name).parent.mkdir(exist_ok=True)
        (half_done / name).write_bytes(content)
    before = os.stat(round_2 / "member_000.npz").st_mtime_ns
    with pytest.raises(Killed):
        make(half_done, callbacks=kill_after(2)).fit(blobs)
    assert os.stat(round_2 / "member_000.npz").st_mtime_ns == before
    assert (round_2 / "member_001.npz").is_file()
    assert_same(make(half_done).fit(blobs), undisturbed)


def test_a_finished_fit_is_only_read(blobs, undisturbed, finished, tmp_path, monkeypatch):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    before = contents(tmp_path)
    assert {Path(name).parts[0] for name in before} == {"run.json", "round_0003"}  # earlier rounds are pruned
    monkeypatch.setattr(LadderIM, "make_batches", lambda *_, **__: pytest.fail("trained again"))
    assert_same(make(tmp_path).fit(blobs), undisturbed)
    assert contents(tmp_path) == before


def test_a_resumed_graph_is_the_one_of_the_undisturbed_fit(blobs, undisturbed, finished, tmp_path):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    graph, expected = make(tmp_path).fit(blobs).similarity_graph_, undisturbed.similarity_graph_
    np.testing.assert_array_equal(graph.labels, expected.labels)
    np.testing.assert_array_equal(graph.takes_part, expected.takes_part)
    np.testing.assert_array_equal(graph.tuple_buckets, expected.tuple_buckets)


def test_settings_that_change_no_bit_may_change(blobs, undisturbed, half_done):
    assert_same(make(half_done, verbose=1, callbacks=[], n_jobs=1).fit(blobs), undisturbed)


@pytest.mark.parametrize(
    ("what", "arguments"),
    [
        ("seed", {"random_state": 1}),
        ("n_members", {"n_members": 3}),
        ("epochs_per_round", {"epochs_per_round": 2}),
        ("mode hidden_units", {"mode__hidden_units": (17,)}),
        ("data", {}),
    ],
)
def test_another_fit_is_told_what_differs_and_leaves_the_checkpoint_intact(blobs, half_done, what, arguments):
    before = contents(half_done)
    X = blobs + 1e-9 if what == "data" else blobs
    with pytest.raises(ValueError, match=f"belongs to another fit: {what} was"):
        make(half_done).set_params(**arguments).fit(X)
    assert contents(half_done) == before


def test_another_version_is_told_so(blobs, half_done):
    description = json.loads((half_done / "run.json").read_text())
    (half_done / "run.json").write_text(json.dumps(description | {"version of keras": "2.0"}))
    with pytest.raises(ValueError, match="version of keras was '2.0' there"):
        make(half_done).fit(blobs)


@pytest.mark.parametrize("name", ["run.json", "round_0001/round.json", "round_0001/round.npz"])
@pytest.mark.parametrize("kept", [0, 0.5])
def test_truncated_checkpoints_are_refused_by_name(blobs, half_done, name, kept):
    path = half_done / name
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    before = contents(half_done)
    with pytest.raises(ValueError, match=f"{path.name} is damaged"):
        make(half_done).fit(blobs)
    assert contents(half_done) == before


@pytest.mark.parametrize("damage", ["truncated", "missing", "foreign"])
def test_a_damaged_member_is_refused_by_name(blobs, half_done, damage):
    path = half_done / "round_0001" / "member_001.npz"
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:500])
    else:
        np.savez(path, probabilities=np.zeros((5, 3), "float32"))
    before = contents(half_done)
    error = FileNotFoundError if damage == "missing" else ValueError
    with pytest.raises(error, match=r"member_001\.npz"):
        make(half_done).fit(blobs)
    assert contents(half_done) == before


def test_a_folder_that_cannot_be_made_is_an_error_before_training(blobs, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(LadderIM, "make_network", lambda *_: pytest.fail("training began"))
    with pytest.raises((OSError, ValueError), match="file"):
        make(tmp_path / "file").fit(blobs)


@pytest.mark.skipif(os.name != "posix", reason="a limit on the size of files")
@pytest.mark.parametrize("largest", [2_000, 12_000])
def test_a_disk_that_fills_up_in_a_fit_is_named_and_the_fit_goes_on_later(blobs, undisturbed, half_done, largest):
    """The system itself refuses to write on: in a member's state."""
    import resource

    before = contents(half_done)
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, limits[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: .*round_0002.member_000\.npz"):
            make(half_done).fit(blobs)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert contents(half_done) == before
    assert_same(make(half_done).fit(blobs), undisturbed)


FIT = """
import sys, warnings
import numpy as np
sys.path[:0] = sys.argv[3:]
warnings.simplefilter("ignore")
from tests.test_resume import make
make(sys.argv[2]).fit(np.load(sys.argv[1]))
"""


def run_killed(tmp_path, patience):
    """Fit in another process, which gets SIGKILL after some seconds of training; return whether it was killed."""
    root = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", FIT, str(tmp_path / "X.npy"), str(tmp_path / "fit"), root]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if (tmp_path / "fit" / "run.json").is_file():  # the fit has begun
            time.sleep(patience)
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    return process.wait(60) == -signal.SIGKILL


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_fit_killed_at_a_random_moment_goes_on_to_the_same_bits(blobs, undisturbed, tmp_path):
    np.save(tmp_path / "X.npy", blobs)
    patience = np.random.default_rng().uniform(0.5, 6)
    assert run_killed(tmp_path, patience) or (tmp_path / "fit" / "round_0003" / "round.json").is_file(), patience
    assert_same(make(tmp_path / "fit").fit(blobs), undisturbed)
