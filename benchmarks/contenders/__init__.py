"""The programs compared, one runnable module each; arguments: broker, topic, group and number of events.

Each prints one line of JSON, see stopwatch.py. Third-party frameworks run in their own environment, `.venv/peers`.

consume only: holdfast, stock_faust, quix, tuned_confluent count records and acknowledge where the framework does so
JSON parsed: parse_confluent, parse_faust, parse_quix, parse_bytewax
exactly once on the JVM: kafka_streams, with nothing but JSON parsed, and with rules and memberships in a state store
the whole job: usual_faust and usual_quix, per-event baselines (baseline.py); own_code, Holdfast over in-memory stores
"""
