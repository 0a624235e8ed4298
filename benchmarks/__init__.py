"""Benchmarks: every claim is a ratio of two figures measured in one run. Nothing here is part of the product."""
