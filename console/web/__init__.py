"""The console and its API over HTTP."""
