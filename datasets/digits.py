"""Handwritten digits: 1,797 images of 8 x 8, bundled with scikit-learn; nothing is downloaded."""

from sklearn.datasets import load_digits

from experiments.bunch import make_bunch


def load_data(data_home=None, *, images=False, subset=None, subset_seed=0):
    """Load the handwritten digits.

    Parameters
    ----------
    data_home : path-like, default=None
        Not used: the data comes with scikit-learn.
    images : bool, default=False
        Whether X holds images of shape (n, 8, 8) rather than rows of 64.
    subset : int, default=None
        Number of rows to draw; None keeps all.
    subset_seed : int, default=0
        Seed of that draw.

    Returns
    -------
    bunch : Bunch
        ``X`` float64 with values 0 to 16, ``y``, ``class_names``; no split.
    """
    digits = load_digits()
    return make_bunch(
        "digits",
        X=digits.images if images else digits.data,
        y=digits.target,
        class_names=digits.target_names,
        description="1,797 handwritten digits of 8 x 8, values 0 to 16",
        source="scikit-learn; test part of Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, UCI)",
        licence="CC BY 4.0",
        subset=subset,
        subset_seed=subset_seed,
        verified=True,
    )
