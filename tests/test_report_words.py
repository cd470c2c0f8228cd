"""Names, captions and numbers on a run's page: what is long, alone or at an edge."""
# ruff: noqa: F811  (fixtures are imported by name)

import json
import re
import shutil

import numpy as np
import pytest
from test_report import Page, example, images, read, vectors  # noqa: F401  (fixtures)

from experiments import exhibits, svg
from experiments.report import Seed, write_report
from experiments.report_cards import card, item
from experiments.report_charts import confusion_matrix, reliability_chart, rounds_chart
from kingdra_cluster.persistence import read_json
from kingdra_cluster.similarity_graph import SimilarityGraph


def test_long_names_are_cut_short_and_whole_under_the_pointer(images):
    seed = Seed(images / "seed_0")
    seed.exhibits["classes"][0] = long = "a <b> " + "x" * 150
    seed.cluster_names = [f"{c} ({long})" for c in range(10)]
    one = next(one for one in seed.exhibits["clusters"] if seed.exhibits["counts"][one["cluster"]][0])
    html = card(one | {"rivals": [[1, 0.2]], "doubtful": []}, seed)
    assert html.count("x" * 150) == 3  # heading, class and rival: under the pointer
    assert not re.search('x{50}[^<"]*<', html)
    shown = " ".join(Page(html).words)
    assert "x" * 38 in shown
    assert "x" * 50 not in shown
    row = {"row": 3, "text": "t", "clusters": [[1, 0.5], [0, 0.4]], "class": 0}
    assert "x" * 30 not in item(row, seed)


def test_one_cluster_has_no_doubtful_rows_and_one_thing_is_singular(vectors, tmp_path):
    run = shutil.copytree(vectors, tmp_path / "run")
    assert "The rows whose two likeliest clusters are closest: look at these first" in read(run)[0]
    estimator, data = example(n_clusters=1, n=40)
    estimator.similarity_graph_ = SimilarityGraph(np.zeros((3, 40), dtype=int))
    estimator.probabilities_ = np.full((40, 1), 1 + 1.2e-7)
    found = exhibits.collect(estimator, data)
    assert sum(found["confidence"]["sure"]) + sum(found["confidence"]["unsure"]) == 40
    (run / "seed_0" / "exhibits.json").write_text(json.dumps(found))
    path = run / "seed_0" / "metrics.json"
    path.write_text(json.dumps(read_json(path) | {"clusters": 1, "rounds": 1, "columns": 1}))
    write_report(run)
    words, page = read(run)
    assert "oubtful" not in words
    assert "doubtful" not in page.ids
    for phrase in ("1 circle in all", "1 of 1 cluster has rows", "1 round, 1 with", "rows of 1 column "):
        assert phrase in words, phrase
    assert [svg.counted(n, "row") for n in (0, 1, 1200)] == ["0 rows", "1 row", "1,200 rows"]


@pytest.mark.parametrize("n", [2, 40])
def test_words_at_the_edges_of_drawings_have_room(n):
    drawn = confusion_matrix(np.eye(n), list(range(n)), ["wwwwwwwwwwwwwwww"] * n)
    caption = re.search(r'<text x="([\d.]+)" y="[\d.]+" text-anchor="(\w+)" class="tick">clusters, in the order', drawn)
    assert (float(caption[1]), caption[2]) == (8, "start")
    if n == 2:
        assert min(map(float, re.findall(r'<text x="([\d.]+)"[^>]*>w+…', drawn))) >= 15 * 7
    for drawn in (
        rounds_chart([("a", [1.0])], 1),
        reliability_chart({"confidence": [1], "accuracy": [1], "rows": [1]}),
    ):
        assert float(re.search(r'<text x="([\d.]+)"[^>]*>100%', drawn)[1]) >= 35
