"""The HTTP API: one module per resource, each with a `router`."""
