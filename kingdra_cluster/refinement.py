"""The last stage of `KingdraCluster`: RUC refines what the ensemble found."""

import json
import shutil
import warnings
from hashlib import sha256

import keras
import numpy as np
from joblib import delayed
from sklearn.base import clone

from kingdra_cluster.exceptions import CollapseWarning
from kingdra_cluster.members import require_threads
from kingdra_cluster.modes import RUC
from kingdra_cluster.persistence import data_hash
from kingdra_cluster.saving import jsonable
from kingdra_cluster.shared_rows import opened


def refining_mode(refine, n_clusters):
    """Return an ensemble's ``refine`` with what the ensemble decides filled in, or None if it has none.

    Raises
    ------
    TypeError, ValueError
        If it is no `RUC`, or one of its arguments is out of range.
    """
    if refine is None:
        return None
    if not isinstance(refine, RUC):
        raise TypeError(f"refine must be a RUC or None; received {type(refine).__name__}")
    refiner = clone(refine)
    refiner.set_params(n_clusters=int(n_clusters), random_state=None, checkpoint_dir=None)
    refiner.check_parameters()
    return refiner


def refine(ensemble, X, *, seed, workers, checkpoints):
    """Refine the clustering of an ensemble after its last round.

    Parameters
    ----------
    ensemble : KingdraCluster
        Its probabilities and pseudo-labels are the start.
    X : array or CSR matrix of shape (n, n_features)
    seed : int
    workers : ThisProcess, MemberProcesses or DaskMembers
        Where members are trained: the refinement is, too, with as many threads.
    checkpoints : Checkpoints
        Its folder gets the finished refinement and, if it is to last, the state after every epoch.

    Returns
    -------
    RUC
        Fitted.
    """
    refiner = refining_mode(ensemble.refine, ensemble.n_clusters_)
    state = None if ensemble.checkpoint_dir is None else _state_folder(checkpoints.folder, refiner)
    refiner.set_params(random_state=seed, checkpoint_dir=state, verbose=ensemble.verbose)
    target = checkpoints.folder / "refined"
    clustering = (ensemble.probabilities_, ensemble.pseudo_labels_)
    model = None
    if isinstance(refiner.backbone, keras.Model):  # as a file: in an argument it would start TensorFlow in the worker,
        model = checkpoints.folder / "refine_backbone.keras"  # which has to claim its threads first
        refiner.backbone.save(model)
        refiner.set_params(backbone=None)
    workers([delayed(_fit)(X, *clustering, refiner, model, target, ensemble.threads_per_member)])
    return RUC.load(target).set_params(checkpoint_dir=None)  # the folder is the ensemble's


def _state_folder(folder, refiner):
    """Return where the state of a refinement is kept, after removing that of any other one."""
    settings = {name: jsonable(value) for name, value in refiner.get_params().items()}
    if isinstance(refiner.backbone, keras.Model):
        settings["backbone"] = [data_hash(weight) for weight in refiner.backbone.get_weights()]
    settings = json.dumps(settings, sort_keys=True)
    own = folder / f"refinement_{sha256(settings.encode()).hexdigest()[:16]}"
    for other in set(folder.glob("refinement_*")) - {own}:
        shutil.rmtree(other)
    return own


def _fit(X, probabilities, pseudo_labels, refiner, model, target, threads):
    require_threads(threads)
    if model is not None:
        refiner.set_params(backbone=keras.saving.load_model(model, compile=False, safe_mode=True))
    X, probabilities, pseudo_labels = map(opened, (X, probabilities, pseudo_labels))
    probabilities = np.clip(probabilities, 0.0, 1.0)  # a mean of float32 may round to more
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)  # the ensemble says so itself
        refiner.fit(X, probabilities, pseudo_labels=pseudo_labels)
    refiner.save(target)
