"""Kafka adapters: the Faust app and its consumer, connections, topics, and the transactional publisher.

The only part of streams that imports faust, aiokafka or confluent_kafka clients for data. Imports runtime and below;
only services.py imports it.
"""
