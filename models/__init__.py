"""Scores: churn, lifetime value and next best offer by TFLite, RFM and sentiment by rule.

A task of a model is one module in models/tasks. Imports features only.
"""
