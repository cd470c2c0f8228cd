"""The pretrained network as features: here with random weights on small images."""

from functools import lru_cache

import numpy as np
import pytest

from experiments import pretrained
from experiments.data_home import DataUnavailable
from experiments.features import make_features

SMALL = {"weights": None, "size": 32}


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("KINGDRA_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (64, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(autouse=True, scope="module")
def built():
    """Build each network once for all tests but that of the seeds."""
    cached = lru_cache(pretrained.build_resnet50)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrained, "build_resnet50", cached)
        yield cached


@pytest.fixture
def builds(monkeypatch):
    """Counts how often a network is asked for."""
    calls, build = [], pretrained.build_resnet50

    def counted(*args):
        calls.append(args)
        return build(*args)

    monkeypatch.setattr(pretrained, "build_resnet50", counted)
    return calls


def test_resnet_features_are_computed_once_and_cached(tmp_path, images, builds, capsys):
    X = make_features("resnet50", batch_size=24, **SMALL).fit_transform(images)
    assert X.shape == (64, 2048)
    assert X.dtype == np.float32
    assert np.isfinite(X).all()
    assert X.std(axis=0).max() > 0
    assert "64 of 64" in capsys.readouterr().err
    files = list((tmp_path / "cache" / "features").iterdir())
    assert [path.suffix for path in files] == [".npy"]
    again = make_features("resnet50", **SMALL).fit_transform(images)
    assert isinstance(again, np.memmap)
    np.testing.assert_array_equal(again, X)
    assert len(builds) == 1
    other = make_features("resnet50", seed=1, **SMALL).fit_transform(images[:2])
    assert len(builds) == 2
    assert not np.allclose(other, X[:2])


def test_resnet_features_do_not_depend_on_the_global_seed_or_the_batch(images, built):
    import keras

    rows = []
    for seed in (0, 1):
        keras.utils.set_random_seed(seed)
        built.cache_clear()
        rows.append(make_features("resnet50", cache=False, **SMALL).fit_transform(images[: 3 + seed])[:3])
    np.testing.assert_array_equal(*rows)


def test_grey_images_are_repeated_to_three_channels(images):
    grey = images[:2, :, :, 0]
    features = [make_features("resnet50", cache=False, batch_size=2, **SMALL) for _ in range(3)]
    stacked = np.repeat(grey[..., None], 3, axis=-1)
    rows = [f.fit_transform(x) for f, x in zip(features, (grey, grey[..., None], stacked), strict=True)]
    np.testing.assert_array_equal(rows[0], rows[2])
    np.testing.assert_array_equal(rows[1], rows[2])


def test_inputs_are_resized_and_centred_as_the_weights_expect():
    colour = np.full((1, 8, 8, 3), [10, 20, 30], dtype=np.uint8)
    inputs = np.asarray(pretrained.prepare(colour, 32))
    assert inputs.shape == (1, 32, 32, 3)
    expected = np.array([30 - 103.939, 20 - 116.779, 10 - 123.68])  # blue, green, red
    np.testing.assert_allclose(inputs, np.broadcast_to(expected, inputs.shape), atol=1e-4)


def test_an_interrupted_computation_leaves_no_file(tmp_path, images, monkeypatch):
    def fail(self, done):
        raise KeyboardInterrupt

    monkeypatch.setattr(pretrained.Progress, "update", fail)
    with pytest.raises(KeyboardInterrupt):
        make_features("resnet50", **SMALL).fit_transform(images[:2])
    assert list((tmp_path / "cache" / "features").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, images, monkeypatch, caplog):
    monkeypatch.setattr(pretrained, "writable_home", lambda folder: tmp_path)
    X = make_features("resnet50", **SMALL).fit_transform(images[:2])
    assert type(X) is np.ndarray
    assert "features are not cached" in caplog.text


def test_weights_that_cannot_be_downloaded_are_unavailable_data(monkeypatch, images):
    import keras

    def refuse(**options):
        raise Exception("URL fetch failure")  # noqa: TRY002  (what Keras raises)

    monkeypatch.setattr(keras.applications, "ResNet50", refuse)
    with pytest.raises(DataUnavailable) as caught:
        make_features("resnet50").fit_transform(images)
    message = str(caught.value)
    assert "URL fetch failure" in message
    assert "Put resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5" in message
    assert (
        "cluster small grey pixels instead, without any download: run_exp.py cluster --images DIR --pixels." in message
    )
    assert "configs/kingdra_ladder_im_digits.json runs without it" in message


def test_progress_shows_one_line_without_a_terminal(capsys):
    progress = pretrained.Progress("rows", 10)
    for done in (3, 6, 10):
        progress.update(done)
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "10 of 10" in captured.err
    assert captured.out == ""
