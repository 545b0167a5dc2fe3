"""Options that several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Data = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        metavar="SRC",
        help="Annotated cells: cric:DIR, apacc:DIR, folders:DIR or a project; may be repeated. Options follow an @: µm "
        "per px and a class map (folders:cells@0.2,map=herlev).",
    ),
]
