"""Who belongs where: JSONLogic rules compiled to column programs, and the transitions they cause.

Imports features only.
"""
