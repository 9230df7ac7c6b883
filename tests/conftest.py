import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lab"))


def pytest_configure(config):
    config.addinivalue_line("markers", "soak: not in ./check, which would take too long; pytest -m soak runs them")


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
