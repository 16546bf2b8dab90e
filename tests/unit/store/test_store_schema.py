"""The schema's steps: they make what the models say, and can be taken back."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.store import schema
from mesh.store.models import Base


def tables(path: Path) -> set[str]:
    engine = create_engine(f"sqlite:///{path}")
    found = set(inspect(engine).get_table_names())
    engine.dispose()
    return found


def test_the_steps_make_what_the_models_say(path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_whatever_refers_to_a_row_is_found_by_an_index_when_that_is_deleted(path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")
    found = inspect(engine)
    for table in found.get_table_names():
        keys: list[list[str | None]] = [[*found.get_pk_constraint(table)["constrained_columns"]]]
        keys += [index["column_names"] for index in found.get_indexes(table)]
        first = {key[0] for key in keys if key}
        for foreign in found.get_foreign_keys(table):
            assert foreign["constrained_columns"][0] in first, (table, foreign)
    engine.dispose()


def test_indexes_come_and_go_with_their_rows_untouched(path: Path) -> None:
    indexes = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'evaluations'"
    row = "INSERT INTO evaluations VALUES ('better', 'worse', 1.0)"
    assert ("ix_evaluations_inferior_id",) in run(path, row, indexes)
    for revision, there in (("0009", False), ("0010", True)):
        schema.change(path, revision)
        assert (("ix_evaluations_inferior_id",) in run(path, indexes)) is there
        assert run(path, "SELECT * FROM evaluations") == [("better", "worse", 1.0)]


def test_bringing_up_to_date_twice_changes_nothing(path: Path) -> None:
    before = path.read_bytes()
    schema.upgrade(path)
    assert path.read_bytes() == before


def test_the_steps_can_be_taken_back_and_made_again(path: Path) -> None:
    made = tables(path)
    schema.downgrade(path, "base")
    assert tables(path) == {"alembic_version"}
    schema.upgrade(path)
    assert tables(path) == made


def test_what_an_older_schema_has_a_place_for_is_there_on_the_way_back(path: Path) -> None:
    row = ("u1", "debug", "ada", "Ada", "user", 1.5)
    columns = "id, provider, account, display_name, role, created_at"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"INSERT INTO users ({columns}) VALUES (?, ?, ?, ?, ?, ?)", row)
    for revision in ("0001", schema.newest()):
        schema.change(path, revision)
        with closing(sqlite3.connect(path)) as connection:
            (at,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            kept = connection.execute(f"SELECT {columns} FROM users").fetchall()
        assert (at, kept) == (revision, [row])


def test_a_schema_that_is_none_and_a_database_that_is_not_there_are_sentences(path: Path) -> None:
    with pytest.raises(MeshError, match="knows no schema 'base', only 0001, "):
        schema.change(path, "base")
    with pytest.raises(MeshError, match="There is no database at"):
        schema.change(path.with_name("other.db"), "0001")
    assert not path.with_name("other.db").exists()


def test_a_new_database_is_made_with_its_folder_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "mesh.db"
    schema.upgrade(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    schema.check(path)


def test_a_database_of_a_newer_version_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    for use in (schema.upgrade, schema.check):
        with pytest.raises(MeshError, match="newer version") as refusal:
            use(path)
        assert refusal.value.code == ErrorCode.UNSUPPORTED


def test_a_database_of_an_older_version_is_not_read_as_it_is(path: Path) -> None:
    schema.downgrade(path, "base")
    with pytest.raises(MeshError, match="start `mesh store` once"):
        schema.check(path)


def test_a_file_that_is_no_database_is_named_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "mesh.db"
    path.write_bytes(b"these are not the tables you are looking for" * 100)
    with pytest.raises(MeshError, match="file is not a database"):
        schema.upgrade(path)


def test_a_folder_that_cannot_be_made_is_named_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MeshError, match="cannot be created"):
        schema.upgrade(tmp_path / "file" / "mesh.db")


def test_who_is_signed_in_stays_so_when_accounts_come_and_when_they_go_again(path: Path) -> None:
    schema.downgrade(path, "0001")
    person = "INSERT INTO users VALUES ('u', 'debug', 'ada', 'Ada', 'user', 1.0)"
    token = "INSERT INTO refresh_tokens VALUES ('hash', 'u', 1.0, 2.0)"
    told = "SELECT user_id, family, rotated_at, valid_from FROM refresh_tokens, users"
    run(path, person, token)
    schema.upgrade(path, "0002")
    assert run(path, told) == [("u", "hash", None, 0.0)]
    schema.downgrade(path, "0001")
    assert run(path, "SELECT * FROM refresh_tokens") == [("hash", "u", 1.0, 2.0)]
    assert run(path, "SELECT * FROM users")[0][:3] == ("u", "debug", "ada")


def test_a_link_that_is_there_keeps_the_title_that_its_chat_has(path: Path) -> None:
    schema.downgrade(path, "0007")
    person = "INSERT INTO users VALUES ('u', 'debug', 'ada', 'Ada', 'user', 1.0, 0.0, NULL)"
    columns = "id, user_id, title, hidden, allow_data_use, active_tail, created_at, modified_at"
    chat = f"INSERT INTO chats ({columns}) VALUES ('c', 'u', 'Foxes', 0, 1, 'm', 1.0, 1.0)"
    link = "INSERT INTO shares VALUES ('s', 'c', 1.0)"
    run(path, person, chat, link)
    schema.upgrade(path)
    assert run(path, "SELECT id, title, active_tail FROM shares") == [("s", "Foxes", "m")]


def test_runs_that_are_there_are_on_the_threads_where_they_have_said_something(path: Path) -> None:
    schema.downgrade(path, "0008")
    threads = "INSERT INTO threads VALUES ('t', 'ada', 0, '{}', 1.0), ('u', 'eve', 0, '{}', 1.0)"
    part = "INSERT INTO thread_participants VALUES ('t', 'ada'), ('u', 'eve')"
    columns = "id, tenant, thread, question, model, state, text, created_at, deadline"
    rest = "'', 'echo', 'in_progress', '', 1.0, 2.0"
    made = [
        f"INSERT INTO tool_runs ({columns}) VALUES ('{name}', '{tenant}', 't', {rest})"
        for name, tenant in (("hers", "ada"), ("said", "bob"), ("other", "bob"))
    ]
    columns = "id, thread_id, number, role, content, status, sender, assistant_id, run_id"
    said = (
        f"INSERT INTO thread_messages ({columns}, tool_calls, tool_call_id, meta_data, created_at)"
    )
    said += (
        " VALUES ('m', 't', 0, 'assistant', 'x', 'completed', 'bob', '', 'said', '[]', '', '{}', 1)"
    )
    run(path, threads, part, *made, said)
    schema.upgrade(path)
    found = run(path, "SELECT id, on_thread FROM tool_runs ORDER BY id")
    assert found == [("hers", 1), ("other", 0), ("said", 1)]


def run(path: Path, *statements: str) -> list[tuple[object, ...]]:
    """The rows of the last statement."""
    with closing(sqlite3.connect(path)) as connection, connection:
        return [connection.execute(statement).fetchall() for statement in statements][-1]
