import json
import subprocess
import sys
import time

import pytest

from experiments import config as configuration
from experiments.signatures import COMPUTED, REQUIRED, ROOT, check_names, modes, parameters

DIGITS = {"data": {"name": "digits"}}


def write(tmp_path, content, name="experiment.json"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_parameters_are_read_without_importing(tmp_path):
    signature = "def __init__(self, a, b=2, *, c=(1, 2), d, e=f()):"
    source = f"import nothing_of_that_name\nclass A:\n    {signature}\n        pass\n"
    found = parameters(write(tmp_path, source, "module.py"), "A")
    assert found == {"a": REQUIRED, "b": 2, "c": (1, 2), "d": REQUIRED, "e": COMPUTED}


def test_parameters_of_a_missing_name(tmp_path):
    with pytest.raises(ValueError, match=r"module\.py has no function or class named 'g'"):
        parameters(write(tmp_path, "def f(a): pass\n", "module.py"), "g")


def test_modes_are_those_of_the_package():
    path, name = modes()["ladder"]
    assert (path.name, name) == ("ladder.py", "LadderIM")
    assert "noise_std" in parameters(path, name)


def test_signatures_equal_those_of_the_imported_classes():
    import inspect

    from kingdra_cluster import KingdraCluster
    from kingdra_cluster.modes import MODES

    estimator = ROOT / "kingdra_cluster" / "kingdra_cluster.py"
    pairs = [(KingdraCluster, parameters(estimator, "KingdraCluster"))]
    pairs += [(MODES[name], parameters(*where)) for name, where in modes().items()]
    for cls, found in pairs:
        expected = {name: p.default for name, p in inspect.signature(cls).parameters.items()}
        assert found == expected


def test_unknown_name_gives_the_nearest():
    message = r"section has no key 'rouns' \(did you mean 'rounds'\?\)\. Known: epochs, rounds"
    with pytest.raises(ValueError, match=message):
        check_names(["epochs", "rouns"], ["rounds", "epochs"], "section")


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("cluster.n_rounds=3", (("cluster", "n_rounds"), 3)),
        ("cluster.tol=null", (("cluster", "tol"), None)),
        ("cluster.mode.hidden_units=[16, 8]", (("cluster", "mode", "hidden_units"), [16, 8])),
        ("data.name=mnist", (("data", "name"), "mnist")),
        ('data.name="mnist"', (("data", "name"), "mnist")),
        ("about=a=b", (("about",), "a=b")),
        ("cluster.shared_mapping=false", (("cluster", "shared_mapping"), False)),
    ],
)
def test_override_values_are_json_or_text(item, expected):
    assert configuration.parse_override(item) == expected


@pytest.mark.parametrize("item", ["cluster.n_rounds", "=3", "a..b=1", ".a=1"])
def test_override_without_key_or_value(item):
    with pytest.raises(ValueError, match=r"--set expects a\.b=value; got"):
        configuration.parse_override(item)


def test_override_opens_short_forms():
    config = {"cluster": {"mode": "ladder"}, "data": {"name": "20news", "features": "tfidf"}}
    configuration.override(config, ("cluster", "mode", "noise_std"), 1)
    configuration.override(config, ("data", "features", "max_features"), 50)
    configuration.override(config, ("refine", "lr"), 0.1)
    assert config["cluster"]["mode"] == {"name": "ladder", "noise_std": 1}
    assert config["data"]["features"] == {"kind": "tfidf", "max_features": 50}
    assert config["refine"] == {"lr": 0.1}


def test_override_below_a_number():
    with pytest.raises(ValueError, match=r"--set cluster.n_rounds.x: cluster.n_rounds is 3, which holds no keys"):
        configuration.override({"cluster": {"n_rounds": 3}}, ("cluster", "n_rounds", "x"), 1)


def test_resolve_fills_in_every_default():
    config = configuration.resolve(DIGITS, "mine")
    assert config["name"] == "mine"
    assert config["seeds"] == [0]
    assert config["cluster"]["n_members"] == 10
    assert config["cluster"]["mode"]["name"] == "ladder"
    assert config["cluster"]["mode"]["hidden_units"] == [400, 400]
    assert config["data"]["subset"] is None
    assert not {"random_state", "checkpoint_dir", "callbacks", "refine"} & set(config["cluster"])


def test_a_resolved_configuration_resolves_to_itself(tmp_path):
    features = {"kind": "tfidf", "stop_words": "english"}
    first = configuration.resolve({"data": {"name": "20news", "features": features}, "seeds": 3, "name": "n"}, "x")
    again, notes = configuration.load(write(tmp_path, first))
    assert again == first
    assert notes == []


