"""Models of texts, trained on labelled texts. Read run.py first.

May import training.run and below; only training.__main__ imports it.
"""
