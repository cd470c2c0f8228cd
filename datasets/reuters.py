"""Reuters-10k: 10,000 news stories in 4 classes, rebuilt from the RCV1 vectors that scikit-learn downloads.

Two sets go by that name.  DEC's (Xie, Girshick and Farhadi 2016) permutes all 685,071 single-root stories and takes
10,000; DEC-keras' takes the first 10,000 in file order.  Both count the 2000 most frequent stems over all stories,
take sublinear, l2-normalised tf-idf and multiply it by sqrt(2000), so that entries have root mean square 1.
"""

import numpy as np
import scipy.sparse as sp
from sklearn.datasets import fetch_rcv1
from sklearn.feature_extraction.text import TfidfTransformer

from experiments.data_home import cached_file, writable_home
from experiments.data_home import data_home as resolve_home
from experiments.raw_files import write_npz
from experiments.sources import npz_remedy, published_images, scikit_learn_folder

ROOTS = ("CCAT", "GCAT", "MCAT", "ECAT")  # corporate, government and social, markets, economics
VARIANTS = ("dec", "dec_keras")
N_TRAIN = 23149  # stories of the LYRL2004 training part, the first rows of fetch_rcv1
N_SINGLE_ROOT = 685071
N_ROWS, N_TERMS = 10000, 2000
SEED = 1234


