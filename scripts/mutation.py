"""How many small faults the tests notice: a sample of mutants of each package, run against that package's own tests.

    python scripts/mutation.py [PACKAGE ...] [--sample 60] [--seed 1] [--at-least 0.9] [--jobs 2]

A mutant is the package with one comparison, sign, constant or condition changed; mutmut makes them and finds the tests
that run each. Changes of nothing but the words of a string are left out, since sentences have tests of their own.
What cannot be noticed, because it changes nothing that anybody could see, is listed with its reason in
``tests/equivalent_mutants.txt``. Exits with 1 where fewer than ``--at-least`` of a package's sample are noticed.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_cyto.domain.statistics import share_interval

ROOT = Path(__file__).resolve().parents[1]
EQUIVALENT = ROOT / "tests" / "equivalent_mutants.txt"
# mutmut's exit codes of a test run: 0 is a mutant that survived, 33 one that no test runs.
NOT_RUN = 33
UNNOTICED = {0, NOT_RUN}
COPIED = ("napari_cyto", "tests", "resources", "docs", "pyproject.toml", "README.md", "mkdocs.yml", "tox.ini")


@dataclass(frozen=True)
class Package:
    """Source files of one row of the table, and the tests that are to notice what is wrong with them."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]


PACKAGES = {
    "domain": Package(
        ("domain",),
        (
            "tests/domain",
            "tests/properties/test_coverage.py",
            "tests/properties/test_edits_algebra.py",
        ),
    ),
    "evaluation": Package(("evaluation",), ("tests/evaluation",)),
    "formats": Package(("formats",), ("tests/formats", "tests/properties/test_formats_round_trip.py")),
    "splits": Package(("datasets/splits",), ("tests/datasets/splits", "tests/datasets/audit")),
    "audit": Package(("datasets/audit",), ("tests/datasets/audit", "tests/datasets/splits")),
    "inference": Package(
        ("inference/engine", "inference/cluster", "inference/probabilities.py"),
        ("tests/inference",),
    ),
    "store": Package(("store",), ("tests/store", "tests/properties/test_store_model.py")),
}


@dataclass(frozen=True)
class Result:
    """What came of the mutants of one package."""

    noticed: int
    tried: int
    survivors: tuple[str, ...]


