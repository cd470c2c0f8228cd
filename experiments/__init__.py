"""What `run_exp.py` needs besides the library: data sets, features, configurations, reports.

Not installed with the package.
"""
