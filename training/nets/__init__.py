"""Keras nets: preprocessing, architecture, likelihoods, fitting, model selection, tuning and the TFLite export.

Only the run and benchmarks import it. It imports evaluation, data and tasks; it is the only part with TensorFlow.
"""
