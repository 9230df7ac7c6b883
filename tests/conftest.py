import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lab"))


def pytest_configure(config):
    config.addinivalue_line("markers", "soak: not in ./check, which would take too long; pytest -m soak runs them")
    config.addinivalue_line("markers", "alone: not beside other tests: it measures what they would take from it")
    config.addinivalue_line("markers", "xdist_group: on one worker, one after the other")


# What takes a minute, or many of which take half a minute: not to be what all others wait for in the end.
LONG = ("test_kill.py", "test_hooks.py", "test_move.py", "test_fleet.py", "test_cluster.py", "test_cluster_bad.py",
        "test_cluster_guests.py", "test_cluster_segments.py")


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the marks
def pytest_collection_modifyitems(items):
    """Who shares the site shares its worker (pytest --dist loadgroup).  That begins first, as it takes longest."""
    for item in items:
        if "site" in item.fixturenames:
            item.add_marker(pytest.mark.xdist_group("site"))
    items.sort(key=lambda item: ("site" not in item.fixturenames, item.path.name not in LONG))


@pytest.fixture(scope="session")
def site():
    """One site for all end-to-end tests: guests take seconds to boot."""
    import lab
    import place
    if lab.missing():
        pytest.skip(lab.missing())
    made = place.Site()
    yield made
    made.close()
