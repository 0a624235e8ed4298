"""What is learned from all customers at once: the voice of the customer, recommendations, clusters, search.

Batch jobs compute it next to the stream. What decisions read of it is a fact of each customer; see insights.py of
campaigns and docs/intelligence.md.
"""
