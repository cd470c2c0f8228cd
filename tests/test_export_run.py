"""`run_exp.py export`: the feature step in front of the exported model gives the rows that the features give."""

import json

import keras
import numpy as np
import pytest

from experiments.cli import main
from experiments.export import make_front
from experiments.features import make_features

TEXTS = [
    "The moon, the MOON and a rocket_2!",
    "Ölwechsel für 2 Autos: öl, öl; don't",
    "goal\tgoal\nréferee's goal x 1 22 333",
    "an ångström — moon/goal (öl)",
    "",
    "nothing known here zzz",
]


@pytest.mark.parametrize("options", [{}, {"sublinear_tf": True, "scale": "sqrt", "stop_words": "english"}])
def test_texts_become_the_same_rows(options):
    import tensorflow as tf

    features = make_features("tfidf", **options)
    features.fit_transform(TEXTS[:4])
    rows = make_front(features, [])(tf.constant(TEXTS))
    expected = features.transform(TEXTS).toarray()
    assert expected[3].any()
    np.testing.assert_allclose(keras.ops.convert_to_numpy(rows), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "options", "shape"),
    [
        ("flatten", {"divide_by": 16}, (4, 3)),
        ("none", {}, (5,)),
        ("standardize", {}, (5,)),
        ("standardize", {}, (4, 3)),
    ],
)
def test_arrays_become_the_same_rows(kind, options, shape):
    items = np.random.default_rng(0).uniform(0, 16, size=(7, *shape)).astype("float32")
    features = make_features(kind, **options)
    expected = features.fit_transform(items)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(make_front(features, shape)(items)), expected, atol=1e-6)


@pytest.mark.usefixtures("eager")
@pytest.mark.filterwarnings("ignore::kingdra_cluster.CollapseWarning")
@pytest.mark.filterwarnings("ignore::kingdra_cluster.PseudoLabelWarning")
def test_a_run_of_texts_is_exported_whole(tmp_path, capsys):
    import tensorflow as tf

    (tmp_path / "texts.txt").write_text(
        "\n".join(f"{text.split()[0]} moon goal {i}" for i, text in enumerate(TEXTS[:4] * 9))
    )
    cluster = {"n_clusters": 2, "n_members": 2, "n_rounds": 1, "epochs_first_round": 2}
    cluster["mode"] = {"name": "ladder", "hidden_units": [4], "batch_size": 18}
    data = {"name": "text_files", "path": str(tmp_path / "texts.txt")}
    (tmp_path / "own.json").write_text(json.dumps({"data": data, "cluster": cluster}))
    assert main([str(tmp_path / "own.json"), "--output", str(tmp_path / "run"), "--traceback"]) == 0
    seed, out = tmp_path / "run" / "seed_0", tmp_path / "exported"
    assert main(["export", str(seed), "--out", str(out)]) == 0
    assert (
        main(["predict", str(seed), "--texts", str(tmp_path / "texts.txt"), "--out", str(tmp_path / "labels.csv")]) == 0
    )
    lines = (tmp_path / "texts.txt").read_text().splitlines()
    loaded = tf.saved_model.load(str(out))
    served = loaded.serve(tf.constant(lines)).numpy()
    expected = [line.split(",") for line in (tmp_path / "labels.csv").read_text().splitlines()[1:]]
    np.testing.assert_allclose(served.max(axis=1), [float(line[2]) for line in expected], atol=2e-6)
    assert main(["export", str(seed), "--out", str(tmp_path / "x.onnx")]) == 2
    assert "texts cannot be part of an ONNX file" in capsys.readouterr().err
    assert (tmp_path / "run" / "report.html").is_file()


@pytest.mark.parametrize("shape", [(9, 9), (8, 10, 1), (8, 10, 3)])
def test_images_become_the_same_features(shape):
    items = np.random.default_rng(0).integers(0, 256, size=(3, *shape), dtype="uint8")
    features = make_features("resnet50", size=32, weights=None, batch_size=2, cache=False)
    expected = features.fit_transform(items)
    rows = keras.ops.convert_to_numpy(make_front(features, shape)(items.astype("float32")))
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-5)


def test_a_folder_without_a_finished_run_is_named(tmp_path, capsys):
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "it holds no finished seed" in capsys.readouterr().err
