"""Asking the judge: one question, or many in parallel, each once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from rich.markup import escape

from bench.config.llm_judge import NO_KEY, LLMJudge
from bench.errors import UserError
from bench.interrupt import deferred, is_interrupted
from bench.judging.cache import Answer, Answers, messages
from bench.judging.completion import read_answer

if TYPE_CHECKING:
    from openai import APIError
    from rich.console import Console


# No key, no money, no right, no such model: every other request would fail too.
FATAL_STATUS = (401, 402, 403, 404)
# The question is too long, or not allowed.
OF_QUESTION = (400, 413, 422)
PROGRESS_LINES = 20
# A question may take this many timeouts, its repetitions and the waits between them included.
PATIENCE = 3
# So many questions in a row fail only if the server does.
MOST_FAILURES = 10
# Shorter keys are no secrets but words, such as "none", which answers may contain.
SHORTEST_SECRET = 8


class Failure(NamedTuple):
    """A request that failed for good.

    Attributes:
        reason: Why.
        of_server: Whether another question would fail too, as far as can be known.
    """

    reason: str
    of_server: bool = True


class Endpoint:
    """The judge behind its API."""

    def __init__(self, judge: LLMJudge) -> None:
        from openai import AsyncOpenAI

        from bench.judging.connection import BoundedClient

        self.judge, self.key = judge, judge.key()
        # The client retries timeouts, connection errors, 408, 409, 429 and 5xx. It waits longer
        # each time, or as long as Retry-After says (at most two minutes).
        self.client = AsyncOpenAI(
            api_key=self.key,
            base_url=judge.endpoint,
            max_retries=judge.retries,
            timeout=judge.timeout,
            http_client=BoundedClient(judge.timeout),
        )
        self.host = urlsplit(judge.endpoint).hostname or judge.endpoint
        # OpenAI's newer models refuse max_tokens, most other servers know no other name. Some
        # models refuse a temperature.
        self.uses_new_limit, self.accepts_temperature = False, True
        self.reached = False

    async def ask(self, question: str) -> Answer | Failure:
        """Return the answer, or why there is none.

        Raises:
            UserError: No request can succeed.
        """
        from openai import APIError, APIStatusError

        limit = PATIENCE * self.judge.timeout
        try:
            async with asyncio.timeout(limit):
                body = await self._send(question)
        except TimeoutError:
            return Failure(f"no answer within {limit:g} s, repetitions included")
        except APIError as error:
            self._raise_if_fatal(error)
            status = error.status_code if isinstance(error, APIStatusError) else None
            # What the server says is wrong with one question, it may not say of the next.
            return Failure(self._line(error.message), status not in OF_QUESTION)
        self.reached = True
        answer = read_answer(body)
        if answer is None:
            return Failure(self._line(f"the reply is not a chat completion: {body or '(empty)'}"))
        return answer._replace(text=self._redacted(answer.text))

    async def _send(self, question: str) -> str:
        """Return the body of the server's reply.

        Raises:
            APIError: The request failed.
        """
        from openai import BadRequestError, omit

        limit = self.judge.max_tokens
        # Another question may change these during the request.
        new_limit, with_temperature = self.uses_new_limit, self.accepts_temperature
        try:
            # The raw body: the client does not validate the object that it parses.
            reply = await self.client.chat.completions.with_raw_response.create(
                model=self.judge.model,
                messages=messages(question),
                temperature=self.judge.temperature if with_temperature else omit,
                max_tokens=omit if new_limit else limit,
                max_completion_tokens=limit if new_limit else omit,
            )
            return reply.text
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
        return await self._send(question)

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
        if isinstance(error, APIStatusError) and 300 <= error.status_code < 400:
            target = self._line(error.response.headers.get("location", "nowhere"))
            raise UserError(f"{where}: redirects to {target}, which is not followed; set base_url")
        if status == 401:
            problem = "refuses the key in" if self.key != NO_KEY else "needs a key: set"
            raise UserError(f"{where}: {problem} {self.judge.key_env}") from None
        fatal = status in FATAL_STATUS or error.code == "insufficient_quota"
        if fatal or _refuses_temperature(error):
            raise UserError(f"{where}: {self._line(error.message)}") from None

    def _line(self, text: str) -> str:
        """Return the text as one short line without the key, which a server may repeat."""
        return " ".join(self._redacted(text).split())[:300]

    def _redacted(self, text: str) -> str:
        return text if len(self.key) < SHORTEST_SECRET else text.replace(self.key, "***")


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
    # Requests that were sent are paid for: an interrupt waits for their answers.
    with deferred():
        answered = asyncio.run(_ask_all(missing, judge, answers, console))
    return Replies(frozenset(answered), frozenset(missing.keys() - answered))


async def _ask_all(
    missing: Mapping[str, str], judge: LLMJudge, answers: Answers, console: Console
) -> set[str]:
    """Ask questions, and return the keys of those that were answered."""
    endpoint = Endpoint(judge)
    every = max(1, len(missing) // PROGRESS_LINES)
    waiting = iter(missing)
    answered: set[str] = set()
    reasons: set[str] = set()
    asked, in_a_row, stopped = 0, 0, False

    async def ask_in_turn() -> None:
        nonlocal asked, in_a_row, stopped
        while not (stopped or is_interrupted()) and (key := next(waiting, None)) is not None:
            outcome = await endpoint.ask(missing[key])
            reason = outcome.reason if isinstance(outcome, Failure) else ""
            if isinstance(outcome, Answer):
                answers.add(key, outcome)
                answered.add(key)
                in_a_row = 0
            else:
                in_a_row += outcome.of_server
            # Each reason is shown once.
            if reason and reason not in reasons:
                console.print(f"  {reason}", style="red", markup=False)
            reasons.add(reason)
            asked += 1
            if asked % every == 0 or asked == len(missing):
                console.print(f"[dim]\\[{asked}/{len(missing)}][/] {escape(judge.model)}")
            if in_a_row >= MOST_FAILURES and not stopped:
                stopped = True
                console.print(
                    f"stopped: {in_a_row} requests in a row failed; all answers are kept, and the "
                    "same command asks for the rest",
                    soft_wrap=True,
                )

    tasks = [asyncio.create_task(ask_in_turn()) for _ in range(judge.concurrency)]
    try:
        await asyncio.gather(*map(asyncio.shield, tasks))
    finally:
        # Also after an error, for the same reason.
        stopped = True
        await asyncio.gather(*tasks, return_exceptions=True)
        await endpoint.client.close()
    return answered


def check_answers(judge: LLMJudge) -> None:
    """Ask a judge a short question: are server, model, key and temperature right?

    A list of models would not tell, and not every server has one.

    Raises:
        UserError: The judge does not answer.
    """
    asyncio.run(_check_answers(judge))


async def _check_answers(judge: LLMJudge) -> None:
    endpoint = Endpoint(judge.model_copy(update={"retries": min(judge.retries, 1)}))
    try:
        outcome = await endpoint.ask("Answer with the word yes.")
    finally:
        await endpoint.client.close()
    if isinstance(outcome, Failure):
        raise UserError(f"llm_judge: {judge.model} at {endpoint.host}: {outcome.reason}")
