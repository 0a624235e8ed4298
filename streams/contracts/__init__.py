"""What Holdfast reads and publishes, as others may rely on it: JSON Schemas and an AsyncAPI document.

`messages.py` lists every message with its schema; `asyncapi.py` writes the document; `compatibility.py` says what a
change breaks. Pure. Nothing of the worker imports it.
"""
