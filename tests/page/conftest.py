"""A browser for each file of tests and worker, and an admin port of each test's own."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser import chromium
from tests.page.admin import Admin, serving


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; by file, since tests of other parts want its event loop gone."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def admin() -> Iterator[Admin]:
    """The admin port's stand-in."""
    with serving() as admin:
        yield admin
