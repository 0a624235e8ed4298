"""Decisions: whom to contact, with which offer, through which channel; and the ledger that records them.

Imports models, segments and features.
"""
