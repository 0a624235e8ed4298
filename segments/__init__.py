"""Segments: JSONLogic rules compiled to operations on columns, and the membership transitions they cause.

Imports features only.
"""
