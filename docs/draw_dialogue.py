"""Draws the dialogue of two clients and a server as a sequence diagram.

Run `python docs/draw_dialogue.py > docs/images/dialogue.svg`. A test runs the dialogue against a real server, and
checks that the picture is current.
"""

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple


class Step(NamedTuple):
    """A message between a client and the server: its type, and its other fields."""

    client: str
    direction: str  # "sends" or "receives", as seen from the client
    type: str
    fields: str = ""


ALICE, BOB = "alice", "bobby"

DIALOGUE: Sequence[Step] = (
    Step(ALICE, "sends", "get_challenge"),
    Step(ALICE, "receives", "challenge", "challenge"),
    Step(ALICE, "sends", "register", "userId, publicKey"),
    Step(ALICE, "receives", "registered", "userId, message"),
    Step(ALICE, "sends", "authenticate", "userId, signature"),
    Step(ALICE, "receives", "authenticated", "userId, message"),
    Step(ALICE, "sends", "join", "userId, roomId"),
    Step(ALICE, "receives", "joined", "roomId, userId, message"),
    Step(BOB, "sends", "join", "userId, roomId"),
    Step(BOB, "receives", "joined", "roomId, userId, message"),
    Step(ALICE, "receives", "user_joined", "userId, roomId, message"),
    Step(ALICE, "sends", "chat_message", "content"),
    Step(ALICE, "receives", "chat_message", "userId, roomId, content, timestamp, seq"),
    Step(BOB, "receives", "chat_message", "userId, roomId, content, timestamp, seq"),
    Step(BOB, "sends", "switch_room", "roomId"),
    Step(BOB, "receives", "joined", "roomId, userId, message"),
    Step(ALICE, "receives", "user_left", "userId, roomId, message"),
)

WIDTH, LEFT, MIDDLE, RIGHT = 860, 70, 430, 790
TOP, ROW = 70, 38

STYLE = """
  svg { color-scheme: light dark; font: 13px system-ui, sans-serif; background: light-dark(#fff, #14171b) }
  text { fill: light-dark(#181c22, #e6e9ee); text-anchor: middle }
  .name { font-weight: 600; font-size: 15px }
  .fields { fill: light-dark(#57606d, #a3adba); font-size: 11px }
  line, path { stroke: light-dark(#57606d, #a3adba); fill: none }
  .lifeline { stroke-dasharray: 3 4 }
  .head { fill: light-dark(#57606d, #a3adba) }
"""


def draw_svg() -> str:
    """The diagram as SVG."""
    height = TOP + ROW * len(DIALOGUE) + 30
    lifelines = ((LEFT, "alice"), (MIDDLE, "the server"), (RIGHT, "bobby, logged in"))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        "<title>Two clients and a server, message by message</title>",
        f"<style>{STYLE}</style>",
    ]
    for x, name in lifelines:
        lines.append(f'<text class="name" x="{x}" y="30">{name}</text>')
        lines.append(f'<line class="lifeline" x1="{x}" y1="42" x2="{x}" y2="{height - 12}"/>')
    for number, step in enumerate(DIALOGUE):
        lines += _arrow(step, TOP + ROW * number)
    return "\n".join([*lines, "</svg>", ""])


def _arrow(step: Step, y: int) -> Iterator[str]:
    client = LEFT if step.client == ALICE else RIGHT
    start, end = (client, MIDDLE) if step.direction == "sends" else (MIDDLE, client)
    head = 8 if start < end else -8
    middle = (start + end) // 2
    yield f'<line x1="{start}" y1="{y}" x2="{end}" y2="{y}"/>'
    yield f'<path class="head" d="M{end} {y} l{-head} -4 v8 z"/>'
    yield f'<text x="{middle}" y="{y - 5}">{escape(step.type)}</text>'
    if step.fields:
        yield f'<text class="fields" x="{middle}" y="{y + 14}">{escape(step.fields)}</text>'


if __name__ == "__main__":
    print(draw_svg(), end="")
