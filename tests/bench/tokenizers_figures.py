#!/usr/bin/env python3
"""Ingest and tokenize, beside Hugging Face's `tokenizers`.

    tests/bench/tokenizers_figures.py --bench build/bench/tests/corpus_bench
        --lines demo.jsonl --tokenizer tokenizer.json [--rounds 3]

Same lines, same vocabulary, same threads (all cores). Run it with a Python that
has the package (python3 -m venv, pip install tokenizers). The peer reads the
lines with Python's json, as its users do; its encoding is also given alone.
Both sides drop texts they had before, and must come to as many tokens.
"""

import argparse
import json
import re
import resource
import subprocess
import time

from tokenizers import Tokenizer, __version__

BATCH = 1000  # documents


def processor_seconds(who):
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def peer(lines, tokenizer):
    begin, processor = time.monotonic(), processor_seconds(resource.RUSAGE_SELF)
    texts = []
    seen = set()
    with open(lines, encoding="utf-8") as file:
        for line in file:
            text = json.loads(line)["text"]
            if text not in seen:
                seen.add(text)
                texts.append(text)
    read = time.monotonic() - begin
    tokens = 0
    for first in range(0, len(texts), BATCH):
        for encoded in tokenizer.encode_batch_fast(
                texts[first:first + BATCH], add_special_tokens=False):
            tokens += len(encoded) + 1  # and the end of the document
    return {"tokens": tokens, "read": read, "all": time.monotonic() - begin,
            "processor": processor_seconds(resource.RUSAGE_SELF) - processor}


def ours(bench, lines, tokenizer):
    out = subprocess.run([bench, "tokenize", lines, tokenizer], check=True,
                         capture_output=True, text=True).stdout
    number = {key: float(value)
              for key, value in re.findall(r"(\w+)=([\d.]+)", out)}
    return {"tokens": int(number["tokens"]), "read": number["ingest_seconds"],
            "all": number["seconds"], "processor": number["processor_seconds"]}


def show(name, best):
    print(f"{name:<24}{best['tokens']:>12} tokens  read {best['read']:6.2f} s"
          f"  all {best['all']:6.2f} s  processor {best['processor']:6.2f} s")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("--bench", "--lines", "--tokenizer"):
        parser.add_argument(name, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    tokenizer = Tokenizer.from_file(options.tokenizer)
    runs = {"ours": [], "peer": []}
    for _ in range(options.rounds):
        runs["ours"].append(
            ours(options.bench, options.lines, options.tokenizer))
        runs["peer"].append(peer(options.lines, tokenizer))
    best = {name: {key: min(run[key] for run in found) for key in found[0]}
            for name, found in runs.items()}
    show("lory-corpus", best["ours"])
    show(f"tokenizers {__version__}", best["peer"])
    for key in ("all", "processor"):
        print(f"{key}: {best['peer'][key] / best['ours'][key]:.2f} times as fast")
    if best["ours"]["tokens"] != best["peer"]["tokens"]:
        raise SystemExit("the two differ in tokens")


if __name__ == "__main__":
    main()
