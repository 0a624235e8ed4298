"""A served model over time: drift of features and scores, quality by cohort of matured outcomes, retrain advice.

The console imports it where no extra is installed: it imports neither scikit-learn nor TensorFlow nor matplotlib.
"""
