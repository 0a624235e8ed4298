"""Clusters, predictions and recommendations from the concepts that notes on clients mention; see docs/analytics.md.

The input are CSV files, the output JSON files. No broker, ledger or warehouse is used, and nothing here runs in a
worker. scikit-learn and SciPy are imported here (extra `training`), so the command imports this package when it runs.
"""
