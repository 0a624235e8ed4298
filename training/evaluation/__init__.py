"""How good a model is on later rows: baselines, metrics, confidence intervals, off-policy values and promotion gates.

nets, report, monitoring, tasks and the run may import it; it imports data, never TensorFlow.
"""
