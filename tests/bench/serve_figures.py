"""Figures of lory-server: experts against the dense model of the active size.

  serve_figures.py --bin build/release/bin [--experts 8] [--tokens 128]

Makes up a dense checkpoint and a Lory one with the same attention, serves them
side by side, and prints decoding speed of one request and of eight, and
anonymous memory. They take turns; a ratio is the median of the rounds' (lowest
to highest), so the machine's speed cancels out.
"""

import argparse
import contextlib
import hashlib
import http.client
import json
import os
import random
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

from serve_test import write_tokenizer  # noqa: E402

LAYERS, WIDTH, INNER, HEADS, CONTEXT, VOCABULARY = 4, 512, 1536, 8, 512, 257
PROMPT = "The function returns the number of bytes that were read from the file"


def tensors(experts):
    yield "model.embed_tokens.weight", [VOCABULARY, WIDTH]
    front = [experts] if experts else []
    mlp = "mlp.experts." if experts else "mlp."
    for i in range(LAYERS):
        at = f"model.layers.{i}."
        yield at + "input_layernorm.weight", [WIDTH]
        yield at + "post_attention_layernorm.weight", [WIDTH]
        for name in "qkvo":
            yield f"{at}self_attn.{name}_proj.weight", [WIDTH, WIDTH]
        yield f"{at}{mlp}gate_proj.weight", [*front, INNER, WIDTH]
        yield f"{at}{mlp}up_proj.weight", [*front, INNER, WIDTH]
        yield f"{at}{mlp}down_proj.weight", [*front, WIDTH, INNER]
        if experts:
            yield at + "mlp.router.weight", [experts, WIDTH]
    yield "model.norm.weight", [WIDTH]
    yield "lm_head.weight", [VOCABULARY, WIDTH]


def write_part(path, experts):
    """Random numbers, repeated: drawing them all would take minutes."""
    draw = random.Random(1)
    block = struct.pack("<65537f", *(draw.gauss(0, 0.04) for _ in range(65537)))
    header, sizes, at = {}, [], 0
    for name, shape in tensors(experts):
        size = 4
        for dimension in shape:
            size *= dimension
        header["param/" + name] = {"dtype": "F32", "shape": shape,
                                   "data_offsets": [at, at + size]}
        sizes.append(size)
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        def write(data):
            digest.update(data)
            file.write(data)
        write(struct.pack("<Q", len(text)) + text)
        for size in sizes:
            for _ in range(size // len(block)):
                write(block)
            write(block[:size % len(block)])
    return digest.hexdigest()


def write_checkpoint(folder, experts):
    folder.mkdir()
    part = folder / "part-0-of-1.safetensors"
    digest = write_part(part, experts)
    feed_forward = {"dense": {}} if not experts else {"lory": {
        "expert_count": experts, "segment_length": 64,
        "first_segment": "SELF_STOP_GRADIENT", "router_init_stddev": 0.02,
        "dense_fraction": -1}}
    (folder / "manifest.json").write_text(json.dumps({
        "version": 1, "job": "jobs/bench", "step": 0, "generation": 1,
        "cursor": 0, "sample_digest": "0" * 64, "parts": [{
            "file": part.name, "size_bytes": part.stat().st_size,
            "sha256": digest}],
        "previous_manifest_sha256": "",
        "spec": {"model": {
            "vocabulary_size": VOCABULARY, "layer_count": LAYERS,
            "width": WIDTH, "head_count": HEADS,
            "key_value_head_count": HEADS, "feed_forward_width": INNER,
            "sequence_length": CONTEXT, "rotary_base": 10000,
            "norm_epsilon": 1e-5, "init_stddev": 0.02,
            "feed_forward": feed_forward}}}))


class Server:
    def __init__(self, program, checkpoint, tokenizer):
        ready = checkpoint / "ready.json"
        self.process = subprocess.Popen(
            [program, "--checkpoint", checkpoint, "--tokenizer", tokenizer,
             "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0",
             "--ready-file", ready], stderr=subprocess.DEVNULL)
        while not ready.exists():
            if self.process.poll() is not None:
                raise SystemExit(f"{program} ended")
            time.sleep(0.02)
        self.address = json.loads(ready.read_text())["http"]
        self.seed = 1

    def choose_seed(self, tokens):
        """The first whose text does not end before."""
        while self.complete(tokens) < tokens:
            self.seed += 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def complete(self, tokens):
        """Tokens made: fewer than asked for when the text ends before."""
        connection = http.client.HTTPConnection(self.address, timeout=300)
        connection.request("POST", "/v1/completions", json.dumps({
            "prompt": PROMPT, "max_tokens": tokens, "seed": self.seed}),
            {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        return answer["usage"]["completion_tokens"]

    def race(self, tokens, requests):
        """Seconds until all have their tokens."""
        made = []
        threads = [threading.Thread(
            target=lambda: made.append(self.complete(tokens)))
            for _ in range(requests)]
        begin = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - begin
        if made != [tokens] * requests:
            raise SystemExit(f"of {requests} requests came {made} tokens")
        return seconds

    def speed(self, tokens, requests):
        """Tokens a second after the first ones."""
        first = self.race(1, requests)
        return requests * (tokens - 1) / (self.race(tokens, requests) - first)

    def anonymous(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(x for x in status.split("\n") if x.startswith("RssAnon"))
        return int(line.split()[1]) / 1024


def middle(numbers):
    return f"{statistics.median(numbers):.2f} ({min(numbers):.2f} to " \
           f"{max(numbers):.2f})"


def print_table(servers, speeds, memory):
    """speeds[name]: (of one request, of eight) a round."""
    print("| model | MiB anonymous | of dense | tokens/s | of dense | of eight "
          "requests | of one |\n|---|---|---|---|---|---|---|")
    for name in servers:
        one, eight = zip(*speeds[name])
        of_dense = [own / dense for own, (dense, _) in
                    zip(one, speeds["dense"])]
        print(f"| {name} | {memory[name]:.0f} "
              f"| {memory[name] / memory['dense']:.2f} "
              f"| {statistics.median(one):.0f} | {middle(of_dense)} "
              f"| {statistics.median(eight):.0f} "
              f"| {middle([b / a for a, b in speeds[name]])} |")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--experts", type=int, nargs="*", default=[8, 32])
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    print(f"{LAYERS} layers of {WIDTH}, feed-forward {INNER}, "
          f"{options.tokens} tokens, load {os.getloadavg()[0]:.1f}\n")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(
            tempfile.TemporaryDirectory(prefix="lory-serve-bench-")))
        write_tokenizer(folder / "tokenizer.json")
        servers = {}
        for experts in [0, *options.experts]:
            name = f"{experts} experts" if experts else "dense"
            checkpoint = folder / name.replace(" ", "-")
            write_checkpoint(checkpoint, experts)
            servers[name] = stack.enter_context(Server(
                Path(options.bin) / "lory-server", checkpoint,
                folder / "tokenizer.json"))
            servers[name].choose_seed(options.tokens)
        memory = {name: server.anonymous() for name, server in servers.items()}
        speeds = {name: [] for name in servers}
        for _ in range(options.rounds):
            for name, server in servers.items():
                speeds[name].append((server.speed(options.tokens, 1),
                                     server.speed(options.tokens, 8)))
        print_table(servers, speeds, memory)


if __name__ == "__main__":
    main()
