#!/usr/bin/env python3
"""Writes the field tables of docs/job-file.md from the .proto comments.

  tools/docs/job_file.py            rewrite the page
  tools/docs/job_file.py --check    say whether it is up to date
"""

import re

from page import ROOT, update

PAGE = ROOT / "docs/job-file.md"
BEGIN = "<!-- fields: written by tools/docs/job_file.py -->"
END = "<!-- end of fields -->"

# Message -> where its keys stand in job.yaml.
SECTIONS = {
    "JobSpec": "At the top",
    "ModelSpec": "`model:`",
    "FeedForwardSpec": "`model.feed_forward:`",
    "OptimizerSpec": "`optimizer:`",
    "CheckpointSpec": "`checkpoint:`",
    "EvaluationSpec": "`evaluation:`",
}
TYPES = {"int32": "whole number", "int64": "whole number", "double": "number",
         "string": "text",
         "bool": "`true` or `false`", "google.protobuf.Duration": "duration",
         "map<string, string>": "map of texts"}


def short_names():
    """Proto field -> the shorter key of job.yaml, from field_names.cc."""
    text = (ROOT / "common/config/field_names.cc").read_text()
    return dict(re.findall(r'\{"lory\.v1\.(\w+\.\w+)",\s*"(\w+)"\}', text))


def messages(text):
    """Message -> [(comment, type, field)] and Message.Enum -> its values."""
    found, comment, stack = {}, [], []
    for raw in text.split("\n"):
        line = raw.strip()
        if line.startswith("//"):
            comment.append(line[2:].strip())
            continue
        opened = re.match(r"(message|enum|oneof|service) (\w+) \{", line)
        if opened:
            stack.append(opened.groups())
            if line.endswith("}"):
                stack.pop()
        elif line == "}":
            stack.pop()
        elif stack and stack[-1][0] in ("message", "oneof", "enum"):
            field = re.match(r"(?:([\w.<>, ]+?) )?(\w+) = \d+;", line)
            if field:
                owner = [n for k, n in stack if k == stack[-1][0]][-1]
                if stack[-1][0] == "oneof":
                    owner = [n for k, n in stack if k == "message"][-1]
                if stack[-1][0] == "enum":
                    owner = ".".join(n for _, n in stack)
                found.setdefault(owner, []).append(
                    (" ".join(comment), field.group(1), field.group(2)))
        comment = []
    return found


def add_variants(found):
    """A section for each feed-forward that has options, after theirs."""
    sections = list(SECTIONS.items())
    at = 1 + list(SECTIONS).index("FeedForwardSpec")
    variants = [(kind, f"`model.feed_forward.{name}:`")
                for _, kind, name in found["FeedForwardSpec"] if kind in found]
    SECTIONS.clear()
    SECTIONS.update(sections[:at] + variants + sections[at:])


def type_text(kind, found):
    if kind in TYPES:
        return TYPES[kind]
    if kind in SECTIONS:
        return f"[keys](#{re.sub(r'[^a-z_]', '', SECTIONS[kind].lower())})"
    values = [name.lower() for _, _, name in found.get(kind, [])
              if not name.endswith("_UNSPECIFIED")]
    return " or ".join(f"`{v}`" for v in values) or "`{}`"


def tables():
    found = {}
    for name in ("job", "model"):
        found.update(messages(
            (ROOT / f"proto/lory/v1/{name}.proto").read_text()))
    short = short_names()
    add_variants(found)
    lines = []
    for message, title in SECTIONS.items():
        lines += ["", f"### {title}", "", "| key | value | meaning |",
                  "|---|---|---|"]
        for comment, kind, field in found[message]:
            key = short.get(f"{message}.{field}")
            shown = f"`{key}` (`{field}`)" if key else f"`{field}`"
            meaning = comment.replace("|", "\\|")
            # An enum's zero says which value it stands for.
            kind = f"{message}.{kind}" if f"{message}.{kind}" in found else kind
            for zero, _, name in found.get(kind, []):
                if name.endswith("_UNSPECIFIED"):
                    meaning += f" Default: `{zero.rstrip('.').lower()}`."
            lines.append(f"| {shown} | {type_text(kind, found)} | {meaning} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    update(PAGE, BEGIN, END, tables(), "tools/docs/job_file.py")
