"""How good and how fast the batch jobs of intelligence are on public data: `make bench-intelligence`.

Each part is a module with `measure(data)`, which returns its figures beside those of the baselines.
"""
