"""Rows to learn from: warehouse queries, point-in-time snapshots of orders, time splits, RFM cut points.

Every other part of training may import it; it imports the protocol of a task and the errors only.
"""
