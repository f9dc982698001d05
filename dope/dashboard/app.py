"""Builds the Dash application: own index page, everything served from here, current data in the first paint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output
from dash.development.base_component import Component

from dope.board import Board
from dope.dashboard import pages, shell
from dope.dashboard.asked import Asked
from dope.settings import Settings

ASSETS = Path(__file__).resolve().parents[2] / "assets"

INDEX = """<!DOCTYPE html>
<html lang="en" data-bs-theme="dark">
<head>
{%metas%}
<meta name="color-scheme" content="dark">
<meta name="theme-color" content="#0F151E">
<title>{%title%}</title>
{%favicon%}
{%css%}
</head>
<body>
{%app_entry%}
<footer>{%config%}{%scripts%}{%renderer%}</footer>
</body>
</html>"""


def build(board: Board, settings: Settings) -> Dash:
    """The dashboard over ``board``; ``app.server`` is the FastAPI application that API and streams are added to."""
    found = pages()
    app = Dash(
        "dope",
        backend="fastapi",
        assets_folder=str(ASSETS),
        assets_ignore=r".*\.(md|txt)$",
        index_string=INDEX,
        title="DOPE",
        update_title="",
        serve_locally=True,
        meta_tags=[
            {"name": "viewport", "content": "width=device-width,initial-scale=1"},
            {"name": "description", "content": "Price differences between crypto venues, live"},
        ],
    )

    def layout() -> Component:
        snapshot = board.read()
        frame = shell.layout(found, signed_in=bool(settings.api_token.get_secret_value()))
        _fill(frame, shell.draw(snapshot))
        for page in found:
            _fill(frame, page.draw(snapshot))
        return frame

    app.layout = layout
    app.clientside_callback(ClientsideFunction("dope", "route"), Output("url", "refresh"), Input("url", "pathname"))
    app.clientside_callback(ClientsideFunction("dope", "poll"), Output("poll", "max_intervals"), Input("poll", "n_intervals"))
    for page in found:
        page.register(app, board)
    app.server.add_middleware(Asked, dash=app)
    app._setup_server()  # Dash does this at the first request of "/" only; somebody may open another page first
    return app


def policy(app: Dash) -> str:
    """The Content-Security-Policy of the pages: scripts only from here, and of inline ones those that Dash itself puts in.

    Those are known by their hashes, taken from the finished ``app``. ``connect-src 'self'`` covers the live stream:
    browsers match ws: of the same host and port. Styles are set inline by the table, the charts and the components.
    """
    rules = {
        "default-src": ("'none'",),
        "script-src": ("'self'", *app.csp_hashes()),
        "style-src": ("'self'", "'unsafe-inline'"),
        "img-src": ("'self'", "data:", "blob:"),
        "font-src": ("'self'", "data:"),
        "connect-src": ("'self'",),
        "object-src": ("'none'",),
        "base-uri": ("'none'",),
        "form-action": ("'self'",),
        "frame-ancestors": ("'none'",),
    }
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in rules.items())


def _fill(frame: Component, drawn: dict[str, Any]) -> None:
    """Put each drawn part into the element of that id. A name without an element is a mistake of the page: KeyError."""
    for element, children in drawn.items():
        frame[element].children = children
