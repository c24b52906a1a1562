"""An HTTP client for a server that is not trusted: bounded in time and bytes, and no redirects."""

from __future__ import annotations

import asyncio
from typing import Any

from httpx2 import ReadTimeout, Request, Response
from openai import APIError, DefaultAsyncHttpxClient

# Of a reply. The longest answers of reasoning models are far below.
MOST_BYTES = 8 * 2**20
# What is read of a reply's headers: no encoding, charset or cookie of a stranger.
HEADERS = ("retry-after", "retry-after-ms", "location")


class BoundedClient(DefaultAsyncHttpxClient):
    """A client whose requests end, whatever the server sends.

    Args:
        limit: The most time from connecting to the last byte of a reply (seconds).
    """

    def __init__(self, limit: float) -> None:
        super().__init__(timeout=limit, follow_redirects=False)
        self.limit = limit

    async def send(self, request: Request, **options: Any) -> Response:
        """Return the whole reply. A redirect is a reply like others: the key goes to no other host.

        Raises:
            ReadTimeout: The reply took too long.
            APIError: It is too large, or compressed.
        """
        # A compressed reply may be far larger than what is sent.
        request.headers["accept-encoding"] = "identity"
        options |= {"stream": True, "follow_redirects": False}
        try:
            async with asyncio.timeout(self.limit):
                reply = await super().send(request, **options)
                try:
                    content = await _read(reply)
                finally:
                    await reply.aclose()
        except TimeoutError:
            raise ReadTimeout(f"no reply within {self.limit:g} s", request=request) from None
        headers = {name: reply.headers[name] for name in HEADERS if name in reply.headers}
        return Response(reply.status_code, headers=headers, content=content, request=request)


async def _read(reply: Response) -> bytes:
    encoding = reply.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise APIError("the reply is compressed, which was not asked for", reply.request, body=None)
    content = bytearray()
    async for chunk in reply.aiter_raw():
        content += chunk
        if len(content) > MOST_BYTES:
            most = f"{MOST_BYTES // 2**20} MB"
            raise APIError(f"the reply is larger than {most}", reply.request, body=None)
    return bytes(content)
