"""Kingdra: an ensemble of clustering networks, pseudo-labels where they agree, and so round after round."""

import warnings
from copy import copy

from sklearn.base import BaseEstimator, ClusterMixin, clone

from kingdra_cluster.checkpoints import Checkpoints, fit_identity, seed_of_fit
from kingdra_cluster.cluster_count import estimate_n_clusters, most_stable
from kingdra_cluster.exceptions import CollapseWarning
from kingdra_cluster.members import member_classifier, member_parameters
from kingdra_cluster.modes import MODES
from kingdra_cluster.modes.base import ClusteringMode, clusterer_tags, learn_scale
from kingdra_cluster.outputs import Outputs
from kingdra_cluster.parallel import member_workers
from kingdra_cluster.progress import count_line, detail_line, report, round_line
from kingdra_cluster.refinement import refine, refining_mode
from kingdra_cluster.rounds import train_rounds
from kingdra_cluster.spaces import check_spaces, columns, each_space
from kingdra_cluster.validation import check_choice, check_ensemble, check_rows, plain_numbers


class KingdraCluster(ClusterMixin, Outputs, BaseEstimator):
    """Clustering by ensemble pseudo-labelling.

    Several networks cluster the rows without supervision.  The rows on which they agree become
    pseudo-labels, with which the networks train on, semi-supervised; then the round repeats.

    Parameters
    ----------
    n_clusters : int or "auto", default=10
        "auto" takes the estimate of `estimate_n_clusters`, kept as ``cluster_count_``: of several ``spaces`` that of
        the one whose communities are the most stable.
    mode : str or ClusteringMode, default="ladder"
        What a member is: a name in `kingdra_cluster.MODES` or an estimator of that kind with other hyper-parameters.
        Its ``n_clusters``, ``scale``, ``random_state``, ``verbose`` and ``checkpoint_dir`` are set by the ensemble.
    n_members : int, default=10
    n_rounds : int, default=2
        Trainings in all, the first one included.
    start : {"communities", None}, default="communities"
        What the first round teaches: communities of the graph of nearest neighbours, each member's of its own graph,
        or (as published) nothing, so that it is unsupervised.
    start_balance : float or None, default=None
        How strongly the communities are pushed towards like sizes: 0.5 for groups that differ much; 1 (the mutual
        information of neighbours) for even ones.  None chooses by the sizes that 0.5 finds.
    start_votes : int, default=100
        Communities that vote with the members on what "consensus" teaches in later rounds: the best fifth of those of
        the rows as the members have learnt to see them, or, where these do not agree, the balance is 0.5 or there are
        ``spaces``, more starts, in the second round.  0: the members vote alone, as on more than 100,000 rows.
    epochs_first_round, epochs_per_round : int or None, default=None
        Epochs of the first and of every unsupervised round, and of the others; None makes three and two epochs at
        least, and 500 and 250 steps.
    labeller : str, default="consensus"
        Rule that finds the sure rows: a name in `labellers.LABELLERS`.  "consensus" aligns the members and takes
        the rows of every cluster that most of them hold, and teaches nine tenths of every cluster; "cores" teaches
        the sure rows alone, for members that start from nothing; "published" takes dense cores of the similarity
        graph, equally many rows of each.
    low_agreement : int, default=1
        Published rule: two rows are far apart if at most this many members put them together.
    high_agreement : int or None, default=None
        Published rule: two rows are surely together if more members than this say so; None: if all do.
    confidence_threshold : float, default=0.0
        A row takes part in the graph only if every member's largest probability is above this.
    shared_mapping : bool, default=False
        Name the sure rows' clusters for all members as the last member does, or for each as it does itself.
    mi_weight_later : float or None, default=0.0
        The mode's ``mi_weight``, if it has one, in every round that teaches; None keeps it.  It asks for clusters of
        equal size.
    spaces : list of slice or None, default=None
        Feature spaces as columns of X, such as ``[slice(0, 2000), slice(2000, 2384)]`` (or pairs of integers): member
        0 sees the first, member 1 the second and so on in turn.  None: all see all of X.
    scale : {"rms", None}, default="rms"
        Divide X, or each space, by its root mean square over all entries, or leave it alone.
    tol : float or None, default=1e-3
        Stop when at most this share of the labels changes, in two supervised rounds in a row; None never stops early.
    refine : RUC or None, default=None
        Refines the ensemble's answer after the last round, on all columns of X.  Its ``n_clusters``, ``random_state``,
        ``verbose`` and ``checkpoint_dir`` are set by the ensemble.
    n_jobs : int or None, default=None
        Worker processes for the members, as in scikit-learn.  Inside ``joblib.parallel_config("dask")`` the members
        are trained by the workers of the cluster, which need ``checkpoint_dir`` on a disk that all of them share.
    threads_per_member : int, default=1
        TensorFlow's threads for each member, wherever it is trained.
    checkpoint_dir : path or None, default=None
        Folder for the state after every member and round.  If it holds the state of a fit of the same
        data and settings, ``fit`` goes on from there.
    callbacks : sequence of callables or None, default=None
        Each is called as ``callback(estimator, record)`` after every round; ``record`` is the last entry of
        ``history_``, and the other attributes hold the state after that round.  A resumed fit first calls them
        with the round that it found.
    random_state : int, RandomState or None, default=None
        Drives weights, order and noise.  The same integer gives the same bits, whatever ``n_jobs``.
    verbose : int, default=0
        1 prints a line a round, 2 also its losses.

    Attributes
    ----------
    labels_ : (n,) int
        Cluster of every training row.
    probabilities_ : (n, n_clusters) float
        Mean probabilities of the aligned members, or those of the refined classifier.
    ensemble_labels_, ensemble_probabilities_
        The same before ``refine``.
    refiner_ : RUC or None
        Fitted.
    pseudo_labels_ : (n,) int
        Cluster, in the names of ``labels_``, of the sure rows: by the labeller "consensus" those that were sure in
        every round, as ``labels_`` and more than half of the members have them; -1 for the others.
    similarity_graph_ : SimilarityGraph
        Of the last round.
    history_ : list of dict
        An entry a round.
    members_ : list of keras.Model
        The members' plain classifiers, in their own names.
    mappings_ : (n_members, n_clusters) int
        Common name of every member's clusters.
    scale_ : float, or list of float where there are spaces
        Divides X, or each member's columns.
    spaces_ : list of slice or None
    n_clusters_, n_features_in_ : int
    cluster_count_ : ClusterCount or None
        The estimate behind ``n_clusters="auto"``.

    Notes
    -----
    With one job the members are trained in this process, whose TensorFlow is then given
    ``threads_per_member`` threads if it has not run yet.  The members' states (weights and the optimizer's
    two moments: 12 bytes a weight) of two rounds lie in ``checkpoint_dir``, or else in the temporary folder.

    References
    ----------
    Gupta, Ramjee, Kwatra, Sivathanu, "Unsupervised clustering using pseudo-semi-supervised learning", ICLR 2020.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from kingdra_cluster import KingdraCluster, LadderIM
    >>> X, _ = make_blobs(n_samples=300, centers=3, random_state=0)
    >>> mode = LadderIM(hidden_units=(32,), learning_rate=0.01)
    >>> model = KingdraCluster(
    ...     3, mode=mode, n_members=3, n_rounds=2, epochs_first_round=40, confidence_threshold=0.5, random_state=0
    ... ).fit(X)
    >>> model.labels_.shape
    (300,)
    """

    def __init__(
        self,
        n_clusters=10,
        *,
        mode="ladder",
        n_members=10,
        n_rounds=2,
        start="communities",
        start_balance=None,
        start_votes=100,
        epochs_first_round=None,
        epochs_per_round=None,
        labeller="consensus",
        low_agreement=1,
        high_agreement=None,
        confidence_threshold=0.0,
        shared_mapping=False,
        mi_weight_later=0.0,
        spaces=None,
        scale="rms",
        tol=1e-3,
        refine=None,
        n_jobs=None,
        threads_per_member=1,
        checkpoint_dir=None,
        callbacks=None,
        random_state=None,
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.mode = mode
        self.n_members = n_members
        self.n_rounds = n_rounds
        self.start = start
        self.start_balance = start_balance
        self.start_votes = start_votes
        self.epochs_first_round = epochs_first_round
        self.epochs_per_round = epochs_per_round
        self.low_agreement = low_agreement
        self.high_agreement = high_agreement
        self.confidence_threshold = confidence_threshold
        self.labeller = labeller
        self.shared_mapping = shared_mapping
        self.mi_weight_later = mi_weight_later
        self.spaces = spaces
        self.scale = scale
        self.tol = tol
        self.refine = refine
        self.n_jobs = n_jobs
        self.threads_per_member = threads_per_member
        self.checkpoint_dir = checkpoint_dir
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y=None):
        """Cluster the rows of X.

        Parameters
        ----------
        X : array-like, CSR matrix or memory-mapped array of shape (n, n_features)
            Any numeric type.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            Before any long work, if an argument, X or the folder of checkpoints is not as expected.
        """
        self.check_parameters()
        X = check_rows(self, X, reset=True)
        seed = seed_of_fit(self.random_state, self.checkpoint_dir)
        self.spaces_ = check_spaces(self.spaces, X.shape[1])
        workers = member_workers(self.n_jobs, self.threads_per_member)
        n_clusters, self.cluster_count_ = self.n_clusters, None
        if self.n_clusters == "auto":
            self.cluster_count_ = most_stable([estimate_n_clusters(x, seed=seed) for x in each_space(X, self.spaces)])
            n_clusters = self.cluster_count_.n_clusters
            if self.verbose:
                report(count_line(self.cluster_count_))
        settings = self._with_clusters(n_clusters)
        self.n_clusters_, mode = settings.n_clusters, settings._member_mode()
        scales = [learn_scale(seen, self.scale) for seen in each_space(X, self.spaces)]
        self.scale_ = scales[0] if self.spaces is None else scales
        identity = {} if self.checkpoint_dir is None else fit_identity(settings, mode, X, seed)
        checkpoints = Checkpoints(self.checkpoint_dir, identity)
        try:
            with workers:
                options = {"seed": seed, "scales": scales, "workers": workers, "checkpoints": checkpoints}
                for state in train_rounds(settings, mode, X, **options):
                    self._take(state)
                if self.refine is not None:
                    self.refiner_ = refine(self, X, seed=seed, workers=workers, checkpoints=checkpoints)
                    self.labels_, self.probabilities_ = self.refiner_.labels_, self.refiner_.probabilities_
            self.members_ = []
            for member in range(self.n_members):
                path = checkpoints.member_path(len(self.history_) - 1, member)
                shape = columns(X[:1], self.spaces, member).shape[1:]
                self.members_.append(member_classifier(mode, path, shape, scales[member % len(scales)]))
        finally:
            checkpoints.close()
        if empty := sorted(set(range(self.n_clusters_)) - set(self.labels_.tolist())):
            warnings.warn(
                f"clusters {empty} of {self.n_clusters_} lost all their rows; fewer n_clusters, mi_weight_later=None "
                "(which asks for balance) or more epochs_first_round may help",
                CollapseWarning,
                stacklevel=2,
            )
        return self

    def _take(self, state):
        """Show the state after a round, to the user and to the callbacks."""
        self.history_, self.refiner_ = state.history, None
        self.labels_ = self.ensemble_labels_ = state.labels
        self.probabilities_ = self.ensemble_probabilities_ = state.probabilities
        self.pseudo_labels_, self.mappings_ = state.pseudo_labels, state.mappings
        self.similarity_graph_ = state.graph
        if self.verbose:
            report(round_line(self.history_[-1], self.n_rounds, len(self.labels_), self.start))
        if self.verbose > 1:
            report(detail_line(self.history_[-1]))
        for callback in self.callbacks or ():
            callback(self, self.history_[-1])

    def check_parameters(self):
        """Raise on the first argument, of the ensemble, its mode or its refinement, that is out of range."""
        check_ensemble(self)
        settings = self._with_clusters(2) if self.n_clusters == "auto" else self
        member_parameters(settings._member_mode())
        refining_mode(self.refine, settings.n_clusters)

    def __sklearn_tags__(self):
        return clusterer_tags(super().__sklearn_tags__(), self.n_clusters)

    def _with_clusters(self, n_clusters):
        """Return a shallow copy with that number of clusters, its numbers those of Python, which JSON can hold."""
        settings = copy(self)
        vars(settings).update(plain_numbers(self.get_params(deep=False)), n_clusters=int(n_clusters))
        return settings

    def _member_mode(self):
        """Return the members' hyper-parameters, with what the ensemble decides filled in."""
        if isinstance(self.mode, ClusteringMode):
            mode = clone(self.mode)
        else:
            check_choice("mode", self.mode, MODES, other="an estimator such as LadderIM()")
            mode = MODES[self.mode]()
        if "checkpoint_dir" in mode.get_params():
            mode.set_params(checkpoint_dir=None)  # the ensemble keeps the members' states
        return mode.set_params(n_clusters=int(self.n_clusters), scale=self.scale, random_state=None, verbose=0)
