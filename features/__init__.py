"""The facts of a customer: columns of the data warehouse, their cache, and signals from conversations.

The lowest layer: it imports no other package of Holdfast.
"""
