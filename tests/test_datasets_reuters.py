"""Reuters-10k, rebuilt from a corpus that looks like RCV1, equals the published recipe on the corpus' texts."""
# ruff: noqa: F811  (fixtures are imported by name)

import numpy as np
import pytest
import scipy.sparse as sp
from dataset_files import RNG, home, no_network, write_raw  # noqa: F401  (fixtures)
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.utils import Bunch

from experiments.datasets import load, load_module


def rcv1_like(n=90, n_train=40, n_stems=25, seed=0):
    """Counts of a small corpus, and what RCV1 ships of it: cosine-normalised weights and topics."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(1.2, (n, n_stems)) * rng.integers(1, 4, (n, n_stems))
    counts[np.arange(n), rng.integers(0, n_stems, n)] = 1  # the rarest stem of a story occurs once
    counts[np.arange(n_stems), np.arange(n_stems)] += counts[np.arange(n_stems), np.arange(n_stems)] == 0
    counts[n_train - 1] = 0
    counts[n_train - 1, 0] = 1  # no stem is in every training story
    weights = np.where(counts, 1 + np.log(np.maximum(counts, 1)), 0) * np.log(n_train / (counts[:n_train] > 0).sum(0))
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    names = ["C11", "CCAT", "ECAT", "GCAT", "M12", "MCAT"]
    target = rng.random((n, len(names))) < 0.3
    return counts, sp.csr_matrix(weights.round(9)), sp.csr_matrix(target.astype("uint8")), names, n_train


def test_counts_are_recovered_from_the_weights():
    counts, weights, *_, n_train = rcv1_like()
    found = load_module("reuters").recover_counts(weights, n_train)
    np.testing.assert_array_equal(found.toarray(), counts)


def test_weights_of_no_whole_count_are_refused():
    _, weights, *_, n_train = rcv1_like()
    module = load_module("reuters")
    damaged = weights.copy()
    damaged.data[damaged[0].data.argmax()] *= 1.02  # of the first story, whose rarest stem is another one
    with pytest.raises(ValueError, match="term counts must be whole: a weight is off by"):
        module.recover_counts(damaged, n_train)
    empty = sp.vstack([weights, sp.csr_matrix((1, weights.shape[1]))])
    with pytest.raises(ValueError, match="every story must have a stem"):
        module.recover_counts(empty, n_train)
    with pytest.raises(ValueError, match="every stem must occur in a training story"):
        module.recover_counts(weights, 1)


def test_stories_with_one_root_are_kept():
    rows, y = load_module("reuters").single_root(
        sp.csr_matrix(
            [[1, 1, 0, 0, 1, 0], [0, 1, 1, 0, 0, 0], [1, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1], [0, 0, 0, 1, 0, 0]]
        ),
        ["C11", "CCAT", "ECAT", "GCAT", "M12", "MCAT"],
    )
    assert rows.tolist() == [0, 3, 4]
    assert y.tolist() == [0, 2, 1]  # CCAT, GCAT, MCAT, ECAT are 0, 1, 2, 3


def test_both_variants_equal_the_published_recipe_on_the_texts():
    """The published scripts count words of the texts, test files first; the vectors must lead to the same numbers."""
    counts, weights, target, names, n_train = rcv1_like()
    module, n = load_module("reuters"), len(counts)
    ids = 1000 + RNG.permutation(n)
    order = np.r_[n_train:n, 0:n_train]
    roots = target.toarray()[:, [names.index(root) for root in module.ROOTS]]
    order = order[roots[order].sum(1) == 1]
    texts = [" ".join(f"stem{j:02}" for j in np.repeat(np.arange(counts.shape[1]), counts[i])) for i in order]
    totals = np.sort(counts[order].sum(0))[::-1]
    k = next(k for k in range(15, 5, -1) if totals[k - 1] > totals[k])  # no tie that any rule could break
    X = CountVectorizer(dtype=np.float64, max_features=k).fit_transform(texts)
    X = TfidfTransformer(norm="l2", sublinear_tf=True).fit_transform(X).toarray() * np.sqrt(k)
    sizes = {"n_train": n_train, "n_single": len(order), "n_rows": 12, "n_terms": k}
    variants = module.rebuild(weights, target, names, ids, **sizes)
    published = {
        "dec": np.random.RandomState(1234).permutation(len(order))[:12],
        "dec_keras": np.random.RandomState(1234).permutation(12),
    }
    for variant, rows in published.items():
        arrays = variants[variant]
        np.testing.assert_allclose(arrays["X"], X[rows], rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(arrays["y"], roots[order[rows]].argmax(1))
        np.testing.assert_array_equal(arrays["split"], order[rows] >= n_train)
        np.testing.assert_array_equal(arrays["ids"], ids[order[rows]])
        assert arrays["X"].dtype == np.float32
    with pytest.raises(ValueError, match=f"must have 7 stories with a single root topic, received {len(order)}"):
        module.rebuild(weights, target, names, ids, **{**sizes, "n_single": 7})


def test_reuters_downloads_once_for_both_variants(home, monkeypatch):
    _, weights, target, names, n_train = rcv1_like()
    module, fetched = load_module("reuters"), []
    defaults = {"n_train": n_train, "n_rows": 12, "n_terms": 15}
    defaults["n_single"] = len(module.single_root(target, names)[0])
    monkeypatch.setattr(module.rebuild, "__kwdefaults__", defaults)

    def fetch(**options):
        fetched.append(options)
        return Bunch(data=weights, target=target, target_names=np.array(names, dtype=object), sample_id=np.arange(90))

    monkeypatch.setattr(module, "fetch_rcv1", fetch)
    variants = [load("reuters", home, variant=variant) for variant in ("dec_keras", "dec", "dec_keras")]
    assert len(fetched) == 1
    assert [bunch.variant for bunch in variants] == ["dec_keras", "dec", "dec_keras"]
    assert not np.array_equal(variants[0].X, variants[1].X)
    np.testing.assert_array_equal(variants[0].X, variants[2].X)
    with pytest.raises(ValueError, match="variant must be one of .* received 'idec'"):
        load("reuters", home, variant="idec")


def test_any_cached_reuters_is_used(home):
    write_raw(home, "reuters")
    assert load("reuters", home).variant == "as cached"
