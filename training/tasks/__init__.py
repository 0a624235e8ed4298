"""What can be learned: one module for each task, behind the protocol of training/task.py, and the registry.

__main__ and the console import the registry; a task imports data, evaluation and report. The lower layers
take a task as an argument and import none.
"""
