"""Asking the judge: one question, or many in parallel, each once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from rich.markup import escape

from bench.config.llm_judge import NO_KEY, LLMJudge
from bench.errors import UserError
from bench.execution.progress import Progress
from bench.judging.cache import Answer, Answers, messages
from bench.judging.completion import read_answer

if TYPE_CHECKING:
    from openai import APIError
    from rich.console import Console

# No key, no money, no right, no such model: every other request would fail too.
FATAL_STATUS = (401, 402, 403, 404)
PROGRESS_LINES = 20


class Failure(NamedTuple):
    """A request that failed for good, and why."""

    reason: str


class Endpoint:
    """The judge behind its API. Safe to use from several threads."""

    def __init__(self, judge: LLMJudge) -> None:
        from openai import OpenAI

        self.judge, self.key = judge, judge.key()
        # The client retries timeouts, connection errors, 408, 409, 429 and 5xx. It waits longer
        # each time, or as long as Retry-After says (at most two minutes).
        self.client = OpenAI(
            api_key=self.key,
            base_url=judge.endpoint,
            max_retries=judge.retries,
            timeout=judge.timeout,
        )
        self.host = urlsplit(judge.endpoint).hostname or judge.endpoint
        # OpenAI's newer models refuse max_tokens, most other servers know no other name. Some
        # models refuse a temperature.
        self.uses_new_limit, self.accepts_temperature = False, True
        self.reached = False

    def ask(self, question: str) -> Answer | Failure:
        """Return the answer, or why there is none.

        Raises:
            UserError: No request can succeed.
        """
        from openai import APIError

        try:
            body = self._send(question)
        except APIError as error:
            self._raise_if_fatal(error)
            return Failure(self._line(error.message))
        self.reached = True
        answer = read_answer(body)
        if answer is None:
            return Failure(self._line(f"the reply is not a chat completion: {body or '(empty)'}"))
        return answer

    def _send(self, question: str) -> str:
        """Return the body of the server's reply.

        Raises:
            APIError: The request failed.
        """
        from openai import BadRequestError, omit

        limit = self.judge.max_tokens
        # Another thread may change these during the request.
        new_limit, with_temperature = self.uses_new_limit, self.accepts_temperature
        try:
            # The raw body: the client does not validate the object that it parses.
            return self.client.chat.completions.with_raw_response.create(
                model=self.judge.model,
                messages=messages(question),
                temperature=self.judge.temperature if with_temperature else omit,
                max_tokens=omit if new_limit else limit,
                max_completion_tokens=limit if new_limit else omit,
            ).text
        except BadRequestError as error:
            refused = with_temperature and _refuses_temperature(error)
            if not new_limit and "max_completion_tokens" in error.message:
                self.uses_new_limit = True
            elif refused and self.judge.temperature == 0:
                # The model's fixed temperature replaces the default. A temperature that the user
                # has set is not dropped.
                self.accepts_temperature = False
            else:
                raise
        return self._send(question)

    def _raise_if_fatal(self, error: APIError) -> None:
        """Raise UserError if every other request would fail in the same way."""
        from openai import APIConnectionError, APIStatusError

        where = f"{self.judge.model} at {self.host}"
        if isinstance(error, APIConnectionError):
            # By name: openai may replace its HTTP library.
            if type(error.__cause__).__name__ == "ConnectError" and not self.reached:
                raise UserError(f"{self.host}: cannot be reached: {error.__cause__}") from None
            return
        status = error.status_code if isinstance(error, APIStatusError) else None
        if status == 401:
            problem = "refuses the key in" if self.key != NO_KEY else "needs a key: set"
            raise UserError(f"{where}: {problem} {self.judge.key_env}") from None
        fatal = status in FATAL_STATUS or error.code == "insufficient_quota"
        if fatal or _refuses_temperature(error):
            raise UserError(f"{where}: {self._line(error.message)}") from None

    def _line(self, text: str) -> str:
        """Return the text as one short line without the key, which a server may repeat."""
        line = " ".join(text.split())
        return (line if self.key == NO_KEY else line.replace(self.key, "***"))[:300]


def _refuses_temperature(error: APIError) -> bool:
    return error.param == "temperature" or "'temperature'" in error.message


class Replies(NamedTuple):
    """How the requests went.

    Attributes:
        answered: Keys of the requests that were made now and answered.
        failed: Keys of those that failed.
    """

    answered: frozenset[str]
    failed: frozenset[str]


def ask_all(
    questions: Mapping[str, str], judge: LLMJudge, answers: Answers, console: Console
) -> Replies:
    """Ask the questions that have no answer yet. Each answer is saved when it arrives.

    Args:
        questions: By `request_key`.
        judge: The judge and how to reach it.
        answers: The cache.
        console: Shows the progress.

    Raises:
        UserError: A request failed in a way that all others would.
    """
    missing = {key: text for key, text in questions.items() if answers.get(key) is None}
    if not missing:
        return Replies(frozenset(), frozenset())
    endpoint = Endpoint(judge)

    def ask(key: str) -> tuple[str, float]:
        """Return the reason of a failure, or nothing, and the seconds that it took."""
        started = time.perf_counter()
        outcome = endpoint.ask(missing[key])
        if isinstance(outcome, Answer):
            answers.add(key, outcome)
        reason = outcome.reason if isinstance(outcome, Failure) else ""
        return reason, time.perf_counter() - started

    progress = Progress(console, judge.concurrency, every=max(1, len(missing) // PROGRESS_LINES))
    progress.start(0, ["answer"] * len(missing))
    failed: dict[str, str] = {}
    pool = ThreadPoolExecutor(judge.concurrency)
    try:
        requests = {pool.submit(ask, key): key for key in missing}
        for done in as_completed(requests):
            reason, seconds = done.result()
            status = "failed" if reason else "ok"
            # Each reason is shown once.
            error = "" if reason in failed.values() else reason
            progress.advance("answer", escape(judge.model), status, error, seconds)
            if reason:
                failed[requests[done]] = reason
    finally:
        # Also after an error or Ctrl-C: requests that were sent are paid for, so they are awaited.
        pool.shutdown(cancel_futures=True)
        endpoint.client.close()
    return Replies(frozenset(missing.keys() - failed.keys()), frozenset(failed))