NO_NAMES = ("", ".", "..", "../../oops", "/tmp/x", "a/b", "a/", "a\\b")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, 'no section "data"'),
        ({**DIGITS, "clusters": {}}, r"no key 'clusters' \(did you mean 'cluster'\?\)"),
        ({"data": {"name": "digit"}}, r"no data set 'digit' \(did you mean 'digits'\?\)"),
        ({"data": {}}, 'data has to be a name or an object with a "name"'),
        ({"data": {"name": "digits", "subset": "half"}}, "subset has to be an integer of at least 1; got .half.\\."),
        ({"data": {"name": "digits", "subset_seed": -1}}, "subset_seed has to be an integer of at least 0; got -1"),
        ({"data": {"name": "digits", "subst": 5}}, r"no key 'subst' \(did you mean 'subset'\?\)"),
        ({"data": {"name": "arrays"}}, r"data \(arrays\) needs the key 'path'"),
        ({"data": {"name": "digits", "features": "flaten"}}, r"no kind 'flaten' \(did you mean 'flatten'\?\)"),
        ({"data": {"name": "digits", "features": {"kind": "flatten", "divide": 2}}}, "did you mean 'divide_by'"),
        (
            {"data": {"name": "digits", "features": {"kind": "flatten", "divide_by": 0}}},
            r"features \(flatten\): div",
        ),
        ({**DIGITS, "cluster": {"n_round": 3}}, r"no key 'n_round' \(did you mean 'n_rounds'\?\)"),
        ({**DIGITS, "cluster": {"n_rounds": 2.5}}, r"n_rounds has to be an integer \(default 2\); got 2.5"),
        ({**DIGITS, "cluster": {"n_rounds": True}}, "n_rounds has to be an integer"),
        ({**DIGITS, "cluster": {"tol": "x"}}, "tol has to be a number"),
        ({**DIGITS, "cluster": {"shared_mapping": 1}}, "shared_mapping has to be true or false"),
        ({**DIGITS, "cluster": {"random_state": 3}}, "random_state cannot be set here; the seeds of a run are"),
        ({**DIGITS, "cluster": {"mode": "laddr"}}, r"no mode 'laddr' \(did you mean 'ladder'\?\)"),
        ({**DIGITS, "cluster": {"mode": {"name": "ladder", "noise": 1}}}, "did you mean 'noise_std'"),
        ({**DIGITS, "cluster": {"mode": {"name": "ladder", "n_epochs": 1}}}, "n_epochs cannot be set here"),
        ({**DIGITS, "cluster": {"mode": {"name": "ladder", "hidden_units": 5}}}, "hidden_units has to be a list"),
        ({**DIGITS, "cluster": 3}, "cluster has to be an object"),
        ({**DIGITS, "refine": {"mode": "nothing"}}, "refine: there is no mode 'nothing'. Known: ruc, selflabel"),
        ({**DIGITS, "pretext": {"lr": 1}}, 'pretext has to be a name or an object with a "mode"'),
        ({**DIGITS, "seeds": []}, "seeds has to be a list of different integers"),
        ({**DIGITS, "seeds": [1, 1]}, "seeds has to be a list of different integers"),
        ({**DIGITS, "seeds": [-1]}, "seeds has to be a list of different integers"),
        ({**DIGITS, "about": 3}, "about has to be a text"),
        *(({**DIGITS, "name": name}, "name has to be one of a folder in runs/") for name in NO_NAMES),
    ],
)
def test_what_is_not_valid_is_named(config, message):
    with pytest.raises(ValueError, match=message):
        configuration.resolve(config, "x")


@pytest.mark.parametrize("content", ["{", "[]", '"text"'])
def test_files_that_hold_no_object(tmp_path, content):
    with pytest.raises(ValueError, match="is not JSON|has to hold a JSON object"):
        configuration.load(write(tmp_path, content))


def test_missing_file_names_the_nearest(tmp_path):
    write(tmp_path, DIGITS, "digits.json")
    with pytest.raises(FileNotFoundError, match=r"did you mean 'digits\.json'"):
        configuration.load(tmp_path / "digit.json")


def test_differences_name_the_keys_and_pass_over_what_changes_nothing():
    old = configuration.resolve(DIGITS, "a")
    new = configuration.resolve({**DIGITS, "seeds": [5], "about": "b", "cluster": {"n_jobs": 2, "n_rounds": 4}}, "b")
    assert configuration.differences(old, new) == ["cluster.n_rounds (2 there, 4 here)"]


def test_a_bad_key_stops_the_program_before_tensorflow(tmp_path):
    path = write(tmp_path, {**DIGITS, "cluster": {"n_round": 3}})
    code = (
        "import sys; from experiments.cli import main; status = main(sys.argv[1:]);"
        "print('tensorflow' in sys.modules or 'keras' in sys.modules); sys.exit(status)"
    )
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert time.monotonic() - start < 20
    assert done.returncode == 2
    assert done.stdout.strip() == "False"
    assert done.stderr.startswith("error: cluster has no key 'n_round' (did you mean 'n_rounds'?)")
    assert len(done.stderr.splitlines()) == 1
