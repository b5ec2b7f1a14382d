#!/usr/bin/env python3
"""Finds every document of a dataset with the reader that docs/formats.md has.

    tests/integration/corpus_reader_test.py --program build/dev/bin/lory-corpus

Builds a dataset of several shards, runs the page's Python as it stands there,
and compares what it finds of every document with the tokens that `lory-corpus
tokenize` makes of its text. What the page says of a dataset without
sequences.i64 must give the same places. Exit code 1 when one does not.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SPEC = """name: reader
output: out
seed: 11
held_out: {fraction: 0}
tokenizer: {vocabulary_size: 300}
embed: {dimensions: 64}
sequence_length: 256
shard_mb: 1
inputs:
  - path: in.jsonl
"""
DOCUMENTS = 1500
BITS = (1 << 64) - 1


def page_reader():
    """The Python of docs/formats.md."""
    page = Path(__file__).parents[2] / "docs/formats.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    if len(blocks) != 1:
        sys.exit(f"{page} has {len(blocks)} readers in Python")
    return blocks[0]


def mix(x):
    x = ((x ^ (x >> 30)) * 0xbf58476d1ce4e5b9) & BITS
    x = ((x ^ (x >> 27)) * 0x94d049bb133111eb) & BITS
    return x ^ (x >> 31)


def what_stands_at(position, seed, count):
    """The page's "Order of sequences", in epoch 0."""
    half = max(1, ((count - 1).bit_length() + 1) // 2)
    low = (1 << half) - 1
    keys = [mix((mix(seed) + i * 0x9e3779b97f4a7c15) & BITS)
            for i in range(1, 7)]
    while True:
        left, right = position >> half, position & low
        for key in keys:
            left, right = right, left ^ (mix(right ^ key) & low)
        position = left << half | right
        if position < count:
            return position


def write_corpus(folder):
    """Documents of a few and of some thousand words."""
    source = random.Random(4)
    words = ["".join(source.choices("abcdefghij", k=6)) for _ in range(5000)]
    texts = {}
    with open(folder / "in.jsonl", "w", encoding="utf-8") as lines:
        for i in range(DOCUMENTS):
            size = source.choice((3, 100, 400))
            texts[str(i)] = " ".join(source.choices(words, k=size))
            lines.write(json.dumps({"id": i, "text": texts[str(i)]}) + "\n")
    (folder / "corpus.yaml").write_text(SPEC, encoding="utf-8")
    return texts


def check(right, *what):
    if not right:
        sys.exit(" ".join(str(part) for part in what))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    program = str(Path(parser.parse_args().program).resolve())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        texts = write_corpus(folder)
        subprocess.run([program, "build", folder / "corpus.yaml"], check=True,
                       capture_output=True)
        out = folder / "out"
        sys.argv = ["reader", str(out)]
        page = {}
        exec(page_reader(), page)  # pylint: disable=exec-used

        manifest = page["manifest"]
        check(len(manifest["shards"]) > 1, "one shard proves too little")
        count, length = len(page["first_tokens"]), page["length"]
        seed = mix((manifest["seed"] + 0x73687566666c65) & BITS)
        for number, first in enumerate(page["first_tokens"]):
            check(first == length * what_stands_at(number, seed, count),
                  "sequence", number, "is said to begin at", first)

        documents = [json.loads(line) for line in
                     (out / "documents.jsonl").read_text().splitlines()]
        lines = "".join(json.dumps(texts[document["name"]]) + "\n"
                        for document in documents)
        made = subprocess.run(
            [program, "tokenize", "--lines", "--tokenizer", out], check=True,
            input=lines, capture_output=True, text=True).stdout.splitlines()
        stored, cut = 0, 0
        for document, line in zip(documents, made, strict=True):
            expected = json.loads(line)
            found = page["tokens_of"](document)
            stored += len(found)
            check(found[:-1] == expected[:len(found) - 1] if found else True,
                  document, "has other tokens")
            if len(found) == document["token_count"]:
                check(len(expected) == len(found) - 1, document, "is longer")
                check(found[-1] == 0, document, "has no end mark")
            else:
                cut += len(expected) + 1 - len(found)
        check(stored == count * length, "tokens that no document has")
        check(cut < length, cut, "tokens are not stored")
        print(f"{len(documents)} documents found in {count} sequences")


if __name__ == "__main__":
    main()
