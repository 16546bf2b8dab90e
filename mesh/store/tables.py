"""What all tables have in common: the names of their constraints, and structs in a column."""

from typing import Any, TypeVar

import msgspec
from sqlalchemy import Dialect, Double, MetaData, Text
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

T = TypeVar("T")


class Base(DeclarativeBase):
    """Constraints have names, so that a migration can change them on any database."""

    type_annotation_map = {float: Double, str: Text}
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Encoded(TypeDecorator[T]):
    """A Struct of the protocol, or what one is made of, in a text column, as JSON."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: type[T]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: T | None, dialect: Dialect) -> str | None:
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> T | None:
        return None if value is None else msgspec.json.decode(value, type=self.kind)
