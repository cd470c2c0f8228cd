import keras
import numpy as np
import pytest

from kingdra_cluster import NNM
from kingdra_cluster.backbones import BACKBONES, application, convnet, make_backbone, mlp, resnet18

SHAPES = {"resnet18": (16, 16, 3), "convnet": (9, 16, 1), "mlp": (6,), "MobileNet": (32, 32, 3)}
each_backbone = pytest.mark.parametrize("name", SHAPES)


def n_trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)


def same_weights(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


@each_backbone
def test_the_seed_alone_decides_the_initial_weights(name):
    models = []
    for state, seed in [(0, 5), (1, 5), (0, 6)]:
        keras.utils.set_random_seed(state)
        models.append(BACKBONES[name](SHAPES[name], seed=seed))
    assert same_weights(models[0], models[1])
    assert not same_weights(models[0], models[2])


@each_backbone
def test_no_seed_is_left_to_chance_and_none_means_other_weights(name):
    model = BACKBONES[name](SHAPES[name])
    assert '"seed": null' not in model.to_json()
    assert not same_weights(model, BACKBONES[name](SHAPES[name]))


@each_backbone
def test_a_backbone_is_a_functional_model_of_stock_layers_that_is_saved_and_loaded(name, tmp_path):
    model = BACKBONES[name](SHAPES[name], seed=0)
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}
    model.save(tmp_path / "backbone.keras")
    loaded = keras.models.load_model(tmp_path / "backbone.keras", safe_mode=True)
    rows = np.random.default_rng(0).normal(size=(3, *SHAPES[name])).astype("float32")
    np.testing.assert_array_equal(loaded(rows), model(rows))
    assert model(rows).shape == (3, *model.output_shape[1:])
    assert np.isfinite(model(rows[:1])).all()


# convnet


def test_convolutions_as_wide_as_asked_for():
    model = convnet((28, 28, 1), widths=(4, 6, 10), seed=0)
    assert model.output_shape == (None, 10)
    assert [layer.output.shape[1] for layer in model.layers if layer.name.startswith("conv")] == [28, 14, 7]
    assert n_trainable(model) == 9 * (1 * 4 + 4 * 6 + 6 * 10) + 2 * (4 + 6 + 10)
    for shape, widths, words in [((8, 8, 1), (), "at least one"), ((8,), (4,), "height"), ((8, 8, 1), (0,), "entry")]:
        with pytest.raises(ValueError, match=words):
            convnet(shape, widths=widths)


# resnet18


def test_parameters_of_resnet18():
    assert n_trainable(resnet18()) == 11_168_832
    assert n_trainable(resnet18((96, 96, 3), stem="stl")) == 11_168_832


@pytest.mark.parametrize("shape", [(28, 28, 1), (33, 17, 3), (1, 1, 4), (None, None, 3)])
@pytest.mark.parametrize("stem", ["cifar", "stl"])
def test_resnet18_takes_images_of_any_size(shape, stem):
    model = resnet18(shape, stem=stem, seed=0)
    images = np.random.default_rng(0).normal(size=(2, *(side or 20 for side in shape))).astype("float32")
    assert np.isfinite(model(images)).all()
    assert model.output_shape == (None, 512)


def test_sizes_within_resnet18():
    """As in the published networks: 96 pixels become 49 after the pooling, 7 at the end; 32 become 4."""
    for stem, size, expected in [("stl", 96, [49, 25, 13, 7]), ("cifar", 32, [32, 16, 8, 4])]:
        model = resnet18((size, size, 3), stem=stem)
        sides = [model.get_layer(f"layer{stage}_1_relu2").output.shape[1] for stage in (1, 2, 3, 4)]
        assert sides == expected
        assert model.get_layer("conv1").output.shape[1] == size


def test_batch_normalisation_is_pytorchs():
    norms = [layer for layer in resnet18().layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) == 20
    assert {(layer.momentum, layer.epsilon) for layer in norms} == {(0.9, 1e-5)}


def test_resnet18_refuses():
    with pytest.raises(ValueError, match=r"input_shape must be \(height, width, channels\)"):
        resnet18((32, 32))
    with pytest.raises(ValueError, match="stem must be one of .*'cifar', 'stl'.*; received stem='imagenet'"):
        resnet18(stem="imagenet")


# mlp, applications, any model


def test_mlp_has_the_layers_asked_for():
    model = mlp((4, 5), hidden_units=(7, 3), seed=0)
    assert model.output_shape == (None, 3)
    assert n_trainable(model) == 20 * 7 + 2 * 7 + 7 * 3 + 2 * 3
    with pytest.raises(ValueError, match=r"hidden_units must be a sequence of numbers, .* received hidden_units=\(\)"):
        mlp((4,), hidden_units=())
    with pytest.raises(ValueError, match="every entry of hidden_units must be an integer of at least 1"):
        mlp((4,), hidden_units=(0,))


def test_an_unknown_application_is_told_the_nearest():
    with pytest.raises(ValueError, match="the nearest is 'ResNet50'"):
        application("resnet50")


