"""The documentation says what the code does."""

import re
import tomllib
from pathlib import Path

import pytest

from chat_actors.protocol import Refusal, refusals
from chat_actors.server.settings import SECTIONS

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize(
    ("key", "default"),
    [
        (f"{section}.{name}", default)
        for section, struct in SECTIONS.items()
        for name, default in zip(struct.__struct_fields__, struct.__struct_defaults__, strict=True)
    ],
)
def test_every_setting_stands_in_the_reference_with_its_default(key, default):
    row = re.search(rf"^\| `{key}` \| `(.*?)` \|", (DOCS / "reference/settings.md").read_text(), re.MULTILINE)
    written = tomllib.loads(f"value = {row[1]}")["value"]
    assert (tuple(written) if isinstance(written, list) else written) == default


@pytest.mark.parametrize("refusal", [value for value in vars(refusals).values() if isinstance(value, Refusal)])
def test_every_error_stands_in_the_reference(refusal):
    assert f"| `{refusal.code}` | `{refusal.text}` |" in (DOCS / "reference/protocol.md").read_text()


def test_the_python_in_the_documentation_compiles():
    blocks = [
        block
        for page in DOCS.rglob("*.md")
        for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    ]
    assert blocks
    for block in blocks:
        compile(block, "a code block", "exec")
