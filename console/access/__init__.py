"""Who may do what in the console and its API: roles, accounts, sessions, keys and the audit log."""