def working_copy(folder: Path, package: Package) -> None:
    """Copy what mutmut needs into ``folder``, with its settings for one package."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.is_file():
            shutil.copy(source, folder / name)
    settings = {
        "source_paths": [f"napari_cyto/{source}" for source in package.sources],
        "pytest_add_cli_args_test_selection": list(package.tests),
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "-m", "not networks and not gui and not nightly"],
        "also_copy": [name for name in COPIED if (ROOT / name).exists()],
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    with (folder / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n[tool.mutmut]\n" + "\n".join(lines) + "\n")


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in ``folder``, where its copy of the package is found before any installed one."""
    environment = {**os.environ, "PYTHONPATH": "", "HYPOTHESIS_PROFILE": "ci"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


# As `mutmut run` begins; its own way would run all tests twice before it tries the first mutant.
_MAKE = """
import os
from mutmut import __main__ as mutmut
os.makedirs("mutants", exist_ok=True)
mutmut.copy_src_dir()
mutmut.copy_also_copy_files()
mutmut.setup_source_paths()
mutmut.create_mutants(1)
"""
# Without the tests that mutmut runs once more to see that they pass: they have just been run, to see what each runs.
_TRY = """
import sys
from mutmut import __main__ as mutmut
from mutmut.workers import isolation
for runner in vars(isolation).values():
    if isinstance(runner, type) and "run_clean_tests" in vars(runner):
        runner.run_clean_tests = lambda *_, **__: 0
mutmut._run(sys.argv[2:], int(sys.argv[1]))
"""
# One process for all of them: mutmut takes seconds to start.
_DIFFS = """
import json, sys
from mutmut.mutation.diff_apply import get_diff_for_mutant
print(json.dumps({name: get_diff_for_mutant(name) for name in sys.argv[1:]}))
"""


def diffs(folder: Path, mutants: Sequence[str]) -> dict[str, str]:
    """What each of some mutants changes."""
    done = python(folder, "-c", _DIFFS, *mutants)
    if done.returncode:
        raise SystemExit(f"The mutants could not be shown: {done.stderr[-2000:]}")
    shown: dict[str, str] = json.loads(done.stdout)
    return shown


def exit_codes(folder: Path) -> dict[str, int | None]:
    """The mutants that were made, each with the exit code of its tests, or None where they were not run."""
    codes: dict[str, int | None] = {}
    for meta in sorted((folder / "mutants").rglob("*.meta")):
        codes |= json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"]
    return codes


def changed_lines(diff: str) -> tuple[str, str]:
    """The lines that a mutant takes away and adds, each as one text without indentation."""
    lines = [line for line in diff.splitlines() if line[:1] in "+-" and not line.startswith(("+++", "---"))]
    removed = " ".join(line[1:].strip() for line in lines if line[0] == "-")
    return removed, " ".join(line[1:].strip() for line in lines if line[0] == "+")


def words_only(removed: str, added: str) -> bool:
    """Whether two lines differ in nothing but what is written in their strings."""

    def tokens(line: str) -> list[str]:
        kinds = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", -1)}
        try:
            found = list(tokenize.generate_tokens(io.StringIO(line).readline))
        except (tokenize.TokenError, IndentationError):
            return [re.sub(r"(['\"]).*?\1", "''", line)]
        return ["''" if token.type in kinds else token.string for token in found]

    return tokens(removed) == tokens(added)


def equivalent() -> set[tuple[str, str, str]]:
    """Function, line and changed line of the mutants that nobody could notice; each has its reason beside it."""
    listed = set()
    for line in EQUIVALENT.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            function, removed, added, _reason = (part.strip() for part in line.split(" | "))
            listed.add((function, removed, added))
    return listed


def run(name: str, sample: int, seed: int, jobs: int) -> Result:
    """Try ``sample`` mutants of a package, drawn by ``seed``, ``jobs`` at a time."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as temporary:
        folder = Path(temporary)
        working_copy(folder, PACKAGES[name])
        first = python(folder, "-c", _MAKE)
        made = sorted(exit_codes(folder))
        if not made:
            raise SystemExit(f"mutmut made no mutants of {name}: {first.stdout[-2000:]}{first.stderr[-2000:]}")
        random.Random(seed).shuffle(made)
        ignored = equivalent()
        drawn: dict[str, str] = {}
        # Of the changes that mutmut makes, about half are of words alone.
        for mutant, diff in diffs(folder, made[: 4 * sample]).items():
            removed, added = changed_lines(diff)
            function = mutant.partition("__mutmut_")[0]
            if not words_only(removed, added) and (function, removed, added) not in ignored:
                drawn[mutant] = f"{function} | {removed} | {added}"
            if len(drawn) == sample:
                break
        last = python(folder, "-c", _TRY, str(jobs), *drawn)
        codes = exit_codes(folder)
        tried = {mutant: codes[mutant] for mutant in drawn if codes[mutant] is not None}
        if not tried:
            raise SystemExit(f"No mutant of {name} was run: {last.stdout[-2000:]}{last.stderr[-2000:]}")
        survivors = tuple(
            drawn[mutant] + (" (no test runs it)" if code == NOT_RUN else "")
            for mutant, code in tried.items()
            if code in UNNOTICED
        )
        return Result(len(tried) - len(survivors), len(tried), survivors)


def main() -> int:
    """Print a line for each package, and what was not noticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", choices=[*PACKAGES, []], help="default: all")
    parser.add_argument("--sample", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-least", type=float, default=0.9)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants that are tried at the same time")
    arguments = parser.parse_args()
    enough = True
    for name in arguments.packages or PACKAGES:
        result = run(name, arguments.sample, arguments.seed, arguments.jobs)
        interval = share_interval(result.noticed, result.tried)
        share = result.noticed / result.tried
        enough &= share >= arguments.at_least
        low, high = interval or (0.0, 1.0)
        print(f"{name}: {result.noticed} of {result.tried} noticed, {share:.0%} ({low:.0%} to {high:.0%})", flush=True)
        for survivor in result.survivors:
            print(f"  {survivor}", flush=True)
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
