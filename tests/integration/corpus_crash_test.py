#!/usr/bin/env python3
"""Kills lory-corpus at random moments and compares what comes out.

    tests/integration/corpus_crash_test.py --program build/dev/bin/lory-corpus
        [--kills 6] [--seed N]

Builds datasets undisturbed, then again and again into other folders, each time
with kill -9 somewhere on the way, until that many kills have hit a running
build. The build that goes on after a kill must give the same bytes: shards,
manifest, and what every stage left. Four corpora take turns: one plain file,
one of folders, compressed and text files with a mixture and the released walk,
one of tokens and text, and one whose vectors a small encoder makes. Exit code 1
when one does not.
"""

import argparse
import gzip
import hashlib
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Kills in a row before a build may end.
MOST_KILLS = 4
SHARED = """name: crash
output: out
held_out: {fraction: 0.05}
neighbors: {near_duplicate: 0.9}
sequence_length: 64
shard_mb: 1
"""
COMMON = SHARED + "embed: {dimensions: 256}\n"
TRAINED = COMMON + "tokenizer: {vocabulary_size: 600}\n"
PLAIN = TRAINED + """inputs:
  - path: in.jsonl
"""
# No more tokens than bytes and the end mark: a byte is a token.
BYTES = COMMON + """tokenizer: {vocabulary_size: 257}
inputs:
  - path: in.jsonl
"""
TOKENS = COMMON + """tokenizer: {file: tokenizer.json}
inputs:
  - {path: tokens.idx, format: megatron, domain: tokens}
  - {path: in.jsonl}
"""
ENCODED = SHARED + """tokenizer: {vocabulary_size: 600}
embed: {kind: bert, model: encoder}
inputs:
  - path: in.jsonl
"""
VARIED = TRAINED + """inputs:
  - {path: lines}
  - {path: texts, format: text, domain: texts}
mixture: {topic-0: 1, topic-1: 2, topic-2: 1, texts: 1}
order: released-code
"""


def documents(seed):
    chance = random.Random(seed)
    for i in range(1500):
        topic = chance.randrange(12)
        words = [f"w{topic}x{chance.randrange(60)}" for _ in range(120)]
        line = {"id": f"d{i}", "text": " ".join(words),
                "domain": f"topic-{topic % 3}"}
        yield line
        if i % 10 == 0:  # a near copy
            yield {**line, "id": f"c{i}", "text": " ".join(words[:-1])}


def write_plain(folder, seed, _):
    lines = [json.dumps(line) + "\n" for line in documents(seed)]
    (folder / "in.jsonl").write_text("".join(lines))
    (folder / "corpus.yaml").write_text(PLAIN)


def write_varied(folder, seed, _):
    """A third each as lines, as compressed lines and as text files."""
    for name in ("lines", "texts/deep"):
        (folder / name).mkdir(parents=True)
    lines = list(documents(seed))
    third = len(lines) // 3
    text = "".join(json.dumps(line) + "\n" for line in lines[:third])
    (folder / "lines/a.jsonl").write_text(text)
    text = "".join(json.dumps(line) + "\n" for line in lines[third:2 * third])
    (folder / "lines/b.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    for number, line in enumerate(lines[2 * third:]):
        name = f"texts/{'deep/' if number % 2 else ''}{line['id']}.txt"
        (folder / name).write_text(line["text"])
    (folder / "corpus.yaml").write_text(VARIED)


def write_tokens(folder, seed, program):
    """Half as tokens in Megatron's layout, half as lines."""
    lines = list(documents(seed))
    half = len(lines) // 2
    with tempfile.TemporaryDirectory(prefix="lory-bytes-") as name:
        bytewise = Path(name)
        text = "".join(json.dumps(line) + "\n" for line in lines[:50])
        (bytewise / "in.jsonl").write_text(text)
        (bytewise / "corpus.yaml").write_text(BYTES)
        finish(program, bytewise)
        shutil.copy(bytewise / "out/tokenizer.json", folder)
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    # The layout's own letter for the space; all others stand for themselves.
    texts = [line["text"].replace(" ", "\u0120") for line in lines[:half]]
    tokens = [[model["vocab"][letter] for letter in text] for text in texts]
    lengths = [len(document) for document in tokens]
    begins = [4 * sum(lengths[:i]) for i in range(half)]
    (folder / "tokens.bin").write_bytes(
        b"".join(struct.pack(f"<{len(ids)}i", *ids) for ids in tokens))
    (folder / "tokens.idx").write_bytes(
        b"MMIDIDX\0\0" +
        struct.pack(f"<QBQQ{half}i{half}q{half + 1}q", 1, 4, half, half + 1,
                    *lengths, *begins, *range(half + 1)))
    text = "".join(json.dumps(line) + "\n" for line in lines[half:])
    (folder / "in.jsonl").write_text(text)
    (folder / "corpus.yaml").write_text(TOKENS)


def write_encoded(folder, seed, _):
    """With a BERT of random weights that knows the pieces of the words."""
    config = {"model_type": "bert", "hidden_size": 48, "num_hidden_layers": 2,
              "num_attention_heads": 4, "intermediate_size": 96,
              "vocab_size": 34, "max_position_embeddings": 128}
    shapes = {"embeddings.word_embeddings.weight": (34, 48),
              "embeddings.position_embeddings.weight": (128, 48),
              "embeddings.token_type_embeddings.weight": (2, 48)}

    def add(name, *shape):
        shapes[name + ".weight"] = shape
        shapes[name + ".bias"] = shape[:1]

    add("embeddings.LayerNorm", 48)
    for layer in ("encoder.layer.0.", "encoder.layer.1."):
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            add(f"{layer}attention.{part}", 48, 48)
        add(layer + "attention.output.LayerNorm", 48)
        add(layer + "intermediate.dense", 96, 48)
        add(layer + "output.dense", 48, 96)
        add(layer + "output.LayerNorm", 48)
    chance = random.Random(seed)
    header, data = {}, b""
    for name, shape in shapes.items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        begin = len(data)
        data += struct.pack(f"<{count}f",
                            *(chance.gauss(0, 0.3) for _ in range(count)))
        header[name] = {"dtype": "F32", "shape": shape,
                        "data_offsets": [begin, len(data)]}
    encoder = folder / "encoder"
    encoder.mkdir()
    text = json.dumps(header).encode()
    (encoder / "model.safetensors").write_bytes(
        struct.pack("<Q", len(text)) + text + data)
    (encoder / "config.json").write_text(json.dumps(config))
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "w", "##x"]
    words += [f"##{number}" for number in range(27)]
    (encoder / "vocab.txt").write_text("\n".join(words) + "\n")
    lines = [json.dumps(line) + "\n" for line in documents(seed)]
    (folder / "in.jsonl").write_text("".join(lines))
    (folder / "corpus.yaml").write_text(ENCODED)


