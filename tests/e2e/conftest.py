"""Fixtures: one server per test file with the standard models, and a way to start special ones."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from serving import Serve  # noqa: E402
from small_models import standard_repository  # noqa: E402


@pytest.fixture(scope="session")
def standard_models(tmp_path_factory):
    return standard_repository(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def server(standard_models, tmp_path_factory):
    """Serves the standard models; at the end it must still live and must end with status 0."""
    log = tmp_path_factory.mktemp("log") / "server.log"
    with Serve(standard_models, log=log) as running:
        yield running
        assert running.alive(), f"the server died:\n{running.log()}"
        assert running.stop() == 0, running.log()


@pytest.fixture
def serve(tmp_path):
    """serve(repository, *flags, **options): a server for this test alone."""
    started = []

    def start(repository, *flags, **options):
        running = Serve(repository, *flags, log=tmp_path / f"server{len(started)}.log", **options)
        started.append(running)
        return running

    yield start
    for running in started:
        if running.alive():
            running.stop()
