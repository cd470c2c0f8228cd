"""Texts as tf-idf rows; the vocabulary is saved as JSON and the document frequencies as an array."""

import numpy as np

from experiments.feature_base import Features, text_items
from kingdra_cluster.checks import Integral, Real, check_flag, check_number


class Tfidf(Features):
    """Term frequency times inverse document frequency of the most frequent words, l2-normalised.

    Parameters
    ----------
    max_features : int or None, default=2000
        Number of words: those with the largest total count; None takes all.
    stop_words : None, "english" or list of str, default=None
        Words to leave out.
    sublinear_tf : bool, default=False
        Whether a count tf becomes 1 + ln tf.
    scale : None or "sqrt", default=None
        "sqrt" multiplies by the square root of the number of words, so that entries have root mean square 1.
    min_df, max_df : int or float, default=1, 1.0
        Fewest and most texts a word may occur in, as a number (int) or a share (float).
    """

    kind = "tfidf"

    def __init__(self, max_features=2000, stop_words=None, sublinear_tf=False, scale=None, min_df=1, max_df=1.0):
        super().__init__()
        if scale not in (None, "sqrt"):
            raise ValueError(f'scale must be None or "sqrt", received {scale!r}')
        if isinstance(stop_words, str) and stop_words != "english":
            raise ValueError(f'stop_words must be None, "english" or a list of words, received {stop_words!r}')
        check_number("max_features", max_features, Integral, 1, none=True)
        check_flag("sublinear_tf", sublinear_tf)
        for name, limit in (("min_df", min_df), ("max_df", max_df)):
            counted = isinstance(limit, Integral)
            check_number(name, limit, Real, 1 if counted else 0, maximum=None if counted else 1)
        self.max_features = max_features
        self.stop_words = stop_words
        self.sublinear_tf = sublinear_tf
        self.scale = scale
        self.min_df = min_df
        self.max_df = max_df
        self._vectorizer = None

    def fit_transform(self, items):
        """Learn words and their document frequencies, and return the rows.

        Parameters
        ----------
        items : Bunch or list of str
            Texts.

        Returns
        -------
        X : csr_matrix of shape (n, n_words), float32
            A text without any of the words is a row of zeros.

        Raises
        ------
        ValueError
            If the items are not texts, or have no word in common with the options.
        """
        texts = text_items(items, self.kind)
        words = {"max_features": self.max_features, "min_df": self.min_df, "max_df": self.max_df}
        self._vectorizer = self._new_vectorizer(**words)
        try:
            X = self._vectorizer.fit_transform(texts)
        except ValueError as error:
            raise ValueError(f"no tf-idf of {len(texts)} texts with {self.get_options()}: {error}") from error
        self.state = {"vocabulary": self._vectorizer.get_feature_names_out().tolist()}
        self.arrays = {"idf": self._vectorizer.idf_}
        return self._scaled(X)

    def transform(self, items):
        """Return the rows of texts: a csr_matrix of shape (n, n_words), float32."""
        self._check_fitted()
        return self._scaled(self._vectorizer.transform(text_items(items, self.kind)))

    def get_feature_names_out(self):
        """Word of each column, an array of str."""
        self._check_fitted()
        return np.array(self.state["vocabulary"])

    def _new_vectorizer(self, **words):
        from sklearn.feature_extraction.text import TfidfVectorizer

        options = {"stop_words": self.stop_words, "sublinear_tf": self.sublinear_tf, "dtype": np.float32}
        return TfidfVectorizer(**words, **options)

    def _scaled(self, X):
        return X * np.float32(np.sqrt(X.shape[1])) if self.scale == "sqrt" else X

    def _restore(self):
        self._vectorizer = self._new_vectorizer(vocabulary=self.state["vocabulary"])
        self._vectorizer.idf_ = self.arrays["idf"]
