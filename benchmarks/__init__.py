"""Measurements: every claim is a ratio of two things measured in one run. Nothing here is part of the product."""
