"""The worker's runtime: batching, stages, partition leases, retries, poison records, the outbox relay. No Kafka client.

Imports the pipeline, observability and formats; kafka/ and services.py import it.
"""
