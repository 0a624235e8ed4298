"""Programs that are compared, each a module to run: broker, topic, group and events are arguments.

Each prints one line of JSON, see stopwatch.py. Those of other makers run in an environment of their own, `.venv/peers`.

nothing done: holdfast, stock_faust, quix, tuned_confluent count what comes, acknowledged where that is usual
JSON parsed: parse_confluent, parse_faust, parse_quix, parse_bytewax
the whole job: usual_faust and usual_quix, the way people write it (usual.py); own_code, Holdfast over stores in memory
"""
