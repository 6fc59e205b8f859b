"""Credentials of apps, and in which epoch of a region an app last changed.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "app_credentials",
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("subscription_id", sa.Text(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.Column("revoked_by", sa.Text(), nullable=False),
        sa.Column("last_used_at", sa.Double(), nullable=True),
        sa.Column("last_used_from", sa.Text(), nullable=True),
        sa.Column("last_used_version", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscriptions.subscription_id"],
            name=op.f("fk_app_credentials_subscription_id"),
        ),
        sa.PrimaryKeyConstraint("credential_id", name=op.f("pk_app_credentials")),
        sa.UniqueConstraint("app_id", "public_key", name=op.f("uq_app_credentials_app_id_public_key")),
    )
    op.create_index(
        "ix_app_credentials_subscription_id", "app_credentials", ["subscription_id", "revoked_at"]
    )
    op.create_table(
        "app_changes",
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["region"], ["regions.name"], name=op.f("fk_app_changes_region")),
        sa.PrimaryKeyConstraint("region", "app_id", name=op.f("pk_app_changes")),
    )
    op.create_index("ix_app_changes_epoch", "app_changes", ["region", "epoch"])


def downgrade() -> None:
    # Version 0003 has no sidecars: nobody is let in there by what goes.
    op.drop_table("app_changes")
    op.drop_table("app_credentials")
