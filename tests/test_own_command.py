"""`run_exp.py cluster`: the user's own data without a configuration."""

import csv
import json

import numpy as np
import pytest
from fake_estimator import make_fake

from experiments import stages
from experiments.cli import main
from experiments.own_command import own_config
from experiments.predict import read_array
from kingdra_cluster import KingdraCluster


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ninety digits as PNG files, in two sub-folders."""
    from PIL import Image
    from sklearn.datasets import load_digits

    folder = tmp_path_factory.mktemp("own") / "my digits"
    for index, image in enumerate(load_digits().images[:90]):
        path = folder / f"part {index % 2}" / f"{index:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 15.9).astype(np.uint8)).resize((16, 16)).save(path)
    return folder


def test_a_folder_of_images_becomes_labels_with_file_names_and_a_report(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(stages, "make_kingdra", make_fake)
    monkeypatch.chdir(tmp_path)
    assert main(["cluster", "--images", str(folder), "--n-clusters", "5", "--pixels"]) == 0
    lines = (tmp_path / "runs" / "my digits" / "seed_0" / "labels.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "row,label,confidence,pseudo_label,file"
    assert lines[1].endswith(",part 0/000.png")
    assert len(lines) == 91
    assert "part 0/" in (tmp_path / "runs" / "my digits" / "report.html").read_text(encoding="utf-8")
    assert "report.html in a browser" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "features"),
    [("images", "resnet50"), ("texts", "tfidf"), ("array", None)],
    ids=["images", "texts", "array"],
)
def test_every_kind_has_its_features(folder, kind, features):
    config = own_config(kind, folder, 7, overrides=["cluster.n_members=3", "cluster.mode.noise_std=0.5"])
    assert config["cluster"]["n_clusters"] == 7
    assert config["cluster"]["n_members"] == 3
    assert config["cluster"]["mode"]["noise_std"] == 0.5
    assert (config["data"]["features"] or {}).get("kind") == features
    assert config["name"] == "my digits"


def test_the_number_of_clusters_can_be_estimated(tmp_path):
    centres = np.repeat([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]], 60, axis=0)
    rows = centres + np.random.default_rng(0).normal(size=centres.shape)
    np.savez(tmp_path / "rows.npz", X=rows, y=np.repeat([0, 1, 2], 60))
    quick = ["n_members=2", "n_rounds=1", "epochs_first_round=20", "mode.hidden_units=[16]", "mode.learning_rate=0.02"]
    settings = ["--set", *(f"cluster.{one}" for one in quick), "refine.mode=ruc", "refine.n_epochs=1"]
    arguments = ["cluster", "--array", str(tmp_path / "rows.npz"), "--output", str(tmp_path / "run")]
    assert main([*arguments, "--n-clusters", "auto", *settings]) == 0
    metrics = json.loads((tmp_path / "run" / "seed_0" / "metrics.json").read_text(encoding="utf-8"))
    assert (metrics["estimated_clusters"], metrics["interval"]) == (3, [3, 3])
    assert metrics["kmeans"]["acc"] > 0.99
    assert "clusters estimated: from 3 to 3" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "run" / "seed_0" / "figures" / "cluster_count.png").is_file()
    count = KingdraCluster.load(tmp_path / "run" / "seed_0" / "model").cluster_count_
    assert (count.n_clusters, count.counts.shape) == (3, (16, 6))


def test_a_run_is_named_after_its_folder_wherever_one_stands(folder, monkeypatch):
    monkeypatch.chdir(folder / "part 0")
    assert own_config("images", "..", 3)["name"] == "my digits"
    assert own_config("images", ".", 3)["name"] == "part 0"
    with pytest.raises(ValueError, match="name has to be one of a folder in runs/"):
        own_config("images", "..", 3, overrides=["name=../../oops"])


def test_a_second_call_is_not_changed_by_the_first(folder):
    own_config("array", folder, 3, overrides=["cluster.mode.noise_std=0.5", "data.key=Z"])
    config = own_config("array", folder, 3)
    assert config["cluster"]["mode"]["noise_std"] == 0.3
    assert config["data"]["key"] == "X"


def test_dry_run_shows_everything(folder, capsys):
    arguments = ["--n-clusters", "4", "--seeds", "1", "2", "--n-jobs", "2", "--dry-run"]
    assert main(["cluster", "--images", str(folder), *arguments]) == 0
    config = json.loads(capsys.readouterr().out)
    assert config["seeds"] == [1, 2]
    assert config["cluster"]["n_jobs"] == 2
    assert config["data"]["features"]["kind"] == "resnet50"


def test_a_number_that_is_none_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["cluster", "--texts", __file__, "--n-clusters", "many"])
    assert "must be an integer or 'auto'; got 'many'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--images", "nowhere", "--n-clusters", "3"], "--images: there is no"),
        (["--texts", __file__, "--n-clusters", "3", "--pixels"], "--pixels suits --images alone"),
        (["--texts", __file__, "--n-clusters", "0"], "n_clusters must be an integer of at least 1"),
    ],
)
def test_errors_are_one_line(arguments, message, capsys):
    assert main(["cluster", *arguments, "--dry-run"]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_refused_run_does_not_stand_in_the_way_of_the_corrected_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", np.random.default_rng(0).normal(size=(60, 4)))
    small = ["--set", "cluster.n_members=1", "cluster.mode.hidden_units=[4]", "cluster.n_rounds=1"]
    small += ["cluster.epochs_first_round=1"]
    assert main(["cluster", "--array", "rows.npy", "--n-clusters", "1000", *small]) == 2
    assert "at least n_clusters=1000 rows" in capsys.readouterr().err
    assert main(["cluster", "--array", "rows.npy", "--n-clusters", "3", *small, "cluster.mode.learning_rate=1e30"]) == 2
    assert capsys.readouterr().err.startswith("error: training diverged")
    assert main(["cluster", "--array", "rows.npy", "--n-clusters", "3", *small]) == 0


@pytest.mark.parametrize("column", ["0", "y"])
def test_new_rows_of_a_table_may_have_labels_or_none_and_another_order(tmp_path, monkeypatch, capsys, column):
    monkeypatch.chdir(tmp_path)
    rows = np.random.default_rng(0).normal(size=(40, 3)).round(3)
    lines = [f"{'ab'[i % 2]},{','.join(map(str, row))}" for i, row in enumerate(rows)]
    (tmp_path / "t.csv").write_text("y,p,q,r\n" + "\n".join(lines), encoding="utf-8")
    np.savetxt("new.csv", rows, delimiter=",", fmt="%g")
    options = [f"data.label_column={column}", "cluster.n_members=1", "cluster.n_rounds=1"]
    options.append("cluster.mode.hidden_units=[4]")
    assert main(["cluster", "--array", "t.csv", "--n-clusters", "2", "--set", *options]) == 0
    np.savetxt("turned.csv", rows[:, ::-1], delimiter=",", fmt="%g", header="r,q,p", comments="")
    for name in ("t.csv", "new.csv", "turned.csv"):
        assert main(["predict", "runs/t/seed_0", "--array", name, "--out", f"{name}.out"]) == 0
    assert (tmp_path / "t.csv.out").read_text() == (tmp_path / "new.csv.out").read_text()
    assert (tmp_path / "t.csv.out").read_text() == (tmp_path / "turned.csv.out").read_text()
    np.savetxt("other.csv", rows, delimiter=",", fmt="%g", header="p,q,s", comments="")
    assert main(["predict", "runs/t/seed_0", "--array", "other.csv"]) == 2
    assert "other.csv must have one column 'r', as the model was trained on" in capsys.readouterr().err
    cards = json.loads((tmp_path / "runs/t/seed_0/exhibits.json").read_text(encoding="utf-8"))["clusters"]
    assert {name for card in cards for name, _ in card["columns"]} == {"p", "q", "r"}


@pytest.mark.filterwarnings("default:.*hold no known word")
def test_new_texts_are_read_as_the_run_read_its_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = [f"{'cat dog pet' if i % 2 else 'Auto Straße fährt'} {i}" for i in range(40)]
    (tmp_path / "t.csv").write_text("id,body\n" + "\n".join(f"{i},{line}" for i, line in enumerate(lines)), "latin1")
    options = ["data.text_column=body", "data.encoding=latin1", "cluster.n_members=1", "cluster.mode.hidden_units=[4]"]
    options += ["cluster.n_rounds=1", "cluster.epochs_first_round=1"]
    assert main(["cluster", "--texts", "t.csv", "--n-clusters", "2", "--set", *options]) == 0
    assert main(["predict", "runs/t/seed_0", "--texts", "t.csv", "--out", "new.csv"]) == 0
    assert len((tmp_path / "new.csv").read_text(encoding="utf-8").splitlines()) == 41
    for name, text in {"b/2.txt": lines[0], "a.txt": lines[1], "b/1.txt": "?"}.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_text(text, encoding="latin1")
    capsys.readouterr()
    assert main(["predict", "runs/t/seed_0", "--texts", "folder", "--out", "folder.csv"]) == 0
    assert "warning: 1 of 3 texts hold no known word" in capsys.readouterr().err
    with open("folder.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["a.txt", "b/1.txt", "b/2.txt"]
    assert [row["confidence"] == "" for row in rows] == [False, True, False]
    with open("new.csv", newline="", encoding="utf-8") as file:
        assert [rows[2]["label"], rows[0]["label"]] == [row["label"] for row in list(csv.DictReader(file))[:2]]


def test_new_rows_of_an_npz_file_are_those_of_the_run_s_key(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.zeros((2, 3)), Z=np.ones((2, 3)))
    about = {"item_shape": [3]}
    assert read_array(tmp_path / "a.npz", about, {"key": "Z"})[0].all()
    assert not read_array(tmp_path / "a.npz", about, {"key": "X"})[0].any()
    with pytest.raises(ValueError, match="has to hold an array named 'Y'; it holds X, Z"):
        read_array(tmp_path / "a.npz", about, {"key": "Y"})


def test_the_help_names_the_settings_of_tables(capsys):
    with pytest.raises(SystemExit):
        main(["cluster", "--help"])
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("data.text_column", "data.label_column", ".tsv", "data.features=standardize"))
