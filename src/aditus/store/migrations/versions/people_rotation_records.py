"""People's sessions and invitations, rotation and rules of keys, stream records, and many relays.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY_COLUMNS = (
    ("allowed_ports", sa.JSON),
    ("allowed_sources", sa.JSON),
    ("last_used_at", sa.Double),
    ("last_used_from", sa.Text),
    ("last_used_instance", sa.Text),
    ("last_used_version", sa.Text),
    ("warned_days", sa.Integer),
)
TABLES = ("sessions", "invitations", "stream_records", "stranger_refusals", "relays")


def upgrade() -> None:
    _make_tables()
    for name, kind in KEY_COLUMNS:
        op.add_column("access_keys", sa.Column(name, kind(), nullable=True))
    with op.batch_alter_table("key_secrets") as secrets:
        secrets.add_column(sa.Column("first_used_at", sa.Double(), nullable=True))
        secrets.add_column(sa.Column("grace", sa.Double(), nullable=True))
        secrets.add_column(sa.Column("ends_at", sa.Double(), nullable=True))
    op.execute("UPDATE key_secrets SET grace = 0, ends_at = created_at WHERE state = 'replaced'")
    with op.batch_alter_table("key_secrets") as secrets:
        secrets.drop_constraint(op.f("ck_key_secrets_state"), type_="check")
        secrets.drop_column("state")


def downgrade() -> None:
    # Version 0001 has no grace: what is being rotated out counts as replaced there.
    with op.batch_alter_table("key_secrets") as secrets:
        secrets.add_column(sa.Column("state", sa.Text(), nullable=False, server_default="live"))
    op.execute("UPDATE key_secrets SET state = 'replaced' WHERE grace IS NOT NULL")
    with op.batch_alter_table("key_secrets") as secrets:
        secrets.alter_column("state", server_default=None)
        secrets.create_check_constraint(op.f("ck_key_secrets_state"), "state IN ('live', 'replaced')")
        for name in ("first_used_at", "grace", "ends_at"):
            secrets.drop_column(name)
    for name, _ in KEY_COLUMNS:
        op.drop_column("access_keys", name)
    for table in TABLES:
        op.drop_table(table)


def _make_tables() -> None:
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("fk_sessions_user_id")),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_sessions_secret_hash")),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_table(
        "invitations",
        sa.Column("invitation_id", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("subscription_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("accepted_at", sa.Double(), nullable=True),
        sa.CheckConstraint("role IN ('owner', 'member', 'team_admin')", name=op.f("ck_invitations_role")),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.organization_id"],
            name=op.f("fk_invitations_organization_id"),
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscriptions.subscription_id"],
            name=op.f("fk_invitations_subscription_id"),
        ),
        sa.PrimaryKeyConstraint("invitation_id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_invitations_secret_hash")),
    )
    op.create_index("ix_invitations_organization_id", "invitations", ["organization_id"])
    op.create_table(
        "stream_records",
        sa.Column("record_id", COUNTER, autoincrement=True, nullable=False),
        sa.Column("subscription_id", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("access_key_id", sa.Text(), nullable=False),
        sa.Column("tunnel_id", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.Double(), nullable=False),
        sa.Column("bytes_in", sa.BigInteger(), nullable=False),
        sa.Column("bytes_out", sa.BigInteger(), nullable=False),
        sa.Column("setup_ms", sa.Double(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("record_id", name=op.f("pk_stream_records")),
    )
    op.create_index("ix_stream_records_page", "stream_records", ["subscription_id", "record_id"])
    op.create_index("ix_stream_records_finished_at", "stream_records", ["finished_at"])
    op.create_table(
        "stranger_refusals",
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("refusals", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("region", "minute", "source", "reason", name=op.f("pk_stranger_refusals")),
    )
    op.create_table(
        "relays",
        sa.Column("relay_id", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["region"], ["regions.name"], name=op.f("fk_relays_region")),
        sa.PrimaryKeyConstraint("relay_id", name=op.f("pk_relays")),
    )
    op.create_index("ix_relays_region", "relays", ["region"])
