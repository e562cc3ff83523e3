"""The process on a device that has the runtime: it loads files, answers inputs and clocks, one request at a time."""

from __future__ import annotations

import contextlib
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ridgepoint.deploy.places.wire import Stream, in_chunks
from ridgepoint.deploy.rounds import Rounds, rounds_of
from ridgepoint.deploy.runtimes.session import Session, first_line
from ridgepoint.deploy.turn import Turn
from ridgepoint.errors import InputError
from ridgepoint.privacy import keep_private
from ridgepoint.system import end_with_parent

SESSIONS = {"onnxruntime": "ridgepoint.deploy.places.onnx:DeviceOnnxSession"}
"""The class of each runtime's sessions, with nothing but the runtime's own library."""


class Worker:
    """Sessions by the numbers that the other side gave them."""

    def __init__(self, stream: Stream):
        self.stream = stream
        self.sessions: dict[int, Session] = {}
        self.rounds: Rounds | None = None
        self._stack = contextlib.ExitStack()

    def serve(self) -> None:
        """Answer until the other side is gone."""
        while (header := self.stream.header()) is not None:
            payload = self.stream.payload(header["size"])
            try:
                reply, content = getattr(self, "do_" + header["kind"])(header, payload)
            except InputError as error:
                reply, content = {"kind": "refused", "message": str(error)}, b""
            except Exception as error:  # libraries raise what they like
                reply, content = {"kind": "refused", "message": f"{type(error).__name__}: {first_line(error)}"}, b""
            self.stream.send(reply, in_chunks(content), size=len(content))

    def do_open(self, header: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        """Load an artefact."""
        module, _, kind = SESSIONS[header["runtime"]].partition(":")
        made = getattr(import_module(module), kind)
        session = made(Path(header["path"]), threads=header["threads"], pinned=header["pinned"])
        self.sessions[header["id"]] = session
        told = {"input_shape": list(session.input_shape), "cores": list(session.cores), "version": session.version}
        return {"kind": "opened", **told}, b""

    def do_close(self, header: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        """Let go of sessions."""
        for number in header["ids"]:
            self.sessions.pop(number, None)
        return {"kind": "closed"}, b""

    def do_run(self, header: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        """Answer an input, float32 of a shape, in float32."""
        image = np.frombuffer(payload, np.float32).reshape(header["shape"])
        found = np.ascontiguousarray(self.sessions[header["id"]].run(image), np.float32)
        return {"kind": "answer", "shape": list(found.shape)}, found.tobytes()

    def do_begin(self, header: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        """Warm sessions up for rounds."""
        self._stack.close()
        sessions = {number: self.sessions[number] for number in header["sessions"]}
        beside = {key: [self.sessions[number] for number in group] for key, group in enumerate(header["beside"])}
        rounds = rounds_of(sessions, beside, warmup=header["warmup"], patience_s=header["left_s"])  # type: ignore[arg-type]
        self.rounds = self._stack.enter_context(rounds)
        return {"kind": "begun"}, b""

    def do_look(self, header: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        """Turns of a group of references alone."""
        assert self.rounds is not None
        self.rounds.left_s = header["left_s"]
        turns, load = self.rounds.look(header["group"], header["turns"])
        told, content = packed(turns)
        return {"kind": "looked", "beside": [told], "load": load, "left_s": self.rounds.left_s}, content

    def do_take(self, header: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        """Rounds, each of which is told when it is over."""
        assert self.rounds is not None
        self.rounds.left_s = header["left_s"]
        taken = self.rounds.take(
            header["rounds"],
            header["round_s"],
            lambda done, of: self.stream.send({"kind": "round", "done": done, "of": of}),
        )
        groups = [list(taken.turns.values()), *taken.beside.values()]
        (turns, *beside), contents = zip(*map(packed, groups))  # noqa: B905  Python 3.9 knows no strict
        reply = {"kind": "taken", "turns": turns, "beside": beside, "load": taken.load, "left_s": self.rounds.left_s}
        return {**reply, "state": vars(taken.state)}, b"".join(contents)

    def do_end(self, header: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        """The rounds are over."""
        self._stack.close()
        self.rounds = None
        return {"kind": "over"}, b""


def packed(lanes: Any) -> tuple[list[list[tuple[int, float]]], bytes]:
    """Of every lane's turns how many runs they had and what was lost, and the milliseconds of all runs in order."""
    every: list[Turn] = [turn for lane in lanes for turn in lane]
    told = [[(len(turn.ms), turn.lost) for turn in lane] for lane in lanes]
    return told, np.array([ms for turn in every for ms in turn.ms], "<f8").tobytes()


def main() -> None:
    """Serve the standard streams, which nothing else may write to, and end with the agent."""
    end_with_parent()
    keep_private()
    sending = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    with contextlib.suppress(BrokenPipeError, EOFError):
        Worker(Stream(0, sending)).serve()
