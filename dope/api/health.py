"""``/health`` (is the engine alive), ``/ready`` (does it know any book), ``/metrics`` for Prometheus, ``/docs``."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from dope import __version__
from dope.api.context import TheWeb
from dope.api.security import CLOSED
from dope.api.shapes import HealthOut, ReadyOut

router = APIRouter(tags=["operation"])
SWAGGER = Path(__file__).parent / "swagger"  #: swagger-ui-dist 5.35.0, Apache-2.0, served from here: no other host is asked
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
    f"img-src 'self' data:; {CLOSED}"
)
DOCS = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>DOPE API</title><meta name="viewport" content="width=device-width,initial-scale=1">
<link rel="icon" href="data:,"><link rel="stylesheet" href="/docs/files/swagger-ui.css?m=5.35.0"></head>
<body><div id="swagger"></div>
<script src="/docs/files/swagger-ui-bundle.js?m=5.35.0"></script><script src="/docs/files/start.js"></script></body>
</html>"""


@router.get("/health", responses={503: {"model": HealthOut, "description": "the engine is dead, or a part of it was just mended"}})
def health(web: TheWeb, response: Response) -> HealthOut:
    """200 while all is well (also while it starts); 503 when the engine died or fell silent, and while a part of it is mended.

    "degraded" with 200: the market is watched, but something beside it, such as the records, is not as it should be.
    """
    snapshot, trouble, mended = web.board.read(), web.trouble(), web.watch.troubles()
    mode = snapshot.data.get("mode") or {}
    notices = list(mode.get("notices") or [])
    if (tested := mode.get("self_test") or {}).get("state") == "failed":
        notices.append(f"self-test failed: {tested.get('text')}")
    status = "down" if trouble else "degraded" if mended or notices else "starting" if snapshot.seq == 0 else "ok"
    trouble = trouble or "; ".join(mended) or None
    response.status_code = 503 if trouble else 200  # a notice alone is nothing that a new start would mend
    return HealthOut(
        status=status, runtime_alive=web.alive(), publish_age_s=web.age_s(), reason=trouble or "; ".join(notices) or None, seq=snapshot.seq,
        source=mode.get("source"), version=__version__,
    )  # fmt: skip


@router.get("/ready", responses={503: {"model": ReadyOut, "description": "not yet, or no longer"}})
def ready(web: TheWeb, response: Response) -> ReadyOut:
    """200 when at least one order book is known to be right."""
    venues = web.board.read().data.get("venues") or []
    live, total = (sum(row.get(name) or 0 for row in venues) for name in ("books_live", "books_total"))
    reason = web.trouble() or (None if live else "no order book is live")
    response.status_code = 503 if reason else 200
    return ReadyOut(ready=reason is None, books_live=live, books_total=total, reason=reason)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(request: Request) -> Response:
    """All figures in the Prometheus text format."""
    return Response(generate_latest(request.app.state.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


@router.get("/docs", include_in_schema=False)
def docs() -> HTMLResponse:
    """The API page."""
    return HTMLResponse(DOCS)
