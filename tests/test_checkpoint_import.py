import importlib.util
import sys
from collections import OrderedDict

import numpy as np
import pytest
from published_layout import load_golden, make_arrays

from kingdra_cluster.backbones.checkpoint_import import from_state_dict, import_checkpoint, unwrap

needs_torch = pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="PyTorch is not installed")
CLUSTERING, CONTRASTIVE = "resnet18_cifar_clustering.json", "resnet18_cifar_contrastive.json"
OUTPUTS = {  # of the networks with the weights whose names and shapes the key holds
    "resnet18_cifar_clustering.json": "resnet18_cifar_clustering.npz",
    "resnet18_cifar_contrastive.json": "resnet18_cifar_contrastive.npz",
    "resnet18_stl_contrastive.json": "resnet18_stl_contrastive.npz",
}


def check_outputs(checkpoint, name):
    """Hold a checkpoint's networks against what PyTorch computed."""
    images, features, outputs, _ = load_golden(OUTPUTS[name])
    found = checkpoint.backbone(images, training=False)
    np.testing.assert_allclose(found, features, rtol=1e-4, atol=1e-4)
    if checkpoint.projection is None:
        found = [head(found) for head in checkpoint.cluster_heads]
    else:
        assert checkpoint.cluster_heads == ()
        found = checkpoint.projection(found)
    np.testing.assert_allclose(found, outputs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", OUTPUTS)
def test_networks_equal_the_published_ones(name):
    images, _, _, seed = load_golden(OUTPUTS[name])
    stem = name.split("_")[1]
    check_outputs(from_state_dict(make_arrays(name, seed), input_shape=images.shape[1:], stem=stem), name)


def test_parameters_with_the_head_of_simclr():
    checkpoint = from_state_dict(make_arrays(CONTRASTIVE))
    assert checkpoint.backbone.count_params() - 2 * 4800 + checkpoint.projection.count_params() == 11_497_152


def test_a_linear_projection_and_a_bare_backbone():
    arrays = {name: array for name, array in make_arrays(CONTRASTIVE).items() if name.startswith("backbone.")}
    bare = from_state_dict({name.removeprefix("backbone."): array for name, array in arrays.items()})
    assert (bare.projection, bare.cluster_heads, bare.info) == (None, (), {})
    linear = {"contrastive_head.weight": np.ones((3, 512), "f"), "contrastive_head.bias": np.zeros(3, "f")}
    projected = from_state_dict(arrays | linear).projection(np.ones((2, 512), "f"))
    np.testing.assert_allclose(projected, np.full((2, 3), 3**-0.5), rtol=1e-6)


# What does not fit is named


def test_missing_and_unknown_tensors_are_named():
    arrays = make_arrays(CONTRASTIVE)
    del arrays["backbone.layer3.1.bn2.running_var"]
    with pytest.raises(ValueError, match=r"not hold a ResNet-18 .*: it lacks backbone.layer3.1.bn2.running_var$"):
        from_state_dict(arrays)
    arrays = make_arrays(CONTRASTIVE) | {"backbone.layer1.0.conv3.weight": np.zeros((256, 64, 1, 1))}
    with pytest.raises(ValueError, match=r"a ResNet-18 has no place for its backbone.layer1.0.conv3.weight$"):
        from_state_dict(arrays)
    with pytest.raises(ValueError, match=r"it lacks backbone.conv1.weight, .* and 97 more; .* fc.weight"):
        from_state_dict({"fc.weight": np.zeros((10, 512))})


@pytest.mark.parametrize(
    ("name", "value"),
    [("backbone.conv1.weight", np.nan), ("contrastive_head.2.bias", np.inf), ("backbone.bn1.running_var", -1)],
)
def test_numbers_that_no_network_has_are_refused(name, value):
    arrays = make_arrays(CONTRASTIVE)
    arrays[name] = np.full_like(arrays[name], value)
    with pytest.raises(ValueError, match=f"{name} must hold finite numbers"):
        from_state_dict(arrays)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("backbone.conv1.weight", (64, 3, 7, 7), r"must have the shape \(64, 3, 3, 3\); .* \(64, 3, 7, 7\)"),
        ("backbone.bn1.bias", (32,), r"must have the shape \(64,\); the checkpoint's has \(32,\)"),
        ("contrastive_head.0.weight", (512, 2048), r"must take 512 features; its shape is \(512, 2048\)"),
        ("contrastive_head.2.weight", (128, 99), r"must take 512 features; its shape is \(128, 99\)"),
        ("contrastive_head.2.bias", (64,), r"\(64,\) does not fit contrastive_head.2.weight \(128, 512\)"),
        ("contrastive_head.2.weight", (128,), r"\(128,\) does not fit contrastive_head.2.weight \(128,\)"),
    ],
)
def test_a_shape_that_differs_is_named(name, shape, message):
    arrays = make_arrays(CONTRASTIVE) | {name: np.zeros(shape, "f")}
    with pytest.raises(ValueError, match=message):
        from_state_dict(arrays)


