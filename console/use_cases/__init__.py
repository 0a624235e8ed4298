"""What operators can do and query: each use case is a function that takes values and returns values.

No click, no printing: console/cli is one way to call them, an HTTP API would be another. The use cases of models are in
console/models.py and training/.
"""
