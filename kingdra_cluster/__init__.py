"""Deep clustering by ensemble pseudo-labelling."""

__version__ = "0.1.0"
