"""Settings and fixtures that all tests share."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator

import pytest
from hypothesis import settings
from sqlalchemy import create_engine, make_url, text

# A shell lets what it starts in the background ignore Ctrl-C, and that is handed down to the commands that tests stop.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline: the first example of a test may compile. Derandomised: a run says the same twice.
settings.register_profile("ntk_prior", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ntk_prior")


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """The URL of an empty PostgreSQL database that only the requesting test uses.

    ``make test`` starts a private server where PostgreSQL is installed and names it in NTK_PRIOR_POSTGRES.
    """
    server = os.environ.get("NTK_PRIOR_POSTGRES")
    if not server:
        complaint = "no PostgreSQL server: install one and run 'make test', or name one in NTK_PRIOR_POSTGRES"
        if os.environ.get("NTK_PRIOR_REQUIRE_POSTGRES"):
            pytest.fail(complaint)
        pytest.skip(complaint)
    name = f"ntk_prior_{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def in_time() -> Iterator[None]:
    """Ends a test that waits for a pipe, or reads without an end, before it has taken the machine's memory."""

    def stop(*_: object) -> None:
        raise TimeoutError("this takes too long")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def compiled_quickly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let XLA optimise little, here and in processes that the test starts: its trainings are shorter than that."""
    import jax

    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """One quiet Ray of two CPUs for all tests of the session; they are marked to run in one process."""
    import ray

    from tests.support import ray_local

    ray_local.start_two_cpus()
    yield
    ray.shutdown()
