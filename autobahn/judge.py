"""Judges what wstest wrote. Its exit status says nothing, so every case that was asked for must be proved.

`python3 judge.py OUTDIR AGENT CASE...` judges by hand.
"""

import json
import sys
from pathlib import Path

# The suite hard-codes INFORMATIONAL for these three: RFC 6455 leaves open what they try.
INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}


def judge(outdir: Path, agent: str, cases: list[str]) -> list[str]:
    """What is wrong, one text for each failure; nothing when each of `cases` passed and no other ran."""
    index = outdir / "index.json"
    if not index.is_file():
        return [f"{case}: wstest wrote no {index}" for case in cases]
    agents = json.loads(index.read_text())
    results = agents.pop(agent, {})
    failures = [f"the agent {other!r} was tested, not {agent!r} alone" for other in agents]
    failures += [f"{case}: ran, but nobody asked for it" for case in results.keys() - set(cases)]
    for case in cases:
        if case not in results:
            failures.append(f"{case}: did not run")
        elif not passed(case, results[case]):
            failures.append(f"{case}: {describe(outdir, results[case])}")
    return failures


def passed(case: str, result: dict) -> bool:
    """OK in both, or what the suite hard-codes. NON-STRICT is a failure: invalid text must fail fast."""
    good = "INFORMATIONAL" if case in INFORMATIONAL else "OK"
    return result["behavior"] == good and result["behaviorClose"] in ("OK", good)


def describe(outdir: Path, result: dict) -> str:
    text = f"{result['behavior']}, close {result['behaviorClose']} (code {result['remoteCloseCode']})"
    report = outdir / result["reportfile"]
    try:
        details = json.loads(report.read_text())
    except (OSError, ValueError) as error:
        return f"{text}\n    no report: {error}"
    for key in ("description", "expectation", "result", "resultClose"):
        text += f"\n    {key}: {' '.join(str(details.get(key)).split())}"
    return f"{text}\n    report: {report}"


if __name__ == "__main__":
    outdir, agent, *cases = sys.argv[1:]
    failures = judge(Path(outdir), agent, cases)
    print(*failures, sep="\n")
    sys.exit(bool(failures))
