import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lab"))


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
