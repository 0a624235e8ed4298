"""Every setting, read once from the environment."""

from __future__ import annotations

import json
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from campaigns.kept_customers import KEPT
from features.extract_warehouse import SCHEMES
from features.warehouses import POSTGRESQL
from models.drift import LARGEST_PSI
from models.inputs import FEATURE_MAPPING, read_mapping
from models.leads import FULL, THRESHOLDS
from models.rfm import RISK_THRESHOLDS
from streams.connection_checks import check_connection
from streams.due_customers import DAY_COLUMNS, DAY_S, RECHECK_DAYS, Timing
from streams.errors import SettingsError
from streams.formats.codecs import FORMAT_NAMES
from streams.formats.validation import ID_FIELD, MAX_BATCH_BYTES, MAX_EVENT_BYTES, MAX_FUTURE_S
from streams.runtime.batching import BATCH_EVENTS
from streams.topic_descriptions import TOPICS

INPUT_TOPICS = tuple(topic.name for topic in TOPICS if topic.kind == "input")
LEADS_TOPIC, LEAD_ALERTS = "leads", "lead_alerts"
"""The topic of leads and the destination of alerts: used only where the settings ask for it."""
PERSONAL_COLUMNS = (
    *("name", "full_name", "first_name", "last_name", "email", "phone", "mobile", "address", "street", "postal_code"),
    *("birth_date", "date_of_birth"),
)
TRANSITIONS = "segment_transitions"
"""The destination of transitions, which are published only where the settings ask for it."""
OUTPUT_TOPICS = {topic.destination: topic.name for topic in TOPICS if topic.destination is not None}


