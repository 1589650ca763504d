"""Whatever a page sends is either one of the known messages, in bounds, or refused in one line."""

from __future__ import annotations

import json

import pytest

from worldgan.errors import WorldganError
from worldgan.play import messages
from worldgan.play.messages import KINDS, LARGEST, parse

GOOD = {
    '{"type": "step", "action": 1}': messages.Step(1),
    '{"type": "step", "action": [0.5, -1]}': messages.Step([0.5, -1]),
    '{"type": "reset", "start": "anywhere"}': messages.Reset("anywhere"),
    '{"type": "rewind", "steps": 3}': messages.Rewind(3),
    '{"type": "switch", "model": "mse"}': messages.Switch("mse"),
    '{"type": "futures", "count": 8}': messages.Futures(8),
    '{"type": "go", "choice": 0, "outcome": 1}': messages.Go(0, 1),
    '{"type": "agent", "name": "cem"}': messages.Agent("cem"),
    '{"type": "record", "on": true}': messages.Record(True),
    '{"type": "save", "format": "gif"}': messages.Save("gif"),
}

BAD = {
    "": "expected a message in JSON",
    "step": "expected a message in JSON",
    "[" * LARGEST: "expected a message in JSON",
    "[]": "without a type",
    '{"action": 1}': "without a type",
    '{"type": ["step"], "action": 1}': "without a type",
    '{"type": "stop"}': "unknown message 'stop': did you mean 'step'?",
    '{"type": "step"}': "expected action for Step, got nothing",
    '{"type": "go", "choice": 0}': "expected outcome for Go, got choice",
    '{"type": "step", "action": 1, "actoin": 2}': "did you mean 'action'",
    '{"type": "reset", "start": "elsewhere"}': "unknown value of start",
    '{"type": "rewind", "steps": 0}': "expected steps from 1 to",
    '{"type": "rewind", "steps": 1e3}': "expected int for steps",
    '{"type": "rewind", "steps": true}': "expected int for steps",
    '{"type": "futures", "count": 9}': "expected count from 1 to 8, got 9",
    '{"type": "go", "choice": "0", "outcome": 0}': "expected int for choice",
    '{"type": "record", "on": 1}': "expected bool for on",
    '{"type": "save", "format": "exe"}': "unknown value of format",
}


def test_every_kind_is_understood() -> None:
    assert {type(parse(text)) for text in GOOD} == set(KINDS.values())


@pytest.mark.parametrize("text", GOOD)
def test_good_messages(text: str) -> None:
    assert parse(text) == GOOD[text]


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:40])
def test_bad_messages(text: str) -> None:
    with pytest.raises(WorldganError) as caught:
        parse(text)
    assert BAD[text] in str(caught.value)
    assert "\n" not in str(caught.value)
    json.dumps(str(caught.value))
