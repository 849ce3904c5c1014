"""Trying graphs out for clients: is one valid here, and what would become of a document in it.

The supervisor imports no component, so a trial runs in a disposable process (:mod:`pypes.runtime.trials.trial`), bounded in time.
"""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import sys
from typing import Any

import msgspec
import orjson

from pypes.errors import BadRequest, ComponentError, InvalidGraph, Problem
from pypes.runtime.graphs.check import scrub
from pypes.runtime.graphs.deployment import Deployments

#: Longest time for a trial, set-up included.
TRIAL_S = 60.0


class DryRuns:
    """Validates graphs and tries them out; nothing of it is deployed or published."""

    def __init__(self, deployments: Deployments) -> None:
        self._deployments = deployments

    def validate(self, name: str, obj: Any) -> dict[str, Any]:
        """``{valid, errors: [{path, message, code}]}``: everything that would keep a graph from being deployed as ``name``."""
        try:
            self._deployments.checked(name, obj)
        except InvalidGraph as error:
            listed = error.problems or (Problem("", error.message, error.code),)
            return {"valid": False, "errors": [problem.to_obj() for problem in listed]}
        return {"valid": True, "errors": []}

    async def run(self, name: str, content_type: str, body: str | dict[str, Any], graph: Any = None) -> dict[str, Any]:
        """One document through a graph (the deployed one unless it is given): the report of a trial.

        ``body`` is text, or ``{"base64": …}``. Raises :class:`NotFound`, :class:`InvalidGraph`, :class:`BadRequest` for what the
        server would refuse, or :class:`ComponentError` when a filter cannot be set up or the trial takes too long or dies.
        """
        obj = self._deployments.checked(name, graph) if graph is not None else self._deployments.get(name)["graph"]
        job = {
            "graph": obj,
            "components": self._deployments.components_of(obj),
            "posts": [{"content_type": content_type, "body": _base64(body)}],
            "paths": msgspec.to_builtins(self._deployments.paths),
        }
        answer = await asyncio.to_thread(self._run, orjson.dumps(job), obj)
        if "error" in answer:
            error = answer["error"]
            raise BadRequest(error["message"], code=error["code"], where=error["where"])
        return answer

    def _run(self, job: bytes, graph: dict[str, Any]) -> dict[str, Any]:
        command = [sys.executable, "-m", "pypes.runtime.trials.trial"]
        try:
            done = subprocess.run(command, input=job, capture_output=True, timeout=TRIAL_S, check=False, env=os.environ)
        except subprocess.TimeoutExpired:
            raise ComponentError(f"the trial was not done after {TRIAL_S:g} s", code="dryrun.timeout") from None
        if done.returncode or not done.stdout:
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
            raise ComponentError(f"the trial ended early: {scrub(last[0], [graph])}", code="dryrun.died")
        answer: dict[str, Any] = msgspec.json.decode(done.stdout)
        return answer


def _base64(body: str | dict[str, Any]) -> str:
    if isinstance(body, str):
        return base64.b64encode(body.encode()).decode()
    if isinstance(body, dict) and isinstance(body.get("base64"), str):
        return str(body["base64"])
    raise BadRequest('body is text, or {"base64": TEXT}', code="request.invalid", where="body")
