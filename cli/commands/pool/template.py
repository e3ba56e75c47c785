"""`gpuledger pool template`: a pool file to begin with."""

from __future__ import annotations

from ...options import define
from ...pooltext import template
from ...session import Session

EXAMPLES = """
gpuledger pool template > pool.toml
"""


@define("template", examples=EXAMPLES, here=True)
def command(session: Session) -> None:
    """Print a pool file that says what every key means."""
    if session.json:
        session.document({"template": template()})
    else:
        session.text(template().rstrip("\n"))
