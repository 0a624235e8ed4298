"""What a person reads about a run: the HTML report with its sections and plots, and the model card.

The run imports it, the console only report.model_card. It imports evaluation and draws with matplotlib.
"""
