"""The page that describes the API draws in a browser and asks no other host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.house import dash_app, serving

pytestmark = pytest.mark.browser


def test_the_api_page_draws_without_asking_any_other_host(visit: Callable[..., Any]) -> None:
    with serving(app=dash_app()) as running:
        page = visit(running, "/docs", wait="#operations-arbitrage-list_opportunities_api_v1_opportunities_get")
        assert page.complaints == []
