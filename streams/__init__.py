"""The Kafka edge: the worker that turns events into decisions. Start at pipeline.py.

Imports campaigns, models, segments and features; only console imports it.
"""
