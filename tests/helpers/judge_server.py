"""A server that speaks /v1/chat/completions and judges by a rule that a test gives it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from types import MappingProxyType
from typing import Any, NamedTuple

# A wait of 0 would be taken for none given, and replaced by half a second.
AT_ONCE = {"retry-after-ms": "1"}
_FENCED = re.compile(r"<(prompt|response-A|response-B)-([0-9a-f]{8})>\n(.*?)\n</\1-\2>", re.DOTALL)


class Question(NamedTuple):
    """A question as the built-in template puts it. number: how many came before."""

    prompt: str
    first: str
    second: str
    number: int


class Reply(NamedTuple):
    """What the server sends: the judge's words, or a body as it is; drop: hangs up instead.

    chunks: gives bytes that are sent as they are, headers included, until the client hangs up.
    """

    text: str = ""
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})
    body: str | None = None
    delay: float = 0.0
    drop: bool = False
    chunks: Callable[[], Iterator[bytes]] | None = None


Rule = Callable[[Question], "Reply | str"]


def longer(question: Question) -> str:
    """Prefer the longer response."""
    if len(question.first) == len(question.second):
        return "Both are as long. [[C]]"
    return "[[A]]" if len(question.first) > len(question.second) else "[[B]]"


def failure(status: int, message: str = "no", param: str | None = None, code: str = "") -> Reply:
    """Return an error as OpenAI's API words it, which may be retried at once."""
    error = {"message": message, "type": "error", "param": param, "code": code or None}
    return Reply(status=status, headers=AT_ONCE, body=json.dumps({"error": error}))


class JudgeServer(ThreadingHTTPServer):
    """Keeps the requests' bodies, headers and times (seconds). rule: may be changed at any time."""

    daemon_threads = True

    def __init__(self, rule: Rule) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.rule = rule
        # Instead, where a question need not be one about two responses.
        self.rule_of_any: Callable[[], Reply] | None = None
        self.lock = Lock()
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.under_way = self.most_at_once = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def questions(self) -> list[Question]:
        return [read_question(body, number) for number, body in enumerate(self.requests)]


def read_question(body: dict[str, Any], number: int) -> Question:
    """Return the texts in a request, by their fences."""
    [message] = body["messages"]
    texts = {name: text for name, _, text in _FENCED.findall(message["content"])}
    return Question(texts["prompt"], texts["response-A"], texts["response-B"], number)


class _Handler(BaseHTTPRequestHandler):
    server: JudgeServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            number = len(self.server.requests)
            self.server.requests.append(body)
            self.server.times.append(time.monotonic())
            self.server.headers.append({k.lower(): v for k, v in self.headers.items()})
            self.server.under_way += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.under_way)
        try:
            [message] = body["messages"]
            if not _FENCED.search(message["content"]) and not self.server.rule_of_any:
                # The question that is asked before anything is trained.
                reply: Reply | str = "yes"
            elif self.server.rule_of_any:
                reply = self.server.rule_of_any()
            else:
                reply = self.server.rule(read_question(body, number))
            self._send(reply if isinstance(reply, Reply) else Reply(reply))
        finally:
            with self.server.lock:
                self.server.under_way -= 1

    def _send(self, reply: Reply) -> None:
        time.sleep(reply.delay)
        if reply.drop:
            self.close_connection = True
            return
        if reply.chunks:
            self.close_connection = True
            with suppress(OSError):
                for chunk in reply.chunks():
                    self.wfile.write(chunk)
            return
        content = (completion(reply.text) if reply.body is None else reply.body).encode()
        self.send_response(reply.status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(content))}
        for name, value in {**headers, **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def completion(text: str | None) -> str:
    """Return a chat completion that took 100 and 10 tokens."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    made = {"id": "1", "object": "chat.completion", "created": 1, "model": "judge"}
    return json.dumps(made | {"choices": [choice], "usage": usage})


@contextmanager
def serving(rule: Rule = longer) -> Iterator[JudgeServer]:
    """Give a server on a free port."""
    server = JudgeServer(rule)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