class Settings(BaseSettings):
    """The settings of a worker or a command. The alias of a field is its environment variable."""

    model_config = SettingsConfigDict(frozen=True, populate_by_name=True, extra="ignore", hide_input_in_errors=True)

    broker: str = Field(
        "127.0.0.1:9092",
        alias="HOLDFAST_BROKER",
        description="Kafka bootstrap servers, host:port, comma-separated.",
    )
    kafka_security_protocol: str = Field(
        "plaintext",
        alias="HOLDFAST_KAFKA_SECURITY_PROTOCOL",
        pattern="^(plaintext|ssl|sasl_plaintext|sasl_ssl)$",
        description="plaintext, ssl, sasl_plaintext or sasl_ssl.",
    )
    kafka_sasl_mechanism: str = Field(
        "PLAIN",
        alias="HOLDFAST_KAFKA_SASL_MECHANISM",
        pattern="^(PLAIN|SCRAM-SHA-256|SCRAM-SHA-512)$",
        description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; used with the sasl_ protocols.",
    )
    kafka_username: str | None = Field(None, alias="HOLDFAST_KAFKA_USERNAME", description="SASL user name.")
    kafka_password: SecretStr | None = Field(
        None, alias="HOLDFAST_KAFKA_PASSWORD", repr=False, description="SASL password."
    )
    kafka_ca_file: Path | None = Field(
        None,
        alias="HOLDFAST_KAFKA_CA_FILE",
        description="PEM file of the CA certificates to verify Kafka's certificate with; default: the system's.",
    )
    kafka_cert_file: Path | None = Field(
        None, alias="HOLDFAST_KAFKA_CERT_FILE", description="PEM client certificate for mutual TLS."
    )
    kafka_key_file: Path | None = Field(
        None, alias="HOLDFAST_KAFKA_KEY_FILE", description="PEM key of the client certificate, without a password."
    )
    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        alias="HOLDFAST_REDIS_URL",
        repr=False,
        description="Redis that caches features; rediss:// for TLS.",
    )
    redis_ca_file: Path | None = Field(
        None,
        alias="HOLDFAST_REDIS_CA_FILE",
        description="PEM file of the CA certificates to verify Redis's certificate with; default: the system's.",
    )
    ledger_url: str = Field(
        "postgresql://127.0.0.1/ledger",
        alias="HOLDFAST_LEDGER_URL",
        repr=False,
        description="PostgreSQL database of the ledger.",
    )
    warehouse_url: str = Field(
        "postgresql://127.0.0.1/warehouse",
        alias="HOLDFAST_WAREHOUSE_URL",
        repr=False,
        description="Data warehouse, only read: a PostgreSQL URL, or csv:, parquet: or duckdb: and the path of a file.",
    )
    intelligence_url: str | None = Field(
        None,
        alias="HOLDFAST_INTELLIGENCE_URL",
        repr=False,
        description="PostgreSQL database with pgvector for the message store; default: the ledger's database.",
    )
    models_dir: Path | None = Field(
        None, alias="HOLDFAST_MODELS_DIR", description="Folder of trained models; without it the rules decide."
    )
    definitions_dir: Path | None = Field(
        None,
        alias="HOLDFAST_DEFINITIONS_DIR",
        description="Folder with segments/ and campaigns/; default: the shipped definitions.",
    )
    definitions: str = Field(
        "files",
        alias="HOLDFAST_DEFINITIONS",
        pattern="^(files|ledger)$",
        description="Where definitions are edited: files, those of the folder; ledger, versions in the ledger.",
    )
    concerns_file: Path | None = Field(
        None,
        alias="HOLDFAST_CONCERNS_FILE",
        description="JSON or YAML file of concerns and urgency in messages; default: the shipped ones.",
    )
    conversation_gap_h: float = Field(
        24,
        alias="HOLDFAST_CONVERSATION_GAP_H",
        gt=0,
        le=720,
        description="A silence of a customer and staff of so long begins another conversation in reports, h.",
    )
    group: str = Field("holdfast", alias="HOLDFAST_GROUP", description="Kafka consumer group of the workers.")
    topic_prefix: str = Field(
        "",
        alias="HOLDFAST_TOPIC_PREFIX",
        pattern=r"^[A-Za-z0-9._-]*$",
        description="Prefix of every topic's name.",
    )
    instance_id: str | None = Field(
        None,
        alias="HOLDFAST_INSTANCE_ID",
        description="Static group membership: an id of this worker, unique in the group and kept across restarts.",
    )
    session_timeout_s: float = Field(
        10,
        alias="HOLDFAST_SESSION_TIMEOUT_S",
        ge=1,
        le=1_800,
        description="A worker without heartbeats for so long loses its partitions, s; broker's minimum: usually 6 s.",
    )
    partitioner: str = Field(
        "murmur2_random",
        alias="HOLDFAST_PARTITIONER",
        pattern="^(murmur2|murmur2_random|consistent|consistent_random|fnv1a|fnv1a_random)$",
        description="Partitioner of your producers, by librdkafka's name; murmur2_random is Java's default.",
    )
    compression: str = Field(
        "none",
        alias="HOLDFAST_COMPRESSION",
        pattern="^(none|gzip|snappy|lz4|zstd)$",
        description="Codec of the batches that Holdfast publishes: none, gzip, snappy, lz4 or zstd.",
    )
    batch_events: int = Field(
        BATCH_EVENTS, alias="HOLDFAST_BATCH_EVENTS", ge=1, le=10_000, description="Maximum number of events in a batch."
    )
    batch_wait_ms: int = Field(
        5,
        alias="HOLDFAST_BATCH_WAIT_MS",
        ge=0,
        le=10_000,
        description="Longest wait for a batch to fill, ms. After a quiet period a batch does not wait.",
    )
    kept_customers: int = Field(
        KEPT,
        alias="HOLDFAST_KEPT_CUSTOMERS",
        ge=0,
        description="Most customers whose state in the ledger a worker keeps in memory; 0 reads it for each batch.",
    )
    max_event_bytes: int = Field(
        MAX_EVENT_BYTES,
        alias="HOLDFAST_MAX_EVENT_BYTES",
        ge=1_000,
        description="Maximum size of an event, bytes; a larger one becomes a dead letter.",
    )
    max_batch_bytes: int = Field(
        MAX_BATCH_BYTES,
        alias="HOLDFAST_MAX_BATCH_BYTES",
        ge=1_048_576,
        le=1_073_741_824,
        description="Maximum size of a decompressed batch of records, bytes; a larger one becomes one dead letter.",
    )
    max_future_s: float = Field(
        MAX_FUTURE_S,
        alias="HOLDFAST_MAX_FUTURE_S",
        ge=0,
        description="How far an event may be dated after its record's Kafka timestamp, s; others become dead letters.",
    )
    formats: Annotated[dict[str, str], NoDecode] = Field(
        {},
        alias="HOLDFAST_FORMATS",
        description="Formats of topics, as customer-updates=debezium,outcomes=native; detected for topics not named.",
    )
    customer_id_field: str = Field(
        ID_FIELD,
        alias="HOLDFAST_CUSTOMER_ID_FIELD",
        min_length=1,
        description="Field of the customer id in formats other than Holdfast's own JSON.",
    )
    schema_registry_url: str | None = Field(
        None,
        alias="HOLDFAST_SCHEMA_REGISTRY_URL",
        pattern="^https?://",
        repr=False,
        description="Schema registry for records in Confluent's wire format, http(s)://user:password@host:port.",
    )
    publish_transitions: bool = Field(
        False,
        alias="HOLDFAST_PUBLISH_TRANSITIONS",
        description="Publish each entry into a segment and each exit on the topic `segment-transitions`.",
    )
    withhold_expired: bool = Field(
        True,
        alias="HOLDFAST_WITHHOLD_EXPIRED",
        description="Withhold triggers that had expired when their event arrived; false for replays of old events.",
    )
    reevaluation_rate: float = Field(
        4_000,
        alias="HOLDFAST_REEVALUATION_RATE",
        gt=0,
        description="Most customers that `holdfast segments reevaluate` requests in a second.",
    )
    promotion_share: float = Field(
        0.05,
        alias="HOLDFAST_PROMOTION_SHARE",
        ge=0,
        le=1,
        description="The share of customers whom `holdfast models promote` may move across a band or a segment without "
        "`--yes`.",
    )
    recheck_days: float = Field(
        RECHECK_DAYS,
        alias="HOLDFAST_RECHECK_DAYS",
        ge=0,
        le=3_650,
        description="A customer without events is evaluated at least so often, days; 0: only when a rule will change.",
    )
    day_columns: Annotated[tuple[str, ...], NoDecode] = Field(
        DAY_COLUMNS,
        alias="HOLDFAST_DAY_COLUMNS",
        description="Columns of the view that grow by one a day, comma-separated or a JSON array; * is any text.",
    )
    day_begins: str = Field(
        "00:00",
        alias="HOLDFAST_DAY_BEGINS",
        pattern=r"^([01]\d|2[0-3]):[0-5]\d$",
        description="When these columns grow, hh:mm UTC: after the nightly load, or at midnight where the view is.",
    )
    due_rate: float = Field(
        5_000,
        alias="HOLDFAST_DUE_RATE",
        gt=0,
        description="Most customers that a worker claims in a second because they are due.",
    )
    due_clock: str = Field(
        "wall",
        alias="HOLDFAST_DUE_CLOCK",
        pattern="^(wall|events)$",
        description="What makes customers due: wall, the clock; events, the latest event time, to replay old events.",
    )
    due_claim_s: float = Field(
        120,
        alias="HOLDFAST_DUE_CLAIM_S",
        gt=0,
        description="A customer whose request was lost is claimed again after so long, s; longer than a request waits.",
    )
    retention_outbox_days: float = Field(
        7,
        alias="HOLDFAST_RETENTION_OUTBOX_DAYS",
        ge=0,
        description="Days for which messages are kept once they are sent; 0 keeps them.",
    )
    retention_decision_days: float = Field(
        400,
        alias="HOLDFAST_RETENTION_DECISION_DAYS",
        ge=0,
        description="Days for which decisions are kept; 0 keeps them.",
    )
    retention_seen_event_days: float = Field(
        90,
        alias="HOLDFAST_RETENTION_SEEN_EVENT_DAYS",
        ge=0,
        description="Days for which the ids of folded messages and outcomes are kept; 0 keeps them.",
    )
    retention_contact_days: float = Field(
        1100,
        alias="HOLDFAST_RETENTION_CONTACT_DAYS",
        ge=0,
        description="Days for which contacts and control exposures are kept; 0 keeps them.",
    )
    retention_dead_letter_days: float = Field(
        90,
        alias="HOLDFAST_RETENTION_DEAD_LETTER_DAYS",
        ge=0,
        description="Days for which dead letters are kept once they are resolved; 0 keeps them.",
    )
    retention_delivery_days: float = Field(
        90,
        alias="HOLDFAST_RETENTION_DELIVERY_DAYS",
        ge=0,
        description="Days for which deliveries and opt-outs are kept once they are reported; 0 keeps them.",
    )
    retention_campaign_hour_days: float = Field(
        90,
        alias="HOLDFAST_RETENTION_CAMPAIGN_HOUR_DAYS",
        ge=0,
        description="Days for which the hours that breakers count are kept; 0 keeps them.",
    )
    retention_message_days: float = Field(
        400,
        alias="HOLDFAST_RETENTION_MESSAGE_DAYS",
        ge=0,
        description="Days for which messages are kept in the message store, by their event time; 0 keeps them.",
    )
    retention_lead_days: float = Field(
        400,
        alias="HOLDFAST_RETENTION_LEAD_DAYS",
        ge=0,
        description="Days for which leads and their events are kept after the last one; 0 keeps them.",
    )
    retention_segment_size_days: float = Field(
        800,
        alias="HOLDFAST_RETENTION_SEGMENT_SIZE_DAYS",
        ge=0,
        description="Days for which the hourly sizes of segments are kept; 0 keeps them.",
    )
    retention_audit_days: float = Field(
        400,
        alias="HOLDFAST_RETENTION_AUDIT_DAYS",
        ge=0,
        description="Days for which the console's audit log is kept; 0 keeps it.",
    )
    cache_ttl_s: int = Field(
        86_400, alias="HOLDFAST_CACHE_TTL_S", ge=1, description="Time to live of a cached customer, s."
    )
    health_host: str = Field(
        "127.0.0.1",
        alias="HOLDFAST_HEALTH_HOST",
        description="Address that serves /health and /metrics; use 0.0.0.0 in a container that is probed from outside.",
    )
    health_port: int = Field(
        8080,
        alias="HOLDFAST_HEALTH_PORT",
        ge=0,
        le=65_535,
        description="Port of /health and /metrics; 0 chooses a free port.",
    )
    traces: bool = Field(
        False,
        alias="HOLDFAST_TRACES",
        description="Export traces of batches, with the extra `tracing`; OTEL_EXPORTER_OTLP_ENDPOINT says where to.",
    )
    stuck_after_s: float = Field(
        120,
        alias="HOLDFAST_STUCK_AFTER_S",
        ge=1,
        description="A consumer with lag that commits nothing for this long is stuck, and /health reports it, s.",
    )
    shutdown_s: float = Field(
        25,
        alias="HOLDFAST_SHUTDOWN_S",
        ge=1,
        description="Longest time for a shutdown, s; after it the worker exits with code 75.",
    )
    log_level: str = Field(
        "info",
        alias="HOLDFAST_LOG_LEVEL",
        pattern="^(debug|info|warning|error)$",
        description="Lowest level that is logged.",
    )
    experiment_check_s: float = Field(
        300,
        alias="HOLDFAST_EXPERIMENT_CHECK_S",
        ge=1,
        le=86_400,
        description="How often a worker looks whether the challenger of an experiment is clearly worse, s.",
    )
    live_drift_psi: float = Field(
        LARGEST_PSI,
        alias="HOLDFAST_LIVE_DRIFT_PSI",
        ge=0,
        le=100,
        description="PSI of a feature or score of the customers decided about, above which drift is reported; 0: off.",
    )
    features_table: str = Field(
        "customer_features_view",
        alias="DWH_CUSTOMER_FEATURES_TABLE",
        description="View or table with one row per customer.",
    )
    customer_id_column: str = Field(
        "customer_id",
        alias="DWH_CUSTOMER_ID_COLUMN",
        min_length=1,
        description="Column of customer ids in that view: text, an integer or a UUID.",
    )
    updated_at_column: str | None = Field(
        None,
        alias="DWH_UPDATED_AT_COLUMN",
        min_length=1,
        description="Column with the time of a row's last change: an older row than its event is read again.",
    )
    replica_tolerance_s: float = Field(
        1.0,
        alias="HOLDFAST_REPLICA_TOLERANCE_S",
        ge=0,
        description="How much older than its event a row may be, s; for DWH_UPDATED_AT_COLUMN.",
    )
    replica_wait_s: float = Field(
        2.0,
        alias="HOLDFAST_REPLICA_WAIT_S",
        ge=0,
        le=60,
        description="How long a batch waits for newer rows at most, s; then it is decided with the fact stale.",
    )
    personal_columns: Annotated[tuple[str, ...], NoDecode] = Field(
        PERSONAL_COLUMNS,
        alias="HOLDFAST_PERSONAL_COLUMNS",
        description="Columns that identify a customer, comma-separated; the console shows them to care and admins.",
    )
    console_host: str = Field(
        "127.0.0.1",
        alias="HOLDFAST_CONSOLE_HOST",
        pattern=r"^[A-Za-z0-9.:_-]+$",
        description="Address that the console listens on.",
    )
    console_port: int = Field(
        8700, alias="HOLDFAST_CONSOLE_PORT", ge=0, le=65_535, description="Port that the console listens on."
    )
    console_url: str | None = Field(
        None,
        alias="HOLDFAST_CONSOLE_URL",
        pattern="^https?://",
        description="Address of the console in browsers, where a proxy stands before it; the proxy ends TLS.",
    )
    console_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        ("127.0.0.1", "::1"),
        alias="HOLDFAST_CONSOLE_PROXIES",
        description="Addresses or networks of the proxies of HOLDFAST_CONSOLE_URL, comma-separated; only they may say "
        "who a request comes from.",
    )
    console_patience_s: float = Field(
        3,
        alias="HOLDFAST_CONSOLE_PATIENCE_S",
        gt=0,
        le=60,
        description="Longest wait of the console for a service that it asks for the state of the deployment, s.",
    )
    console_access: str = Field(
        "accounts",
        alias="HOLDFAST_CONSOLE_ACCESS",
        pattern="^(accounts|open)$",
        description="accounts: everybody signs in; open: no sign-in, everybody is an admin; on loopback only.",
    )
    console_oidc_issuer: str | None = Field(
        None,
        alias="HOLDFAST_CONSOLE_OIDC_ISSUER",
        description="OpenID provider that people may sign in with: its issuer, https://...; passwords work as well.",
    )
    console_oidc_client_id: str | None = Field(
        None, alias="HOLDFAST_CONSOLE_OIDC_CLIENT_ID", description="Client id of the console at that provider."
    )
    console_oidc_client_secret: SecretStr | None = Field(
        None,
        alias="HOLDFAST_CONSOLE_OIDC_CLIENT_SECRET",
        repr=False,
        description="Client secret of the console at that provider.",
    )
    console_oidc_role_claim: str = Field(
        "holdfast_role",
        alias="HOLDFAST_CONSOLE_OIDC_ROLE_CLAIM",
        min_length=1,
        description="Claim of the ID token that has the role, or a list with it; dots lead into objects. No role, no "
        "entry.",
    )
    console_rate_per_minute: int = Field(
        6_000,
        alias="HOLDFAST_CONSOLE_RATE_PER_MINUTE",
        ge=0,
        description="Requests to the API that an account may send in a minute; 0 sets no limit.",
    )
    private_columns: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        alias="HOLDFAST_PRIVATE_COLUMNS",
        description="Columns of that view that are never read, comma-separated or a JSON array: not facts, not cached.",
    )
    nbo_training_query: str | None = Field(
        None,
        alias="DWH_NBO_TRAINING_QUERY",
        description="Your SQL for next-best-offer training, with :start_date.",
    )
    churn_training_query: str | None = Field(
        None, alias="DWH_CHURN_TRAINING_QUERY", description="Your SQL for churn training, with :start_date."
    )
    ltv_training_query: str | None = Field(
        None, alias="DWH_LTV_TRAINING_QUERY", description="Your SQL for lifetime value training, with :start_date."
    )
    uplift_training_query: str | None = Field(
        None,
        alias="DWH_UPLIFT_TRAINING_QUERY",
        description="Your SQL for uplift training, with :start_date; unset reads the ledger's exposures.",
    )
    next_purchase_training_query: str | None = Field(
        None,
        alias="DWH_NEXT_PURCHASE_TRAINING_QUERY",
        description="Your SQL for next-purchase training, with :start_date.",
    )
    catalog: str = Field(
        "products",
        alias="DWH_CATALOG",
        min_length=1,
        description="Catalogue for `holdfast recommend`: table or query of the warehouse, or a .csv file.",
    )
    purchases: str = Field(
        "purchases",
        alias="DWH_PURCHASES",
        min_length=1,
        description="Purchases for `holdfast recommend`: table or query of the warehouse, or a .csv file.",
    )
    history_query: str | None = Field(
        None,
        alias="DWH_HISTORY_QUERY",
        min_length=1,
        description="Your SQL for customers' rows at past times, with :customer_ids and :as_of; for `holdfast replay`.",
    )
    feature_mapping: Annotated[dict[str, str], Field(min_length=1), NoDecode] = Field(
        dict(FEATURE_MAPPING),
        alias="ML_FEATURE_MAPPING",
        description="JSON object: feature name of the models to column of the view.",
    )
    model_input_size: int | None = Field(
        None,
        alias="ML_MODEL_INPUT_SIZE",
        ge=1,
        description="Number of features that the models must take; checked if set.",
    )
    churn_risk_thresholds: Annotated[tuple[float, float, float], NoDecode] = Field(
        RISK_THRESHOLDS,
        alias="HOLDFAST_CHURN_RISK_THRESHOLDS",
        description="From which probability of churn on the risk is medium, high and critical, comma-separated.",
    )
    leads: bool = Field(
        False,
        alias="HOLDFAST_LEADS",
        description="Read the topic `leads`, score leads and alert of hot ones; the same for all workers of a group.",
    )
    lead_thresholds: Annotated[tuple[float, float], NoDecode] = Field(
        THRESHOLDS,
        alias="HOLDFAST_LEAD_THRESHOLDS",
        description="From which score, 0 to 100, a lead is warm and hot, comma-separated.",
    )
    mock_mode: bool = Field(
        False, alias="ML_MOCK_MODE", description="Deterministic sample predictions without model files."
    )

    @field_validator("feature_mapping", mode="before")
    @classmethod
    def _read_mapping(cls, value: Any) -> Any:
        return read_mapping(value) if isinstance(value, str) else value

    @field_validator("console_proxies")
    @classmethod
    def _are_networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for each in proxies:
            ip_network(each)
        return proxies

    @field_validator("formats", mode="before")
    @classmethod
    def _read_formats(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        return {topic.strip(): name.strip().lower() for topic, _, name in pairs}

    @field_validator("formats")
    @classmethod
    def _are_formats(cls, formats: dict[str, str]) -> dict[str, str]:
        for topic, name in formats.items():
            # Leads have Holdfast's own JSON alone.
            topics = [each for each in INPUT_TOPICS if each != LEADS_TOPIC]
            if topic not in topics or name not in FORMAT_NAMES:
                raise ValueError(
                    f"{topic}={name} is not TOPIC=FORMAT; topics are {', '.join(topics)}, formats are "
                    f"{', '.join(FORMAT_NAMES)}"
                )
        return formats

    @field_validator("churn_risk_thresholds", mode="before")
    @classmethod
    def _read_thresholds(cls, value: Any) -> Any:
        try:
            medium, high, critical = map(float, value.split(",") if isinstance(value, str) else value)
            ascending = 0 < medium <= high <= critical <= 1
        except ValueError:
            ascending = False
        if not ascending:
            raise ValueError("must be three probabilities above 0 in ascending order, as 0.4,0.7,0.85")
        return (medium, high, critical)

    @field_validator("lead_thresholds", mode="before")
    @classmethod
    def _read_lead_thresholds(cls, value: Any) -> Any:
        try:
            warm, hot = map(float, value.split(",") if isinstance(value, str) else value)
            ascending = 0 < warm <= hot <= FULL
        except ValueError:
            ascending = False
        if not ascending:
            raise ValueError("must be two scores above 0, up to 100, in ascending order, as 50,80")
        return (warm, hot)

    @field_validator("private_columns", "personal_columns", "day_columns", "console_proxies", mode="before")
    @classmethod
    def _read_names(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if not value.lstrip().startswith("["):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError("must be names separated by commas, or a JSON array of names") from error

    @field_validator("private_columns")
    @classmethod
    def _spares_the_id(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if (id_column := info.data.get("customer_id_column")) in names:
            raise ValueError(f"{id_column} cannot be private: events are matched to rows by it")
        return names

    @field_validator("warehouse_url")
    @classmethod
    def _is_warehouse_url(cls, url: str) -> str | None:
        scheme, separator, path = url.partition(":")
        if not separator or scheme in POSTGRESQL:
            return cls._is_postgresql_url(url)
        if scheme not in SCHEMES or not path.removeprefix("//"):
            raise ValueError(
                "must be postgresql://user:password@host:port/database, or csv:, parquet: or duckdb: and a path"
            )
        return url

    @field_validator("ledger_url", "intelligence_url")
    @classmethod
    def _is_postgresql_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        try:
            conninfo_to_dict(url)
            understood = url.startswith(("postgresql://", "postgres://"))
        except psycopg.ProgrammingError:  # its message quotes the URL and a password in it
            understood = False
        if not understood:
            raise ValueError("must be postgresql://user:password@host:port/database, special characters as %XX")
        return url

    @field_validator("models_dir", "definitions_dir")
    @classmethod
    def _is_no_file(cls, folder: Path | None) -> Path | None:
        if folder is not None and folder.is_file():
            raise ValueError(f"{folder} is a file; name a folder")
        return folder

    @property
    def conversation_gap(self) -> timedelta:
        """The silence that begins another conversation."""
        return timedelta(hours=self.conversation_gap_h)

    @property
    def store_url(self) -> str:
        """PostgreSQL database of the message store."""
        return self.intelligence_url or self.ledger_url

    @property
    def retention_days(self) -> dict[str, float]:
        """How long rows are kept, in days, by table; 0 keeps them."""
        written = ("outbox", "decision", "seen_event", "contact", "dead_letter", "delivery")
        tables = (*written, "campaign_hour", "lead", "segment_size", "audit")
        return {table: getattr(self, f"retention_{table}_days") for table in tables}

    @property
    def input_topics(self) -> tuple[str, ...]:
        """The topics read, as named on the broker; that of leads only where the settings ask for it."""
        return tuple(self.topic_prefix + name for name in INPUT_TOPICS if self.leads or name != LEADS_TOPIC)

    @property
    def timing(self) -> Timing:
        """What decisions know of time."""
        hours, minutes = map(int, self.day_begins.split(":"))
        return Timing(round(self.recheck_days * DAY_S), self.day_columns, (60 * hours + minutes) * 60)

    @property
    def output_topics(self) -> dict[str, str]:
        """The topics written, by the destination of a message."""
        return {
            destination: self.topic_prefix + name
            for destination, name in OUTPUT_TOPICS.items()
            if (self.publish_transitions or destination != TRANSITIONS) and (self.leads or destination != LEAD_ALERTS)
        }


def load_settings(**overrides: Any) -> Settings:
    """Read the environment.

    Raises:
        SettingsError: a variable has a value that cannot be used; the message names it.
    """
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        problem = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{name}: {problem}; see docs/settings.md") from error
    check_connection(settings)
    return settings
