"""Long work that people start from the console: a row in the ledger, and a process that does it. The web imports it."""
