import gc
import weakref

import keras
import numpy as np
import pytest
from keras import ops
from scipy import sparse

from kingdra_cluster import batches as module
from kingdra_cluster.batches import RowBatches, chunks, dense_rows, feed, root_mean_square


def numbered(n_rows, n_features=3):
    """Row i holds i in every column: a batch tells its rows."""
    return np.repeat(np.arange(n_rows, dtype="float32")[:, None], n_features, axis=1)


def epoch_rows(rows, kind="unlabelled"):
    """The rows of one epoch, a list a batch."""
    return [rows[index][0][kind][:, 0].astype(int).tolist() for index in range(len(rows))]


def labelled_of(n_rows, n_clusters=2):
    """A labelled set in which row i occurs with class i % 2."""
    rows = np.arange(n_rows)[::-1].copy()
    return rows, np.eye(n_clusters, dtype="float32")[rows % 2]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint8", "int64", "bool"])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix, sparse.csr_array])
def test_dense_rows_of_any_numeric_type(dtype, kind):
    X = np.random.default_rng(0).integers(0, 2, size=(6, 4)).astype(dtype)
    if kind is not np.asarray and dtype == "float16":
        pytest.skip("SciPy has no sparse float16")
    rows = dense_rows(kind(X), np.array([4, 0, 4]), scale=0.5)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, X[[4, 0, 4]].astype("float32") * 2)


def test_dense_rows_are_new():
    X = numbered(4)
    dense_rows(X, slice(0, 4))[:] = -1
    np.testing.assert_array_equal(X, numbered(4))


def test_memory_mapped_rows_are_read_by_the_row(tmp_path):
    path = tmp_path / "X.npy"
    np.save(path, numbered(50))
    X = np.load(path, mmap_mode="r")
    np.testing.assert_array_equal(dense_rows(X, np.array([49, 2])), numbered(50)[[49, 2]])
    assert epoch_rows(RowBatches(X, batch_size=10, seed=(1,))) == epoch_rows(
        RowBatches(numbered(50), batch_size=10, seed=(1,))
    )


@pytest.mark.parametrize(("n_rows", "size"), [(1, 4), (4, 4), (5, 4), (11, 4), (3, 100)])
def test_chunks_cover_every_row_once(n_rows, size):
    pieces = [list(range(n_rows))[piece] for piece in chunks(n_rows, size)]
    assert sum(pieces, []) == list(range(n_rows))
    assert all(len(piece) == size for piece in pieces[:-1])
    assert 1 <= len(pieces[-1]) <= size


def test_root_mean_square_counts_the_zeros_of_sparse_rows(monkeypatch):
    monkeypatch.setattr(module, "chunks", lambda n_rows: chunks(n_rows, 3))
    X = np.zeros((10, 4))
    X[0, 0], X[9, 3] = 3, 4
    expected = np.sqrt(25 / 40)
    for rows in (X, sparse.csr_matrix(X), X.astype("int8"), X.astype("float16")):
        assert root_mean_square(rows) == pytest.approx(expected, rel=1e-12)


def test_entries_whose_squares_are_too_small_for_a_number_are_not_taken_for_zeros():
    with pytest.raises(ValueError, match="root mean square of 0 or at least"):
        root_mean_square(np.full((3, 2), 1e-200))


def test_root_mean_square_neither_overflows_small_integers_nor_divides_by_zero():
    assert root_mean_square(np.full((5000, 2), 200, "uint8")) == 200
    assert root_mean_square(np.full((5000, 2), -128, "int8")) == 128
    assert root_mean_square(np.full((5000, 2), 3e4, "float16")) == pytest.approx(3e4, rel=1e-3)
    assert root_mean_square(np.zeros((3, 2))) == 1
    assert root_mean_square(sparse.csr_matrix((3, 2))) == 1


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "expected"), [(10, 4, 2), (8, 4, 2), (3, 4, 1), (2, 64, 1), (9, 2, 4)]
)
def test_only_whole_batches_of_distinct_rows(n_rows, batch_size, expected):
    rows = RowBatches(numbered(n_rows), batch_size=batch_size, seed=(0,))
    epoch = epoch_rows(rows)
    assert len(rows) == len(epoch) == expected
    assert {len(batch) for batch in epoch} == {min(n_rows, batch_size)}
    flat = sum(epoch, [])
    assert len(set(flat)) == len(flat)


def test_every_row_gets_its_turn_over_the_epochs():
    rows, seen = RowBatches(numbered(10), batch_size=4, seed=(0,)), set()
    for _ in range(12):
        seen |= set(sum(epoch_rows(rows), []))
        rows.on_epoch_end()
    assert seen == set(range(10))


def test_the_order_is_a_function_of_seed_and_epoch_alone():
    def three_epochs(seed):
        rows, epochs = RowBatches(numbered(40), batch_size=10, seed=seed), []
        for _ in range(3):
            epochs.append(epoch_rows(rows))
            rows.on_epoch_end()
        return epochs

    keras.utils.set_random_seed(1)
    first = three_epochs((7, 2))
    keras.utils.set_random_seed(2)
    assert three_epochs((7, 2)) == first
    assert first[0] != first[1] != first[2] != first[0]
    for other in ((7, 3), (8, 2), (7,)):
        assert three_epochs(other)[0] != first[0]


