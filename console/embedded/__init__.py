"""Real services for one machine: Kafka, Redis and PostgreSQL with pgvector, without Docker.

`holdfast up`, the demo and the tests start here; a deployment never does, it is given URLs. Read `services`
first. Everything runs as plain subprocesses of the caller, listens on 127.0.0.1 only and keeps its data in
one folder. Needs the extra `local`. Only the rest of `console` and the tests may import it.
"""
