"""Consumers that do nothing with what they read, each a module to run: broker, topic, group and events are arguments.

Each prints one line of JSON, see stopwatch.py. Those of other makers run in an environment of their own, `.venv/peers`.
"""