class Corpus:
    """A corpus, and what an undisturbed build makes of it."""

    def __init__(self, program, root, write, seed):
        self.program = program
        self.calm = root / f"calm-{write.__name__}"
        self.inputs = root / f"inputs-{write.__name__}"
        self.inputs.mkdir()
        write(self.inputs, seed, program)
        shutil.copytree(self.inputs, self.calm)
        begin = time.monotonic()
        finish(program, self.calm)
        self.seconds = time.monotonic() - begin
        self.expected = hashes(self.calm)

    def disturb(self, folder, chance):
        """Builds with kills on the way; how many, and which files differ."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.inputs, folder)
        kills = 0
        for _ in range(chance.randint(1, MOST_KILLS)):
            if not kill_while_building(self.program, folder,
                                       chance.uniform(0, self.seconds)):
                break
            kills += 1
        finish(self.program, folder)
        found = hashes(folder)
        return kills, sorted(file for file in self.expected.keys() | found.keys()
                             if self.expected.get(file) != found.get(file))


def start(program, folder):
    return subprocess.Popen([program, "build", folder / "corpus.yaml"],
                            stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE)


def finish(program, folder):
    build = start(program, folder)
    _, words = build.communicate()
    if build.returncode != 0:
        sys.exit(f"the build failed: {words.decode()}")


def hashes(folder):
    """Name to hash of all that is there, but for the lock."""
    found = {}
    for path in sorted((folder / "out").rglob("*")):
        if path.is_file() and path.name != ".lock":
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path.relative_to(folder))] = digest
    return found


def kill_while_building(program, folder, seconds):
    """Whether the kill hit a build that was still running."""
    build = start(program, folder)
    try:
        build.communicate(timeout=seconds)
        return False
    except subprocess.TimeoutExpired:
        os.kill(build.pid, signal.SIGKILL)
        build.communicate()
        return build.returncode == -signal.SIGKILL


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    program = Path(options.program).resolve()
    chance = random.Random(options.seed)
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="lory-crash-") as name:
        root = Path(name)
        corpora = [Corpus(program, root, write, options.seed)
                   for write in (write_plain, write_varied, write_tokens,
                                 write_encoded)]
        kills = builds = 0
        while kills < options.kills or builds < len(corpora):
            hit, odd = corpora[builds % len(corpora)].disturb(root / "killed",
                                                              chance)
            kills += hit
            builds += 1
            if odd:
                sys.exit(f"after {kills} kills these differ: {', '.join(odd)}")
    seconds = sum(corpus.seconds for corpus in corpora) / len(corpora)
    print(f"{kills} kills over {builds} builds of {seconds:.1f} s, "
          f"{sum(len(corpus.expected) for corpus in corpora)} files: "
          "all the same bytes")


if __name__ == "__main__":
    main()