@pytest.mark.parametrize(
    "module_and_name",
    ["mobilenet_v2.MobileNetV2", "resnet50.ResNet50", "densenet.DenseNet121", "efficientnet.EfficientNetB0"],
)
def test_an_application_takes_images_from_0_to_1(module_and_name, monkeypatch):
    module, name = module_and_name.split(".")

    def small(include_top, weights, input_shape, pooling):
        inputs = keras.Input(input_shape)
        return keras.Model(inputs, keras.layers.Flatten()(inputs))

    small.__module__ = getattr(keras.applications, name).__module__
    monkeypatch.setattr(keras.applications, name, small)
    images = np.random.default_rng(0).integers(0, 256, size=(3, 4, 4, 3)).astype("float32")
    expected = getattr(keras.applications, module).preprocess_input(images.copy())
    model = make_backbone(name, (4, 4, 3), seed=0)
    np.testing.assert_allclose(model.predict(images / 255, verbose=0), expected.reshape(3, -1), atol=1e-4)
    assert n_trainable(model) == 0
    copy = make_backbone(model, (4, 4, 3), seed=1)
    np.testing.assert_array_equal(copy.predict(images / 255, verbose=0), model.predict(images / 255, verbose=0))


def test_an_application_is_saved_and_read_without_code(tmp_path):
    model = application("MobileNetV2", (32, 32, 3), seed=0)
    assert model.output_shape == (None, 1280)
    model.save(tmp_path / "model.keras")
    images = np.random.default_rng(0).random((2, 32, 32, 3), dtype="float32")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(images), model(images))
    assert same_weights(application("MobileNetV2", (32, 32, 3), seed=0), model)
    assert application("MobileNet", (32, 32, 1), seed=0).input_shape == (None, 32, 32, 1)


def test_make_backbone_takes_names_options_and_models():
    assert make_backbone("mlp", (4,), seed=0).output_shape == (None, 512)
    options = {"name": "mlp", "hidden_units": [8]}
    assert same_weights(make_backbone(options, (4,), 3), mlp((4,), hidden_units=[8], seed=3))
    assert options == {"name": "mlp", "hidden_units": [8]}
    model = mlp((4,), hidden_units=(8,), seed=0)
    copy = make_backbone(model, (4,), seed=1)
    assert copy is not model
    assert same_weights(copy, model)
    copy.set_weights([array + 1 for array in copy.get_weights()])
    assert not same_weights(copy, model)


def test_make_backbone_refuses():
    with pytest.raises(ValueError, match="backbone must be one of .*; the nearest is 'resnet18'"):
        make_backbone("resnet", (32, 32, 3))
    with pytest.raises(ValueError, match="backbone must be one of"):
        make_backbone({"stem": "stl"}, (32, 32, 3))
    with pytest.raises(ValueError, match=r"backbone must take rows of shape \(4,\); it takes \(None, 5\)"):
        make_backbone(mlp((5,)), (4,))
    images = keras.Input((8, 8, 3))
    with pytest.raises(ValueError, match="backbone must return an embedding"):
        make_backbone(keras.Model(images, keras.layers.Conv2D(2, 1)(images)), (8, 8, 3))


class Own(keras.Model):
    """A model without a graph of layers."""

    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    ("backbone", "words"),
    [
        ({"name": "mlp", "hidden_units": 64}, "hidden_units must be a sequence of numbers, .* hidden_units=64"),
        ({"name": "convnet", "widths": 64}, "widths must be a sequence of numbers, .* received widths=64"),
        ({"name": "mlp", "seed": 3}, r"backbone='mlp' takes the options \['hidden_units'\]; received \['seed'\]"),
        ({"name": "ResNet50", "wieghts": None}, r"takes the options \['weights'\]; received \['wieghts'\]"),
        (Own(), "backbone must be a functional model or a name; received Own"),
        (keras.Sequential(), "backbone must be a functional model or a name; received Sequential"),
    ],
)
def test_make_backbone_names_options_and_models_of_the_wrong_kind(backbone, words):
    with pytest.raises(TypeError, match=words):
        make_backbone(backbone, (8, 8, 3), seed=0)


def test_a_copy_normalizes_as_the_model_that_was_adapted(tmp_path):
    X = np.random.default_rng(0).normal(3, 2, size=(60, 5)).astype("float32")
    layer = keras.layers.Normalization()
    layer.adapt(X)
    inner = keras.Sequential([keras.Input((5,)), layer, keras.layers.Dense(4, "relu")])
    outer = keras.Sequential([keras.Input((5,)), inner, keras.layers.Dense(3)])
    for model in (inner, outer):
        np.testing.assert_array_equal(make_backbone(model, (5,), seed=0)(X), model(X))
    fitted = NNM(3, backbone=inner, n_epochs=1, n_heads=2, batch_size=20, random_state=0).fit(X)
    fitted.save(tmp_path / "model")
    np.testing.assert_array_equal(NNM.load(tmp_path / "model").predict_proba(X), fitted.probabilities_)
