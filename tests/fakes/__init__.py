"""In-memory fakes, one module per port; each passes the contract suite of its port."""
