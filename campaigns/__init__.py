"""Whom to contact, with what, through which channel, and the ledger that remembers it.

Imports models, segments and features.
"""
