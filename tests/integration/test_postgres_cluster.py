"""The throw-away PostgreSQL cluster that other tests stand on."""

from __future__ import annotations

from sqlalchemy import create_engine, text

from tests.servers.postgres import Postgres


def rows(url: str, statement: str) -> list[str]:
    """Return the first column of a statement's rows."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return [str(row[0]) for row in connection.execute(text(statement))]
    finally:
        engine.dispose()


def test_a_cloned_database_starts_with_its_templates_content(postgres: Postgres) -> None:
    """A database made from a template holds what the template holds and changes alone."""
    template = postgres.create()
    postgres.sql("create table people (name text)", template)
    postgres.sql("grant select on people to public", template)
    postgres.sql("insert into people values ('Åse')", template)
    with postgres.database(template) as url, postgres.database(template) as other:
        clone = url.partition("?")[0].rpartition("/")[2]
        postgres.sql("insert into people values ('Bo')", clone)
        assert rows(url, "select name from people order by name") == ["Bo", "Åse"]
        assert rows(other, "select name from people order by name") == ["Åse"]


def test_the_cluster_is_reached_by_its_socket_alone(postgres_url: str) -> None:
    """The server listens on no network address, and its socket's path is short enough."""
    assert rows(postgres_url, "show listen_addresses") == [""]
    socket_folder = postgres_url.partition("host=")[2]
    assert len(f"{socket_folder}/.s.PGSQL.5432") < 100


def test_a_paused_cluster_comes_back_with_its_content() -> None:
    """A cluster whose server was killed keeps what it had committed."""
    with Postgres() as cluster:
        cluster.sql("create table kept as select 7 as seven")
        cluster.pause()
        cluster.start()
        assert cluster.sql("select seven from kept") == "7"


def test_a_store_of_ones_own_is_migrated_and_empty(store_url: str) -> None:
    """Each database hands out a store with the preconfigured roles and without people."""
    assert rows(store_url, "select count(*) from users") == ["0"]
    assert rows(store_url, "select count(*) > 0 from roles") in (["1"], ["True"])
