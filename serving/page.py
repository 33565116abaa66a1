"""The live page: one HTML file that carries its own style and script and asks nothing of any other machine.

The browser is told so: a content security policy admits this page's own script and style, by their digests, and
requests to this service alone. What is found in documents is shown as text, never as markup.
"""

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response


@cache
def _document() -> tuple[bytes, str]:
    """The file, and the policy that fits it."""
    html = files("serving").joinpath("page.html").read_bytes()
    digests = {
        element: " ".join(
            f"'sha256-{base64.b64encode(hashlib.sha256(inline).digest()).decode()}'"
            for inline in re.findall(rb"<%s>(.*?)</%s>" % (element.encode(), element.encode()), html, re.DOTALL)
        )
        for element in ("script", "style")
    }
    policy = (
        f"default-src 'none'; script-src {digests['script']}; style-src {digests['style']}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return html, policy


async def page(_request: Request) -> Response:
    """``GET /``."""
    html, policy = _document()
    return Response(
        html,
        media_type="text/html",
        headers={
            "Content-Security-Policy": policy,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-cache",
        },
    )
