"""How good a model is on later rows: baselines, metrics, confidence intervals, off-policy values and promotion gates.

nets, report, monitoring and the run may import it; it imports data and tasks, never TensorFlow.
"""
