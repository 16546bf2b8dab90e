"""The tables of people, and of what they sign in with. No queries and no rules in here."""

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mesh.protocol.limits import Allowance
from mesh.store.tables import Base, Encoded


class User(Base):
    """A person, known by an account of an identity provider.

    issuer: the address of that provider when they first signed in, for its name may lead elsewhere
    one day, where the account is somebody else's; null: not known, or it has none.
    valid_from: access tokens made before are worth nothing; ended: sign-ins whose access tokens
    are worth nothing either, and until when to remember that; allowance: what they may ask for,
    where that was said of them.
    """

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("provider", "account"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    provider: Mapped[str]
    account: Mapped[str]
    display_name: Mapped[str]
    role: Mapped[str]
    created_at: Mapped[float]
    valid_from: Mapped[float] = mapped_column(default=0.0)
    issuer: Mapped[str | None]
    ended: Mapped[dict[str, float] | None] = mapped_column(Encoded(dict[str, float]))
    allowance: Mapped[Allowance | None] = mapped_column(Encoded(Allowance))


class Password(Base):
    """A person's password, by its Argon2id hash; apart from the person, so that no list has it."""

    __tablename__ = "passwords"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    hash: Mapped[str]
    changed_at: Mapped[float]


class DeletedUser(Base):
    """A person who was deleted: tokens are refused, and events still to come bring nothing back."""

    __tablename__ = "deleted_users"

    id: Mapped[str] = mapped_column(primary_key=True)
    deleted_at: Mapped[float] = mapped_column(index=True)


class RefreshToken(Base):
    """A refresh token, by its SHA-256 in hex; revoked means deleted.

    family: the first token's hash, common to all that took its place one after the other;
    rotated_at: when another took this one's place; access_until: when the access token expires
    that was given out with it, 0 where that names no sign-in.
    """

    __tablename__ = "refresh_tokens"

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    family: Mapped[str] = mapped_column(index=True)
    created_at: Mapped[float]
    expires_at: Mapped[float] = mapped_column(index=True)
    rotated_at: Mapped[float | None]
    access_until: Mapped[float] = mapped_column(default=0.0)


class ApiKey(Base):
    """An API key, by its SHA-256 in hex; revoked means deleted. scopes: separated by spaces."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    key_hash: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    hint: Mapped[str]
    scopes: Mapped[str]
    client: Mapped[str]
    created_at: Mapped[float]
    expires_at: Mapped[float | None]
    last_used_at: Mapped[float | None]
    allowance: Mapped[Allowance | None] = mapped_column(Encoded(Allowance))
