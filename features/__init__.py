"""What we know of a customer: warehouse columns, their cache, and signals from conversations.

The lowest layer: it imports no other package of Holdfast.
"""
