"""The tables. Times are Unix seconds, ids and names text, and no column ever holds a secret.

`access_keys.state` is active, suspended or revoked: that a key has expired follows from `expires_at` and
the time of asking. What changes here also needs a migration (a test compares the two).
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

Counter = BigInteger().with_variant(Integer, "sqlite")
"""Counts up by itself as a primary key; SQLite does so with INTEGER alone."""

# --- tenants ----------------------------------------------------------------------------------

organizations = Table(
    "organizations",
    metadata,
    Column("organization_id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("subscription_id", Text, primary_key=True),
    Column("organization_id", Text, ForeignKey("organizations.organization_id"), nullable=False),
    Column("locator", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("organization_id", "name"),
)

# The epoch rises with every change of a key of the region, or of an app that may come there. Its row is
# locked from the first such change of a transaction to the commit, so that epochs are committed in their
# order and a relay that asks for changes since an epoch misses none.
regions = Table(
    "regions",
    metadata,
    Column("name", Text, primary_key=True),
    Column("relay_url", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
)

# This row is locked while its keys are counted against the quota.
subscription_regions = Table(
    "subscription_regions",
    metadata,
    Column("subscription_id", Text, ForeignKey("subscriptions.subscription_id"), primary_key=True),
    Column("region", Text, ForeignKey("regions.name"), primary_key=True),
    Column("key_quota", Integer, nullable=False),
)

capabilities = Table(
    "capabilities",
    metadata,
    Column("subscription_id", Text, primary_key=True),
    Column("region", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    ForeignKeyConstraint(
        ["subscription_id", "region"],
        ["subscription_regions.subscription_id", "subscription_regions.region"],
    ),
)

# --- people -----------------------------------------------------------------------------------

# `role` is that in the organisation; `team_admin` here means: only in the subscriptions of `roles`.
users = Table(
    "users",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("organization_id", Text, ForeignKey("organizations.organization_id"), nullable=False),
    Column("email", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),  # Argon2id
    Column("role", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    CheckConstraint("role IN ('owner', 'member', 'team_admin')", "role"),
)

# Roles within one subscription: so far there is only the team administrator's.
roles = Table(
    "roles",
    metadata,
    Column("user_id", Text, ForeignKey("users.user_id"), primary_key=True),
    Column("subscription_id", Text, ForeignKey("subscriptions.subscription_id"), primary_key=True),
    Column("role", Text, nullable=False),
    CheckConstraint("role IN ('team_admin')", "role"),
)

# A token has at most its user's rights; `subscription_id` narrows a team_admin's token to one subscription.
api_tokens = Table(
    "api_tokens",
    metadata,
    Column("token_id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.user_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("role", Text, nullable=False),
    Column("subscription_id", Text, ForeignKey("subscriptions.subscription_id")),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
    Column("last_used_at", Double),
    CheckConstraint("role IN ('owner', 'member', 'team_admin')", "role"),
    Index("ix_api_tokens_user_id", "user_id"),
)

# A person's sign-in. The cookie has 256 random bits, of which only the hash is here; `session_id` names the
# session in lists and is no secret.
sessions = Table(
    "sessions",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("secret_hash", LargeBinary, nullable=False, unique=True),
    Column("user_id", Text, ForeignKey("users.user_id"), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("source", Text, nullable=False),  # the address that signed in
    Column("user_agent", Text, nullable=False),
    Index("ix_sessions_user_id", "user_id"),
)

# A link that makes whoever opens it a member of the organisation, once.
invitations = Table(
    "invitations",
    metadata,
    Column("invitation_id", Text, primary_key=True),
    Column("secret_hash", LargeBinary, nullable=False, unique=True),
    Column("organization_id", Text, ForeignKey("organizations.organization_id"), nullable=False),
    Column("email", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("subscription_id", Text, ForeignKey("subscriptions.subscription_id")),  # of a team_admin
    Column("created_at", Double, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("accepted_at", Double),
    CheckConstraint("role IN ('owner', 'member', 'team_admin')", "role"),
    Index("ix_invitations_organization_id", "organization_id"),
)

# --- keys -------------------------------------------------------------------------------------

access_keys = Table(
    "access_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("access_key_id", Text, nullable=False),
    Column("subscription_id", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("capability", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("connect_id", Text, unique=True),  # NULL once revoked: then the Connect URL is gone
    Column("epoch", BigInteger, nullable=False),  # the region's, at the last change of this key
    Column("created_at", Double, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
    Column("revoked_by", Text, nullable=False),
    Column("allowed_ports", JSON(none_as_null=True)),  # a sorted list of app ports; NULL: any
    Column("allowed_sources", JSON(none_as_null=True)),  # a list of CIDRs; NULL: any
    # What is seen of a key's use does not raise its epoch: no relay needs to know it.
    Column("last_used_at", Double),
    Column("last_used_from", Text),
    Column("last_used_instance", Text),
    Column("last_used_version", Text),
    Column("warned_days", Integer),  # 14, 7 or 1: the last warning that its expiry is near
    ForeignKeyConstraint(
        ["subscription_id", "region"],
        ["subscription_regions.subscription_id", "subscription_regions.region"],
    ),
    CheckConstraint("state IN ('active', 'suspended', 'revoked')", "state"),
    CheckConstraint("(state = 'revoked') = (connect_id IS NULL)", "connect_id_until_revoked"),
    CheckConstraint("(state = 'revoked') = (revoked_at IS NOT NULL)", "revoked_at_when_revoked"),
    Index("ix_access_keys_page", "subscription_id", "region", "created_at", "key_id"),
    Index("ix_access_keys_epoch", "region", "epoch"),
    Index(
        "uq_access_keys_name",
        "subscription_id",
        "region",
        "access_key_id",
        unique=True,
        sqlite_where=text("state <> 'revoked'"),
        postgresql_where=text("state <> 'revoked'"),
    ),
    Index("ix_access_keys_name", "subscription_id", "access_key_id", "region"),
)

unrevoked = access_keys.c.state != literal_column("'revoked'")
"""Spelled as in the unique index above, without a parameter: else no database would use it for counting."""

# Raw Ed25519 public keys of 32 bytes; the private ones were never here for longer than one answer. A rotation
# gives the secret that it replaces a `grace`; that turns into an `ends_at` when the new one is first used.
key_secrets = Table(
    "key_secrets",
    metadata,
    Column("key_id", Text, ForeignKey("access_keys.key_id"), primary_key=True),
    Column("public_key", LargeBinary, primary_key=True),
    Column("created_at", Double, nullable=False),
    Column("first_used_at", Double),
    Column("grace", Double),  # seconds; NULL: nothing replaces it
    Column("ends_at", Double),  # from then on it is replaced
)

# --- apps -------------------------------------------------------------------------------------

apps = Table(
    "apps",
    metadata,
    Column("app_id", Text, primary_key=True),
    Column("subscription_id", Text, ForeignKey("subscriptions.subscription_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("capability", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("subscription_id", "name"),
)

# At most one key per app, hence the primary key. It refers to the key_id, so it outlives a revoke and no
# later key of the same name inherits it.
associations = Table(
    "associations",
    metadata,
    Column("app_id", Text, ForeignKey("apps.app_id"), primary_key=True),
    Column("key_id", Text, ForeignKey("access_keys.key_id"), nullable=False),
    Column("created_at", Double, nullable=False),
    Index("ix_associations_key_id", "key_id"),
)

# Raw Ed25519 public keys of 32 bytes. Without a foreign key to the app: what is revoked outlives it, so that
# relays can say why. The columns of the last use are kept as those of keys are.
app_credentials = Table(
    "app_credentials",
    metadata,
    Column("credential_id", Text, primary_key=True),
    Column("app_id", Text, nullable=False),
    Column("subscription_id", Text, ForeignKey("subscriptions.subscription_id"), nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("revoked_at", Double),
    Column("revoked_by", Text, nullable=False),
    Column("last_used_at", Double),
    Column("last_used_from", Text),
    Column("last_used_version", Text),
    UniqueConstraint("app_id", "public_key"),
    Index("ix_app_credentials_subscription_id", "subscription_id", "revoked_at"),
)

# In which epoch of a region an app last changed, of those that have, or had, a credential: of others no relay
# knows. Without a foreign key to the app: its end is a change too.
app_changes = Table(
    "app_changes",
    metadata,
    Column("region", Text, ForeignKey("regions.name"), primary_key=True),
    Column("app_id", Text, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Index("ix_app_changes_epoch", "region", "epoch"),
)

# --- what was done ----------------------------------------------------------------------------

# Without foreign keys: an entry outlives what it tells of. Triggers refuse UPDATE and DELETE, and each entry
# has the hash of the one before it in the chain of its organisation (domain/audit_chain.py).
audit_events = Table(
    "audit_events",
    metadata,
    Column("event_id", Counter, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),  # from 1 in each organisation, without gaps
    Column("subscription_id", Text),  # NULL for what concerns no single subscription
    Column("region", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object_id", Text, nullable=False),
    Column("object_name", Text, nullable=False),
    Column("details", JSON, nullable=False),
    Column("previous_hash", LargeBinary, nullable=False),  # SHA-256, 32 bytes; zeros in the first
    Column("hash", LargeBinary, nullable=False),
    UniqueConstraint("organization_id", "sequence"),
    Index("ix_audit_events_page", "organization_id", "event_id"),
)

# The end of each organisation's chain, locked while a transaction appends to it.
audit_heads = Table(
    "audit_heads",
    metadata,
    Column("organization_id", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

# One row per finished stream; the oldest go first when there are too many, or when they are too old.
stream_records = Table(
    "stream_records",
    metadata,
    Column("record_id", Counter, primary_key=True, autoincrement=True),
    Column("subscription_id", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("access_key_id", Text, nullable=False),
    Column("tunnel_id", Text, nullable=False),
    Column("instance", Text, nullable=False),
    Column("port", Integer, nullable=False),
    Column("app_id", Text, nullable=False),  # empty: through the listener
    Column("source", Text, nullable=False),
    Column("opened_at", Double, nullable=False),
    Column("finished_at", Double, nullable=False),
    Column("bytes_in", BigInteger, nullable=False),
    Column("bytes_out", BigInteger, nullable=False),
    Column("setup_ms", Double),  # NULL: the agent never accepted
    Column("reason", Text, nullable=False),  # "closed", or the token of the RESET
    Index("ix_stream_records_page", "subscription_id", "record_id"),
    Index("ix_stream_records_finished_at", "finished_at"),
)

# Strangers at a relay's door: counted, for who is unknown must not fill the audit.
stranger_refusals = Table(
    "stranger_refusals",
    metadata,
    Column("region", Text, primary_key=True),
    Column("minute", BigInteger, primary_key=True),  # Unix seconds // 60
    Column("source", Text, primary_key=True),  # an address; empty: those beyond the bound, together
    Column("reason", Text, primary_key=True),
    Column("refusals", BigInteger, nullable=False),
)

# The relays that serve a region now, and up to which epoch they know its keys.
relays = Table(
    "relays",
    metadata,
    Column("relay_id", Text, primary_key=True),
    Column("region", Text, ForeignKey("regions.name"), nullable=False),
    Column("name", Text, nullable=False),  # for people: host and process
    Column("epoch", BigInteger, nullable=False),
    Column("seen_at", Double, nullable=False),
    Index("ix_relays_region", "region"),
)

# An Idempotency-Key, and what was made with it. The answer itself is not kept: it held a secret.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("caller_id", Text, primary_key=True),
    Column("idempotency_key", Text, primary_key=True),
    Column("object_id", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Index("ix_idempotency_keys_created_at", "created_at"),
)
