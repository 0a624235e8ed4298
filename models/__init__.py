"""Scores: churn, lifetime value and next best offer by TFLite, RFM and sentiment by rule.

Imports features only.
"""