def test_labelled_batches_carry_their_targets():
    X, labelled = numbered(40), labelled_of(40)
    rows = RowBatches(X, batch_size=16, seed=(0,), labelled=labelled, scale=2.0)
    seen = []
    for index in range(len(rows)):
        inputs, targets = rows[index]
        assert set(inputs) == {"unlabelled", "labelled"}
        assert inputs["labelled"].shape == inputs["unlabelled"].shape == (16, 3)
        found = (inputs["labelled"][:, 0] * 2).astype(int)
        np.testing.assert_array_equal(targets.argmax(axis=1), found % 2)
        seen += found.tolist()
    assert len(set(seen)) == 32
    assert (rows[0][0]["unlabelled"] != rows[0][0]["labelled"]).any()  # an order of its own


def test_labels_do_not_change_the_order_of_the_unlabelled_rows():
    alone = RowBatches(numbered(40), batch_size=8, seed=(5,))
    beside = RowBatches(numbered(40), batch_size=8, seed=(5,), labelled=labelled_of(40))
    assert epoch_rows(alone) == epoch_rows(beside)
    first = epoch_rows(beside, "labelled")
    beside.on_epoch_end()
    assert epoch_rows(beside, "labelled") != first


class Recorder(keras.Model):
    """Notes the rows that ``fit`` gives it."""

    def __init__(self):
        super().__init__()
        self.weight = self.add_weight(shape=())
        self.seen = []

    def call(self, inputs):
        self.seen.append(ops.convert_to_numpy(inputs["unlabelled"])[:, 0].astype(int).tolist())
        return self.weight

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return y_pred**2


@pytest.mark.filterwarnings("ignore:Even though the `tf.config:UserWarning")
@pytest.mark.parametrize("given", [feed, lambda batches: batches], ids=["feed", "PyDataset"])
def test_fit_reads_each_epoch_once_and_in_order(given):
    """Keras may end an epoch before the first one, and shuffles nothing on top."""
    model = Recorder()
    model.compile(optimizer="sgd", run_eagerly=True)
    model.fit(given(RowBatches(numbered(10), batch_size=3, seed=(4,))), epochs=3, shuffle=False, verbose=0)
    expected, rows = [], RowBatches(numbered(10), batch_size=3, seed=(4,))
    for _ in range(4):
        expected.append(epoch_rows(rows))
        rows.on_epoch_end()
    assert model.seen in (sum(expected[:3], []), sum(expected[1:], []))


def test_feed_starts_with_the_first_epoch_and_gives_batches_of_known_shape():
    dataset = feed(RowBatches(numbered(40), batch_size=16, seed=(4,), labelled=labelled_of(40), scale=2.0))
    inputs, targets = dataset.element_spec
    assert {name: tuple(spec.shape) for name, spec in inputs.items()} == {"unlabelled": (16, 3), "labelled": (16, 3)}
    assert tuple(targets.shape) == (16, 2)
    rows = RowBatches(numbered(40), batch_size=16, seed=(4,), labelled=labelled_of(40), scale=2.0)
    for _ in range(3):
        epoch = list(dataset.as_numpy_iterator())
        assert len(epoch) == len(rows) == len(dataset)
        for index, (inputs, targets) in enumerate(epoch):
            expected_inputs, expected_targets = rows[index]
            np.testing.assert_array_equal(targets, expected_targets)
            for name, expected in expected_inputs.items():
                np.testing.assert_array_equal(inputs[name], expected)
        rows.on_epoch_end()


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_feed_keeps_nothing_alive(kind):
    rows = RowBatches(kind(numbered(40)), batch_size=16, seed=(4,))
    dataset, alive = feed(rows), weakref.ref(rows)
    list(dataset)
    del rows, dataset
    gc.collect()
    assert alive() is None


def test_feed_leaves_other_datasets_alone():
    class Other(keras.utils.PyDataset):
        def __len__(self):
            return 1

    other = Other()
    assert feed(other) is other


# Several passes an epoch of fit


def test_joined_epochs_are_the_same_batches_in_the_same_order():
    X = np.arange(20.0)[:, None]
    labelled = np.arange(20), np.eye(20, dtype="float32")

    def batches(epochs, joined):
        dataset = RowBatches(X, batch_size=6, seed=(1, 2), labelled=labelled)
        epochs_of_fit = dataset.join_epochs(epochs) if joined else epochs
        found = []
        for _ in range(epochs_of_fit):
            found += [dataset[index] for index in range(len(dataset))]
            dataset.on_epoch_end()
        return found, epochs_of_fit

    (apart, _), (together, epochs_of_fit) = batches(12, joined=False), batches(12, joined=True)
    assert epochs_of_fit == 1
    assert len(apart) == len(together) == 36
    for (a, targets_a), (b, targets_b) in zip(apart, together, strict=True):
        for part in ("unlabelled", "labelled"):
            np.testing.assert_array_equal(a[part], b[part])
        np.testing.assert_array_equal(targets_a, targets_b)


@pytest.mark.parametrize(
    ("n_rows", "epochs", "of_fit"),
    [(64, 1000, 4), (1797, 36, 4), (1797, 37, 37), (70_000, 2, 2), (64, 1, 1), (64, 7, 1)],
)
def test_an_epoch_of_fit_has_a_bounded_number_of_steps(n_rows, epochs, of_fit):
    dataset = RowBatches(np.zeros((n_rows, 1)), batch_size=64, seed=(0,))
    assert dataset.join_epochs(epochs) == of_fit
    assert of_fit * len(dataset) == epochs * (n_rows // 64)
