# SPDX-License-Identifier: Apache-2.0
"""The web page for one scan: its addresses and what each answers.

    GET    /                          the page
    GET    /page.js, /page.css        what it needs
    POST   /jobs                      what will be sent, as JSON; answers with the job's name
    PUT    /jobs/<name>/<number>      one file, as it is
    GET    /jobs/<name>               how far it is, as JSON
    DELETE /jobs/<name>               stop it and remove all it has
    GET    /jobs/<name>/files/<n>     one of its results

A file comes as the body of its own request, and its name before in JSON: nothing has to be taken
apart, and no address carries a name that may be a patient's.

Belongs here: addresses. Does not belong here: guards (``guards.py``), the queue (``jobs.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lung_pipeline.diagnosis.patient import RESEARCH_ONLY
from lung_pipeline.diagnosis.verdict.rules import DEFAULT_RULE, RULES
from lung_pipeline.errors import LungPipelineError
from lung_pipeline.serving.guards import LOOPBACK, REPORT_POLICY, Guard
from lung_pipeline.serving.job import DONE, WAITING, Job, told
from lung_pipeline.serving.jobs import Jobs
from lung_pipeline.serving.receiving import LateError
from lung_pipeline.serving.results import REPORT
from lung_pipeline.serving.room import DiskError
from lung_pipeline.serving.uploads import ALONE, HEADER, VOXELS, read_request

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

MOST_JSON_BYTES = 10_000
"""What is asked for takes a few hundred bytes."""

_STATUSES: dict[type[Exception], int] = {LateError: 409, DiskError: 507}
"""Other refusals are 422: what was asked for cannot be done."""

Answer = Callable[["Request"], Awaitable["Response"]]


def make_app(jobs: Jobs, hosts: Collection[str] = LOOPBACK) -> Starlette:
    """The application over a queue of jobs; it runs them while it is served.

    Args:
        jobs: the queue.
        hosts: names under which browsers may ask, without ports.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.routing import Route

    @contextlib.asynccontextmanager
    async def served(_: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(jobs.serve()), asyncio.create_task(jobs.sweep())]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    answers = _Answers(jobs)
    routes = [
        Route("/", answers.page),
        Route("/page.js", _script),
        Route("/page.css", _style),
        Route("/jobs", answers.add, methods=["POST"]),
        Route("/jobs/{job_id}", answers.of_job(answers.tell), methods=["GET"]),
        Route("/jobs/{job_id}", answers.of_job(answers.cancel), methods=["DELETE"]),
        Route("/jobs/{job_id}/{number:int}", answers.of_job(answers.take), methods=["PUT"]),
        Route("/jobs/{job_id}/files/{number:int}", answers.of_job(answers.give), methods=["GET"]),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, hosts=hosts)],
        lifespan=served,
        exception_handlers={LungPipelineError: _in_words},
    )


class _Answers:
    """The answers that need the queue."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs

    def of_job(self, answer: Callable[[Request, Job], Awaitable[Response]]) -> Answer:
        """Find the job first; an unknown one is said to be gone."""

        async def found(request: Request) -> Response:
            job = self.jobs.get(request.path_params["job_id"])
            if job is None:
                return _json({"message": "This scan is not here any more."}, 404)
            return await answer(request, job)

        return found

    async def page(self, _: Request) -> Response:
        from jinja2 import Environment, PackageLoader, StrictUndefined
        from starlette.responses import HTMLResponse

        environment = Environment(
            loader=PackageLoader("lung_pipeline.serving"),
            autoescape=True,
            undefined=StrictUndefined,
        )
        page = environment.get_template("page.html").render(
            rules=list(RULES.values()),
            default_rule=DEFAULT_RULE,
            endings=[*ALONE, HEADER, *VOXELS],
            notice=RESEARCH_ONLY,
            keep_minutes=round(self.jobs.limits.keep_s / 60),
        )
        return HTMLResponse(page)

    async def add(self, request: Request) -> Response:
        asked = await _small_json(request)
        job = self.jobs.add(read_request(asked, self.jobs.limits.upload_bytes))
        return _json(self._status(job), 201)

    async def tell(self, request: Request, job: Job) -> Response:
        return _json(self._status(job))

    async def take(self, request: Request, job: Job) -> Response:
        from starlette.requests import ClientDisconnect

        number = request.path_params["number"]
        if number >= len(job.request.files):
            return _json({"message": "No such file was told of."}, 404)
        try:
            await self.jobs.receive(job, number, request.stream())
        except ClientDisconnect:
            return _json({"message": "The upload broke off."}, 400)
        return _json(self._status(job))

    async def cancel(self, request: Request, job: Job) -> Response:
        await self.jobs.cancel(job)
        return _json(self._status(job))

    async def give(self, request: Request, job: Job) -> Response:
        from starlette.responses import FileResponse

        results, number = _results(job), request.path_params["number"]
        if number >= len(results):
            return _json({"message": "No such file."}, 404)
        file = results[number]
        if file.name == REPORT:
            headers = {"Content-Security-Policy": REPORT_POLICY}
            return FileResponse(file, media_type="text/html", headers=headers)
        return FileResponse(file, media_type="application/octet-stream", filename=file.name)

    def _status(self, job: Job) -> dict[str, Any]:
        return {
            "id": job.job_id,
            "state": job.state,
            "position": self.jobs.position(job) if job.state == WAITING else 0,
            "step": job.step,
            "share": round(job.share, 3),
            "outcome": job.outcome,
            "names": [file.name for file in job.request.files],
            "files": [{"name": file.name, "bytes": file.stat().st_size} for file in _results(job)],
        }


def _results(job: Job) -> list[Path]:
    """What a person may fetch: plain files of the job's own folder, the report first."""
    if job.state != DONE:
        return []
    files = [path for path in sorted(job.out.iterdir()) if path.is_file()]
    return sorted(files, key=lambda path: path.name != REPORT)


async def _script(_: Request) -> Response:
    from starlette.responses import Response

    return Response(_template("serving", "page.js"), media_type="text/javascript")


async def _style(_: Request) -> Response:
    from starlette.responses import Response

    # The reports' own look, and what only this page has.
    style = _template("reporting", "style.css") + _template("serving", "page.css")
    return Response(style, media_type="text/css")


def _template(package: str, name: str) -> str:
    folder = resources.files(f"lung_pipeline.{package}") / "templates"
    return (folder / name).read_text(encoding="utf-8")


async def _small_json(request: Request) -> Any:
    """The body as JSON; None where it is none, or too long to be what a page of ours sends."""
    import json

    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_JSON_BYTES:
            return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


async def _in_words(_: Request, error: Exception) -> Response:
    said = {"outcome": told(error)} if isinstance(error, LungPipelineError) else {}
    return _json(said, _STATUSES.get(type(error), 422))


def _json(content: dict[str, Any], status: int = 200) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse(content, status_code=status)
