"""20 Newsgroups: about 18,800 messages from 20 newsgroups, split by date."""

from sklearn.datasets import fetch_20newsgroups

from experiments.sources import published_texts, scikit_learn_folder, texts_remedy

HEADERS = ("headers",)
PARTS = ("headers", "footers", "quotes")
COUNTS = ((11314, 7532), (11293, 7528))  # scikit-learn's edition; Cardoso Cachopo's, lowercase letters only


def load_data(data_home=None, *, remove=None, subset=None, subset_seed=0):
    """Load 20 Newsgroups, the training rows first, in the order of the file or of scikit-learn.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder with ``20news.jsonl.gz``, used as it is; made from scikit-learn's download (14 MB) if it isn't there.
    remove : sequence of {"headers", "footers", "quotes"}, default=None
        Parts of a message that are stripped.  None means whatever the cached file has and, where a download is
        needed, headers only: they name the newsgroup's people and machines, which makes the task easier than
        reading.  An explicit choice has a raw file of its own, such as ``20news_without_headers_quotes.jsonl.gz``.
    subset : int, default=None
        Number of rows to draw; None keeps all.
    subset_seed : int, default=0
        Seed of that draw.

    Returns
    -------
    bunch : Bunch
        ``texts``, ``y``, ``split``, ``class_names``.

    Raises
    ------
    DataUnavailable
        If the data is neither there nor obtainable.
    ValueError
        If `remove` names an unknown part.
    """
    strip = HEADERS if remove is None else tuple(part for part in PARTS if part in remove)
    if remove is not None and (isinstance(remove, str) or set(remove) - set(PARTS)):
        raise ValueError(f"remove must be None or a list with some of {PARTS}, received {remove!r}")
    stem = "20news" if remove is None else "_".join(["20news", "without", *(strip or ("nothing",))])
    return published_texts(
        "20news",
        data_home,
        lambda home: fetch(home, strip, stem),
        counts=COUNTS,
        stem=stem,
        description="messages from 20 newsgroups, training and test part by date",
        source="http://qwone.com/~jason/20Newsgroups/, through sklearn.datasets.fetch_20newsgroups",
        licence="none stated; messages belong to their authors, for research",
        subset=subset,
        subset_seed=subset_seed,
    )


def fetch(home, strip, stem="20news"):
    """Texts, label names and splits from scikit-learn, whose checksum and parser are used, but not its cache."""
    texts, labels, splits = [], [], []
    with scikit_learn_folder("20 Newsgroups", texts_remedy(stem, home)) as folder:
        for split in ("train", "test"):
            part = fetch_20newsgroups(data_home=folder, subset=split, shuffle=False, remove=strip)
            texts += part.data
            labels += [part.target_names[target] for target in part.target]
            splits += [split] * len(part.data)
    return texts, labels, splits
