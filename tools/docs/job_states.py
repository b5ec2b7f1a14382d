#!/usr/bin/env python3
"""Writes the states of docs/jobs.md from the code that enforces them.

  tools/docs/job_states.py            rewrite the page
  tools/docs/job_states.py --check    say whether it is up to date
"""

import re

from page import ROOT, update

PAGE = ROOT / "docs/jobs.md"
BEGIN = "<!-- states: written by tools/docs/job_states.py -->"
END = "<!-- end of states -->"


def states():
    """(state, meaning) from the comments of Job.State."""
    text = (ROOT / "proto/lory/v1/job.proto").read_text()
    body = re.search(r"enum State \{(.*?)\n  \}", text, re.DOTALL).group(1)
    found, comment = [], []
    for line in (raw.strip() for raw in body.split("\n")):
        value = re.match(r"(\w+) = \d+;", line)
        if line.startswith("//"):
            comment.append(line[2:].strip())
        elif value and not value.group(1).endswith("_UNSPECIFIED"):
            found.append((value.group(1), " ".join(comment)))
        if not line.startswith("//"):
            comment = []
    return found


def transitions():
    """(from, to, when) of the table in job_state.cc."""
    text = (ROOT / "coordinator/state/job_state.cc").read_text()
    return re.findall(r'\{Job::(\w+), Job::(\w+),\s*"([^"]+)"\}', text)


def finals():
    """The states of IsFinal in job_state.cc."""
    text = (ROOT / "coordinator/state/job_state.cc").read_text()
    body = re.search(r"bool IsFinal.*?\n\}", text, re.DOTALL).group(0)
    return re.findall(r"Job::(\w+)(?= \|\||;)", body)


def generated():
    table = transitions()
    lines = ["| state | meaning |", "|---|---|"]
    lines += [f"| {state} | {meaning} |" for state, meaning in states()]
    lines += ["", "```mermaid", "stateDiagram-v2",
              "    [*] --> QUEUED: submit"]
    lines += [f"    {a} --> {b}: {when}" for a, b, when in table]
    lines += [f"    {state} --> [*]" for state in finals()]
    lines += ["```", "", "| from | to | when |", "|---|---|---|"]
    lines += [f"| {a} | {b} | {when} |" for a, b, when in table]
    return "\n".join(lines)


if __name__ == "__main__":
    update(PAGE, BEGIN, END, f"\n{generated()}\n", "tools/docs/job_states.py")
