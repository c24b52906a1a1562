"""Asking the judge: one question, or many side by side; nothing is asked twice."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from rich.markup import escape

from bench.errors import UserError
from bench.judging.cache import Answer, Answers, messages
from bench.judging.completion import read_answer
from bench.config.llm_judge import NO_KEY, LLMJudge
from bench.execution.progress import Progress

if TYPE_CHECKING:
    from openai import APIError
    from rich.console import Console

# No other request would fare better: no key, no money, no right, no such model.
HOPELESS = (401, 402, 403, 404)
LINES = 20


class Failure(NamedTuple):
    """A request that failed for good."""

    why: str


class Endpoint:
    """The judge behind its API. Safe to use from several threads."""

    def __init__(self, judge: LLMJudge) -> None:
        from openai import OpenAI

        self.judge, self.key = judge, judge.key()
        # It retries timeouts, connection errors, 408, 409, 429 and 5xx, with growing waits, or as
        # long as Retry-After says (up to two minutes).
        self.client = OpenAI(
            api_key=self.key,
            base_url=judge.endpoint,
            max_retries=judge.retries,
            timeout=judge.timeout,
        )
        self.host = urlsplit(judge.endpoint).hostname or judge.endpoint
        # Newer models of OpenAI's refuse max_tokens, most other servers know nothing else. Some
        # refuse a temperature.
        self.new_limit, self.has_temperature = False, True
        self.reached = False

    def ask(self, question: str) -> Answer | Failure:
        """Return the answer. Raises UserError where no request can succeed."""
        from openai import APIError

        try:
            body = self._send(question)
        except APIError as error:
            self._stop_if_hopeless(error)
            return Failure(self._line(error.message))
        self.reached = True
        answer = read_answer(body)
        if answer is None:
            return Failure(self._line(f"the reply is no chat completion: {body or '(empty)'}"))
        return answer

    def _send(self, question: str) -> str:
        """Return what the server replied. Raises APIError."""
        from openai import BadRequestError, omit

        # As they are now: another thread may change them meanwhile.
        limit, new, told = self.judge.max_tokens, self.new_limit, self.has_temperature
        try:
            # As it came: the client does not check what it makes of it.
            return self.client.chat.completions.with_raw_response.create(
                model=self.judge.model,
                messages=messages(question),
                temperature=self.judge.temperature if told else omit,
                max_tokens=omit if new else limit,
                max_completion_tokens=limit if new else omit,
            ).text
        except BadRequestError as error:
            if not new and "max_completion_tokens" in error.message:
                self.new_limit = True
            elif told and self.judge.temperature == 0 and _on_temperature(error):
                # It has one of its own. Asked for by name, it would be an error.
                self.has_temperature = False
            else:
                raise
        return self._send(question)

    def _stop_if_hopeless(self, error: APIError) -> None:
        from openai import APIConnectionError, APIStatusError

        where = f"{self.judge.model} at {self.host}"
        if isinstance(error, APIConnectionError):
            # By name, for openai has had its HTTP library replaced once.
            if type(error.__cause__).__name__ == "ConnectError" and not self.reached:
                raise UserError(f"{self.host}: cannot be reached: {error.__cause__}") from None
            return
        status = error.status_code if isinstance(error, APIStatusError) else None
        if status == 401:
            words = "refuses the key in" if self.key != NO_KEY else "needs a key: set"
            raise UserError(f"{where}: {words} {self.judge.key_env}") from None
        if status in HOPELESS or error.code == "insufficient_quota" or _on_temperature(error):
            raise UserError(f"{where}: {self._line(error.message)}") from None

    def _line(self, text: str) -> str:
        """Return one short line, without the key, which a server may repeat."""
        line = " ".join(text.split())
        return (line if self.key == NO_KEY else line.replace(self.key, "***"))[:300]


def _on_temperature(error: APIError) -> bool:
    """Return whether a temperature was refused."""
    return error.param == "temperature" or "'temperature'" in error.message


class Replies(NamedTuple):
    """Keys of requests: those answered now, and those that failed."""

    asked: frozenset[str]
    failed: frozenset[str]


def ask_all(
    questions: Mapping[str, str], judge: LLMJudge, answers: Answers, console: Console
) -> Replies:
    """Ask what has no answer yet; the answers are kept as they come.

    questions: by `request_key`. Raises UserError at the first failure that all others would share.
    """
    missing = {key: text for key, text in questions.items() if answers.get(key) is None}
    if not missing:
        return Replies(frozenset(), frozenset())
    endpoint = Endpoint(judge)

    def ask(key: str) -> tuple[str, float]:
        """Return why it failed, or nothing, and the seconds."""
        started = time.perf_counter()
        outcome = endpoint.ask(missing[key])
        if isinstance(outcome, Answer):
            answers.add(key, outcome)
        why = outcome.why if isinstance(outcome, Failure) else ""
        return why, time.perf_counter() - started

    progress = Progress(console, judge.concurrency, every=max(1, len(missing) // LINES))
    progress.start(0, ["answer"] * len(missing))
    failed: dict[str, str] = {}
    pool = ThreadPoolExecutor(judge.concurrency)
    try:
        under_way = {pool.submit(ask, key): key for key in missing}
        for done in as_completed(under_way):
            why, seconds = done.result()
            status = "failed" if why else "ok"
            news = "" if why in failed.values() else why
            progress.advance("answer", escape(judge.model), status, news, seconds)
            if why:
                failed[under_way[done]] = why
    finally:
        # Also after an error or Ctrl-C: what is under way is paid for, and waited for.
        pool.shutdown(cancel_futures=True)
        endpoint.client.close()
    return Replies(frozenset(missing.keys() - failed.keys()), frozenset(failed))
