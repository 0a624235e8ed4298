"""In-memory stand-ins for the outside world, one module per port; each passes its port's contract suite."""
