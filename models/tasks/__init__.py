"""What each model answers when it serves: one module for each task, behind the protocol, and the registry.

models/registry.py, models/scores.py and the console import the registry. A task imports models/rules.py and what is
below it, never training.
"""
