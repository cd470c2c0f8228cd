"""Reuters-21578 R8: news with a single topic, one of the eight largest, in the ModApte split."""

import html
import re
import tarfile

from experiments.data_home import DataUnavailable, official_file
from experiments.sources import published_texts, texts_remedy

ARCHIVE = "reuters21578.tar.gz"
URLS = (
    f"https://archive.ics.uci.edu/ml/machine-learning-databases/reuters21578-mld/{ARCHIVE}",
    f"https://kdd.ics.uci.edu/databases/reuters21578/{ARCHIVE}",
)
CLASSES = ("acq", "crude", "earn", "grain", "interest", "money-fx", "ship", "trade")
COUNTS = ((5485, 2189),)  # as published by Cardoso Cachopo

ARTICLE = re.compile(r"<REUTERS\b([^>]*)>(.*?)</REUTERS>", re.DOTALL)
ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
TOPICS = re.compile(r"<TOPICS>(.*?)</TOPICS>", re.DOTALL)
TOPIC = re.compile(r"<D>(.*?)</D>", re.DOTALL)
TEXT = re.compile(r"<TEXT\b[^>]*>(.*?)</TEXT>", re.DOTALL)
TITLE = re.compile(r"<TITLE>(.*?)</TITLE>", re.DOTALL)
BODY = re.compile(r"<BODY>(.*?)</BODY>", re.DOTALL)
OTHER_TAGS = re.compile(r"<(AUTHOR|DATELINE)>.*?</\1>|</?[A-Z]+>", re.DOTALL)


def load_data(data_home=None, *, subset=None, subset_seed=0):
    """Load Reuters R8, the 5,485 training rows first, each part in the order of publication.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder with ``reuters_r8.jsonl.gz``; made from the Reuters-21578 archive (8 MB) if it isn't there.
    subset : int, default=None
        Number of rows to draw; None keeps all.
    subset_seed : int, default=0
        Seed of that draw.

    Returns
    -------
    bunch : Bunch
        ``texts`` (title and body, lowercase letters only), ``y``, ``split``, ``class_names``.

    Raises
    ------
    DataUnavailable
        If the data is neither there nor obtainable.
    """
    return published_texts(
        "reuters_r8",
        data_home,
        fetch,
        counts=COUNTS,
        description="7,674 Reuters news of 1987 in 8 very unbalanced classes",
        source=URLS[0],
        licence="for research only (Reuters Ltd. and Carnegie Group Inc., Reuters-21578 distribution 1.0)",
        subset=subset,
        subset_seed=subset_seed,
    )


def fetch(home):
    """Texts, label names and splits of the archive.  Its checksum is not published: the row counts are checked."""
    path = official_file(home, ARCHIVE, URLS, remedy=texts_remedy("reuters_r8", home))
    rows = []
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in sorted(archive.getmembers(), key=lambda member: member.name):
                if member.isfile() and member.name.endswith(".sgm"):
                    rows += parse_sgml(archive.extractfile(member).read().decode("latin-1"))
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataUnavailable(f"{path} cannot be read: {error}", "Delete it to download it again") from error
    if not rows:
        raise DataUnavailable(f"{path} holds no R8 article", "Delete it to download it again")
    rows.sort(key=lambda row: row[2] == "test")  # stable: order of publication inside each part
    return tuple(map(list, zip(*rows, strict=True)))


def parse_sgml(text):
    """R8 articles of one SGML file.

    ModApte takes articles with the attribute ``TOPICS="YES"`` and splits them by ``LEWISSPLIT``; R8 keeps those with
    exactly one topic, if it is one of the eight.

    Parameters
    ----------
    text : str
        Content of a ``reut2-*.sgm`` file.

    Returns
    -------
    rows : list of (str, str, str)
        Text, topic and "train" or "test" of each article, in order.
    """
    rows = []
    for article in ARTICLE.finditer(text):
        attributes = dict(ATTRIBUTE.findall(article.group(1)))
        split = attributes.get("LEWISSPLIT", "").lower()
        topics = TOPIC.findall(_first(TOPICS, article.group(2)))
        in_split = attributes.get("TOPICS") == "YES" and split in ("train", "test")
        if in_split and len(topics) == 1 and topics[0] in CLASSES:
            rows.append((article_text(_first(TEXT, article.group(2))), topics[0], split))
    return rows


def article_text(text):
    """Title and body as lowercase letters and single spaces; of an unformatted article, all but author and dateline.

    Parameters
    ----------
    text : str
        Content of a TEXT element.

    Returns
    -------
    words : str
    """
    title, body = _first(TITLE, text), _first(BODY, text)
    words = f"{title} {body}" if title or body else OTHER_TAGS.sub(" ", text)
    return " ".join(re.sub("[^a-z]+", " ", html.unescape(words).lower()).split())


def _first(pattern, text):
    match = pattern.search(text)
    return match.group(1) if match else ""
