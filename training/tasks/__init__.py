"""What can be learned (churn, ltv, nbo): SQL, targets, likelihoods and the rule each model has to replace.

Every part of training may import it; it imports no other part.
"""
