"""Which products to recommend to each customer, from a catalogue and purchases; see docs/recommendations.md.

catalogue.py and purchases.py check what sources.py reads; histories.py counts it as of a day. collaborative.py and
content.py find what goes together, features.py describes candidates by it, and ranking.py weighs the features, learned
on earlier days. recommender.py puts these together, reasons.py explains. Only `sources` knows files and databases.
"""
