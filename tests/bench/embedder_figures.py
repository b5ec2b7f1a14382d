#!/usr/bin/env python3
"""Vectors of a BERT encoder, beside Hugging Face's transformers.

    tests/bench/embedder_figures.py --program build/release/bin/lory-corpus
        --lines demo.jsonl --model MODEL [--texts 500] [--rounds 3]

Same texts, same model, same threads (all cores), fp32. Run it with a Python that
has torch and transformers. The peer gets texts of like length in batches of 32,
as sentence-transformers does, and its loading is not counted; ours is the time
of the stage, its writing included. Both must come to the same vectors. Long:
the first texts of the file; short: their first 80 characters.
"""

import argparse
import json
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

import numpy
import torch
import transformers

BATCH = 32
SPEC = """name: figures
output: {output}
held_out: {{fraction: 0}}
embed: {{kind: bert, model: {model}}}
neighbors: {{k: 1, near_duplicate: 1}}
order: random
sequence_length: 64
tokenizer: {{vocabulary_size: 257}}
inputs:
  - {{path: {lines}, domain: d}}
"""


def ours(program, model, texts):
    """Seconds and vectors, in the order of the texts."""
    with tempfile.TemporaryDirectory(prefix="lory-figures-") as name:
        folder = Path(name)
        lines = folder / "in.jsonl"
        lines.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
        spec = folder / "corpus.yaml"
        spec.write_text(SPEC.format(output=folder / "out", model=model,
                                    lines=lines))
        done = subprocess.run([program, "build", spec], check=True,
                              capture_output=True, text=True)
        seconds = re.search(r"^embed .*\(([\d.]+) s\)", done.stderr, re.M)
        vectors = numpy.fromfile(folder / "out/stages/embed/vectors.f32", "f4")
    return float(seconds.group(1)), vectors.reshape(len(texts), -1)


@torch.no_grad()
def peer(tokenizer, model, texts):
    begin = time.monotonic()
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
    vectors = [None] * len(texts)
    for first in range(0, len(order), BATCH):
        batch = order[first:first + BATCH]
        tokens = tokenizer([texts[i] for i in batch], padding=True,
                           truncation=True, max_length=512, return_tensors="pt")
        mask = tokens["attention_mask"].unsqueeze(-1)
        rows = (model(**tokens).last_hidden_state * mask).sum(1) / mask.sum(1)
        rows = torch.nn.functional.normalize(rows)
        for place, row in zip(batch, rows.numpy()):
            vectors[place] = row
    return time.monotonic() - begin, numpy.stack(vectors)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("--program", "--lines", "--model"):
        parser.add_argument(name, required=True)
    parser.add_argument("--texts", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(os.cpu_count())
    found = (json.loads(line)["text"] for line in open(options.lines))
    texts = list(dict.fromkeys(found))
    texts = texts[::max(1, len(texts) // options.texts)][:options.texts]
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.model)
    model = transformers.AutoModel.from_pretrained(
        options.model, dtype=torch.float32).eval()
    for name, some in (("long", texts),
                       ("short", list(dict.fromkeys(t[:80] for t in texts)))):
        tokens = [len(tokenizer(t, truncation=True, max_length=512)["input_ids"])
                  for t in some]
        best = {"ours": 1e9, "peer": 1e9}
        for _ in range(options.rounds):
            seconds, vectors = ours(options.program, options.model, some)
            best["ours"] = min(best["ours"], seconds)
            seconds, expected = peer(tokenizer, model, some)
            best["peer"] = min(best["peer"], seconds)
        if numpy.abs(vectors - expected).max() > 1e-4:
            raise SystemExit("the two differ in vectors")
        print(f"{name}: {len(some)} texts, {sum(tokens) / len(some):.0f} tokens "
              f"each; lory-corpus {len(some) / best['ours']:.1f} texts/s, "
              f"transformers {transformers.__version__} "
              f"{len(some) / best['peer']:.1f} texts/s, ratio "
              f"{best['peer'] / best['ours']:.2f}")


if __name__ == "__main__":
    main()