def load_data(data_home=None, *, variant="dec", subset=None, subset_seed=0):
    """Load Reuters-10k as a feature matrix.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder with ``reuters_<variant>.npz`` or, for either variant, ``reuters.npz``, used as it is.  If neither is
        there, both variants are made from RCV1 (700 MB to download, 4 GB of memory, some minutes).
    variant : {"dec", "dec_keras"}, default="dec"
        Which of the two sets.
    subset : int, default=None
        Number of rows to draw; None keeps all.
    subset_seed : int, default=0
        Seed of that draw.

    Returns
    -------
    bunch : Bunch
        ``X`` float32 of shape (10000, 2000), ``y``, ``split`` (of RCV1), ``class_names``, ``variant``.

    Raises
    ------
    DataUnavailable
        If the data is neither there nor obtainable.
    ValueError
        If the variant is unknown.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {VARIANTS}, received {variant!r}")
    stem = f"reuters_{variant}"
    if cached_file(home := resolve_home(data_home), f"{stem}.npz") is None and cached_file(home, "reuters.npz"):
        stem = "reuters"
    return published_images(
        "reuters",
        data_home,
        lambda home: fetch(home, variant),
        shape=(N_ROWS, N_TERMS),
        stem=stem,
        description=f"10,000 Reuters stories in 4 classes, tf-idf of 2000 stems times sqrt(2000), variant {variant}",
        source="RCV1-v2 (Lewis et al. 2004), through sklearn.datasets.fetch_rcv1",
        licence="vectors for research, citing Lewis, Yang, Rose and Li (JMLR 2004)",
        subset=subset,
        subset_seed=subset_seed,
        variant=variant if stem != "reuters" else "as cached",
    )


def fetch(home, variant):
    """Arrays of a variant, from RCV1; the other one is written too, since the download is the long part."""
    remedy = npz_remedy(f"reuters_{variant}", home, (N_ROWS, N_TERMS), "float32")
    with scikit_learn_folder("RCV1", remedy) as folder:
        rcv1 = fetch_rcv1(data_home=folder, subset="all", shuffle=False)
    variants = rebuild(rcv1.data, rcv1.target, rcv1.target_names, rcv1.sample_id)
    wanted = variants.pop(variant)
    for other, arrays in variants.items():
        write_npz(writable_home(home) / f"reuters_{other}.npz", **arrays)
    return wanted


def rebuild(
    weights, target, target_names, ids, *, n_train=N_TRAIN, n_single=N_SINGLE_ROOT, n_rows=N_ROWS, n_terms=N_TERMS
):
    """Both variants of Reuters-10k from RCV1's weights and topics.

    Parameters
    ----------
    weights : csr_matrix of shape (n, n_stems)
        RCV1's cosine-normalised (1 + ln tf) * ln(n_train / df), training stories first.
    target : sparse matrix of shape (n, n_topics)
        1 where a story has a topic.
    target_names : sequence of str
        Names of the topics.
    ids : array of shape (n,)
        Story numbers.
    n_train, n_single, n_rows, n_terms : int
        Sizes of the training part, of the single-root stories, of a variant and of its vocabulary.

    Returns
    -------
    variants : dict of str to dict
        ``X``, ``y``, ``split``, ``classes`` and ``ids`` of each variant.

    Raises
    ------
    ValueError
        If the number of single-root stories is not `n_single`, or counts cannot be recovered.
    """
    rows, y = single_root(target, target_names)
    order = np.concatenate([np.flatnonzero(rows >= n_train), np.flatnonzero(rows < n_train)])  # DEC reads test first
    rows, y = rows[order], y[order]
    if len(rows) != n_single:
        raise ValueError(f"RCV1 must have {n_single} stories with a single root topic, received {len(rows)}")
    counts = recover_counts(weights, n_train)[rows]
    X = scaled_tfidf(counts, n_terms)
    parts = {variant: variant_rows(variant, len(rows), n_rows) for variant in VARIANTS}
    return {
        variant: {
            "X": X[part].toarray().astype(np.float32),
            "y": y[part].astype(np.uint8),
            "split": (rows[part] >= n_train).astype(np.uint8),
            "classes": ROOTS,
            "ids": np.asarray(ids)[rows[part]],
        }
        for variant, part in parts.items()
    }


def single_root(target, target_names):
    """Stories with exactly one of the four root topics.

    Parameters
    ----------
    target : sparse matrix of shape (n, n_topics)
        1 where a story has a topic.
    target_names : sequence of str
        Names of the topics.

    Returns
    -------
    rows : ndarray of shape (m,), int64
        Their positions.
    y : ndarray of shape (m,), int64
        Position of the root in `ROOTS`.
    """
    columns = [list(target_names).index(root) for root in ROOTS]
    roots = sp.csc_matrix(target)[:, columns].toarray() != 0
    rows = np.flatnonzero(roots.sum(axis=1) == 1)
    return rows, roots[rows].argmax(axis=1)


def recover_counts(weights, n_train):
    """Term counts from RCV1's weights.

    Dividing a column by its idf leaves (1 + ln tf) times a constant of the story; the rarest stem of a story occurs
    once, so the story's smallest value is that constant.

    Parameters
    ----------
    weights : csr_matrix of shape (n, n_stems)
        Training stories first; every stem occurs in one of them.
    n_train : int
        Number of training stories.

    Returns
    -------
    counts : csr_matrix of shape (n, n_stems), float64

    Raises
    ------
    ValueError
        If a story is empty, a stem never occurs in training, or a value is not that of a whole count.
    """
    weights = sp.csr_matrix(weights, dtype=np.float64)
    lengths = np.diff(weights.indptr)
    frequency = np.bincount(weights.indices[: weights.indptr[n_train]], minlength=weights.shape[1])
    used = np.unique(weights.indices)
    if not lengths.all() or not frequency[used].all():
        raise ValueError("every story must have a stem, and every stem must occur in a training story")
    ratio = weights.data / np.log(n_train / np.maximum(frequency, 1))[weights.indices]
    ratio /= np.repeat(np.minimum.reduceat(ratio, weights.indptr[:-1]), lengths)
    counts = np.rint(np.exp(ratio - 1))
    error = np.abs(ratio - 1 - np.log(counts)).max()
    if not error < 1e-3:
        raise ValueError(f"term counts must be whole: a weight is off by {error:.1e}, expected less than 1e-3")
    return sp.csr_matrix((counts, weights.indices, weights.indptr), shape=weights.shape)


def scaled_tfidf(counts, n_terms):
    """Sublinear, l2-normalised tf-idf of the most frequent terms, times the square root of their number.

    Parameters
    ----------
    counts : csr_matrix of shape (n, n_stems)
        Term counts.
    n_terms : int
        Terms to keep: those with the largest total count, in their original order.

    Returns
    -------
    X : csr_matrix of shape (n, n_terms)
    """
    totals = np.asarray(counts.sum(axis=0)).ravel()
    terms = np.sort(np.argsort(-totals, kind="stable")[:n_terms])
    tfidf = TfidfTransformer(norm="l2", sublinear_tf=True).fit_transform(counts[:, terms])
    return sp.csr_matrix(tfidf * np.sqrt(len(terms)))


def variant_rows(variant, n, n_rows):
    """Positions, among the single-root stories in file order, of a variant's rows.

    The legacy generator is needed: these are the permutations that the two published scripts draw.
    """
    shuffled = np.random.RandomState(SEED).permutation
    return shuffled(n)[:n_rows] if variant == "dec" else shuffled(n_rows)