def test_a_head_without_its_bias_is_named():
    arrays = make_arrays(CLUSTERING)
    del arrays["cluster_head.1.bias"]
    with pytest.raises(ValueError, match="has cluster_head.1.weight but not its weight and bias both"):
        from_state_dict(arrays)


def test_channels_are_the_ones_asked_for():
    with pytest.raises(ValueError, match=r"backbone.conv1.weight must have the shape \(64, 1, 3, 3\)"):
        from_state_dict(make_arrays(CONTRASTIVE), input_shape=(32, 32, 1))


# The outer dict


def test_the_network_is_found_in_whatever_was_saved_around_it():
    state = {"module.conv1.weight": np.ones(2), "module.bn1.bias": np.ones(1)}
    inner = {"conv1.weight", "bn1.bias"}
    optimizer = {"state": {0: {"momentum_buffer": np.ones(2)}}, "param_groups": None}
    for loaded in (
        state,
        {"model": state, "optimizer": optimizer},
        {"checkpoint": {"state_dict": state}},
        {"net": {f"module.{name}": array for name, array in state.items()}},
    ):
        assert unwrap(loaded)[0].keys() == inner
    assert unwrap({"model": state, "epoch": 3, "head": 1, "loss": 0.5, "arch": "r18", "x": None})[1] == {
        "epoch": 3,
        "head": 1,
        "loss": 0.5,
        "arch": "r18",
    }


def test_of_several_networks_one_must_be_chosen():
    loaded = {"net1": {"conv1.weight": np.ones(1)}, "net2": {"conv1.weight": np.zeros(1)}}
    with pytest.raises(ValueError, match=r"key must say which network to take: the file holds \['net1', 'net2'\]"):
        unwrap(loaded)
    with pytest.raises(ValueError, match=r"key must be one of \['net1', 'net2'\]; received key='net3'"):
        unwrap(loaded, key="net3")
    np.testing.assert_array_equal(unwrap(loaded, key="net2")[0]["conv1.weight"], [0])


@pytest.mark.parametrize("loaded", [{"epoch": 3}, {}, None, 4])
def test_a_file_without_a_network_is_refused(loaded):
    with pytest.raises(ValueError, match="path must hold a network's state dict; the file holds"):
        unwrap(loaded)


def test_without_pytorch_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="pip install torch"):
        import_checkpoint(tmp_path / "any.pth.tar")


# Files that PyTorch wrote


def save(path, arrays, *, new_format=True, around=None, prefix=""):
    import torch

    state = OrderedDict((prefix + name, torch.from_numpy(np.asarray(array))) for name, array in arrays.items())
    loaded = around(state) if around else state
    torch.save(loaded, path, _use_new_zipfile_serialization=new_format)


@needs_torch
@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("name", [CLUSTERING, CONTRASTIVE])
def test_files_of_both_formats_give_the_same_outputs_as_pytorch(name, new_format, tmp_path):
    def around(state):
        first = next(iter(state.values()))
        optimizer = {"state": {0: {"momentum_buffer": first}}, "param_groups": [{"lr": 0.4, "params": [0]}]}
        return {
            "optimizer": optimizer,
            "model": state,
            "epoch": 500,
            "best_loss": np.float64(0.25),
            "head": np.int64(2),
        }

    arrays = make_arrays(name, load_golden(OUTPUTS[name])[-1])
    save(tmp_path / "a.pth.tar", arrays, new_format=new_format, around=around, prefix="module.")
    checkpoint = import_checkpoint(tmp_path / "a.pth.tar")
    check_outputs(checkpoint, name)
    assert checkpoint.info == {"epoch": 500, "best_loss": 0.25, "head": 2}


@needs_torch
def test_half_precision_and_double_precision_become_float32(tmp_path):
    arrays = make_arrays(CONTRASTIVE)
    for dtype in (np.float16, np.float64):
        cast = {name: array if array.dtype.kind == "i" else array.astype(dtype) for name, array in arrays.items()}
        save(tmp_path / "a.pth", cast)
        kernel = import_checkpoint(tmp_path / "a.pth").backbone.get_layer("conv1").get_weights()[0]
        np.testing.assert_allclose(kernel, arrays["backbone.conv1.weight"].transpose(2, 3, 1, 0), rtol=1e-3)
        assert kernel.dtype == np.float32


@needs_torch
@pytest.mark.parametrize("new_format", [True, False])
def test_a_file_that_could_run_code_is_refused(new_format, tmp_path):
    from argparse import Namespace

    save(tmp_path / "a.pth", {}, new_format=new_format, around=lambda state: {"model": state, "args": Namespace(lr=1)})
    with pytest.raises(ValueError, match="is none: it holds argparse.Namespace, which is no tensor"):
        import_checkpoint(tmp_path / "a.pth")


@needs_torch
def test_a_file_that_is_none_of_pytorchs(tmp_path):
    (tmp_path / "a.pth").write_bytes(b"no checkpoint at all")
    with pytest.raises(ValueError, match="PyTorch cannot read it"):
        import_checkpoint(tmp_path / "a.pth")
    with pytest.raises(FileNotFoundError, match="path must be a checkpoint file; there is none at"):
        import_checkpoint(tmp_path / "b.pth")
