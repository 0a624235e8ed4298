"""What an operator sees of a worker: health, liveness, lag, metrics and logs.

Imports formats only; every part above may import it.
"""
