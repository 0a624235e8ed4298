"""Writes docs/settings.md from the code: `python -m tests.settings_table`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streams.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
HEAD = """# Settings

Every setting is an environment variable, read once when a command starts. A value that cannot be used ends the
command with one sentence that names the variable, and exit code 2. `holdfast up` prints the variables that reach
its services.

This page is written from `streams/settings.py` by `python -m tests.settings_table`, and a test compares the two.

"""
CONNECTIONS = """
## Connections

Passwords are read from these variables and nowhere else; no log, error or `repr` contains them. Settings that
contradict each other (a user name without SASL, a certificate without its key, a file that is not there) are refused
at the start. Certificates and host names are always checked.

**Kafka.** `HOLDFAST_KAFKA_SECURITY_PROTOCOL` selects the protocol: `ssl` uses the certificate and key files for mutual
TLS, the `sasl_` protocols use mechanism, user name and password. With `sasl_plaintext` the connection is not encrypted,
and the mechanism `PLAIN` then sends the password in clear text: use it on loopback only. On a broker with ACLs:

- a worker needs Read on the input topics, Write on the outgoing ones, Read on its group and on groups that begin with
  the group's name and `.outbox.`, Write on transactional ids that begin the same way.
  DescribeConfigs on the outgoing topics lets it compare them with their description; without it the worker does not;
- `holdfast topics create` needs Create on the topics, `holdfast campaigns launch` Write on `evaluations`;
- `holdfast replay` needs Read on the input topics, Write on `campaign-triggers.shadow`, Describe on the workers' group;
  with `--live` Write on `evaluations`, too;
- `holdfast dead-letters requeue` needs Write on the input topics, Read on `dead-letters`, Read on groups that begin
  with the group's name and `.requeue.`, Write on transactional ids that begin the same way.

**Redis.** TLS and ACL users go in the URL: `rediss://user:password@host:6379/0`, special characters as %XX;
`HOLDFAST_REDIS_CA_FILE` names the CA if it is not one of the system's. This user is sufficient:

    ACL SETUSER holdfast on >password resetkeys ~holdfast:features:* -@all
        +mget +get +set +unlink +evalsha +script|load +select +ping

**PostgreSQL.** Both URLs take libpq's parameters:
`postgresql://user:password@host/ledger?sslmode=verify-full&sslrootcert=/etc/holdfast/ca.pem`, and `sslcert` and
`sslkey` for a client's certificate. libpq checks the server only with `sslmode=verify-full`.

The warehouse's role needs `USAGE` on the view's schema and `SELECT` on the view. With
`HOLDFAST_PRIVATE_COLUMNS`, `SELECT` on the other columns is enough. Workers and `holdfast explain` never select private
columns; training and model previews run queries of their own. Rows that were cached before a column became private
stay in Redis for `HOLDFAST_CACHE_TTL_S` at most: flush its database to remove them now. The ledger has an owner, who
runs `holdfast ledger migrate`, and a role for workers that owns nothing: `campaigns/roles.sql` grants it what it needs.
Such a worker refuses to start if the ledger's schema is behind. Run `roles.sql` again after every migration. With
`--set operator=1` it grants what `segments activate` and `reevaluate`, `campaigns launch` and `resume`, `replay` and
`dead-letters` need, and with `--set deliver=1` what `holdfast deliver` needs;
`--set forget=1` and `--set prune=1` are for the roles of the commands of these names ([retention](retention.md)), and
`--set console=1` is for `holdfast console`, next to `operator` and `forget` where people may do that there.
`--set insights=1` is for the role that writes the facts of `holdfast clusters run` and `recommend run`, and
`--set search=1` for people who use `holdfast search`, `similar` and `voice`. All of them grant what they need of the
message store, too, where it is in the ledger's database. `holdfast messages sync`, `clusters run` and `voice discover`
make tables and indexes in it, so they need the role that ran `holdfast messages migrate`.
`holdfast prune` and `forget` also need Describe on the input topics, and Read on them and on the workers' group for
`prune`.

**Delivery.** `holdfast deliver` reads the addresses and secrets of its channels from variables that are named after
them: [delivery](delivery.md#configuration).
"""


def render_page() -> str:
    """Return the page: one row for each field of the settings."""
    rows = ["| variable | default | meaning |", "| --- | --- | --- |"]
    rows += [
        f"| `{field.alias}` | {_tell_default(field.default)} | {field.description} |"
        for field in Settings.model_fields.values()
    ]
    return HEAD + "\n".join(rows) + "\n" + CONNECTIONS


def _tell_default(default: Any) -> str:
    if default is None or default == "":
        return ""
    if isinstance(default, bool | dict):
        return f"`{json.dumps(default)}`"
    return f"`{default}`"


if __name__ == "__main__":
    PAGE.write_text(render_page(), encoding="utf-8")
