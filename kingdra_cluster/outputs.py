"""What a fitted ensemble hands to others: answers for new rows, a folder, a table, a model for elsewhere."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from kingdra_cluster.modes.base import predict_rows
from kingdra_cluster.pseudo_labels import aligned_average
from kingdra_cluster.saved_ensemble import load_ensemble, save_ensemble
from kingdra_cluster.spaces import columns
from kingdra_cluster.validation import check_rows


class Outputs:
    """Methods of `KingdraCluster` that only read what was learned: arguments that change later change no answer."""

    def predict_proba(self, X):
        """Return the mean probabilities of the aligned members, or the refined ones, shape (n, n_clusters).

        A row's answer does not depend on the other rows.
        """
        check_is_fitted(self, "members_")
        X = check_rows(self, X, reset=False)
        if self.refiner_ is not None:
            return self.refiner_.predict_proba(X)
        outputs = (predict_rows(model, columns(X, self.spaces_, member)) for member, model in enumerate(self.members_))
        return aligned_average(outputs, self.mappings_)

    def predict(self, X):
        """Return the most probable cluster of every row, shape (n,)."""
        return self.predict_proba(X).argmax(axis=1)

    def save(self, folder):
        """Save to a folder of JSON, ``.npz`` and ``.keras`` files, whole or not at all.

        Parameters
        ----------
        folder : path
            New, empty, or a saved estimator, which is replaced; not the working directory.
        """
        check_is_fitted(self, "members_")
        save_ensemble(self, folder)

    @classmethod
    def load(cls, folder):
        """Load what `save` wrote; nothing is unpickled and no code of the folder is run.

        A ``mode`` of the user's own, or a ``backbone`` that is a model, is not restored: it is None then.
        """
        return load_ensemble(cls, folder)

    def to_dataframe(self, index=None):
        """Return the labels of the training rows as a pandas DataFrame.

        Parameters
        ----------
        index : sequence of length n, optional
            Names of the rows, such as ``X.index``.

        Returns
        -------
        DataFrame
            ``label``, ``confidence`` (largest probability), ``sure`` (whether the row has a pseudo-label) and
            ``pseudo_label`` (``<NA>`` where it has none).
        """
        check_is_fitted(self, "pseudo_labels_")
        import pandas

        sure = self.pseudo_labels_ >= 0
        columns = {
            "label": self.labels_,
            "confidence": np.max(self.probabilities_, axis=1),
            "sure": sure,
            "pseudo_label": pandas.array(self.pseudo_labels_, dtype="Int64"),
        }
        table = pandas.DataFrame(columns, index=index)
        table.loc[~sure, "pseudo_label"] = pandas.NA
        return table

    def export(self, path, format="savedmodel", *, front=None):
        """Write scaling, members (or their refinement) and common names as one model that runs without this package.

        Parameters
        ----------
        path : path
            New folder of a SavedModel, or new ``.onnx`` file.
        format : {"savedmodel", "onnx"}, default="savedmodel"
            ONNX needs the extra ``onnx``.
        front : keras.Model, optional
            Makes rows of raw items and becomes a part of what is exported.

        Raises
        ------
        ValueError, FileExistsError, ImportError
            If the format is unknown or cannot be had, or there is something at ``path``.
        """
        check_is_fitted(self, "members_")
        from kingdra_cluster.exporting import averaged_model, export_model

        answering = (self.members_, self.mappings_, self.spaces_)
        if self.refiner_ is not None:
            answering = ([self.refiner_.classifier_], [range(self.n_clusters_)], None)
        export_model(averaged_model(*answering, self.n_features_in_, front), path, format)
