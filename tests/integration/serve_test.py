"""lory-server as people meet it: the program, its port, curl's requests.

Run by ctest; by hand: serve_test.py --bin build/dev/bin [test names]. The model
is made up here: an imported LLaMA of random numbers, made into a Lory model.
"""

import argparse
import contextlib
import hashlib
import http.client
import json
import math
import os
import random
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = ROOT / "build/dev/bin"
LAYERS, WIDTH, INNER, HEADS, CONTEXT, VOCABULARY = 2, 32, 48, 4, 64, 257
PATIENCE = 60  # seconds, for a busy machine
# Where words begin: of common/text/byte_pair_model.cc.
SPLIT = (r"'(?:[sdmt]|ll|ve|re)| ?[A-Za-z\x{80}-\x{10FFFF}]+| ?[0-9]{1,3}|"
         r" ?[^A-Za-z0-9 \t-\r\x{80}-\x{10FFFF}]+|"
         r"[ \t-\r]+(?![^ \t-\r])|[ \t-\r]+")


def llama_tensors():
    yield "model.embed_tokens.weight", [VOCABULARY, WIDTH]
    for i in range(LAYERS):
        at = f"model.layers.{i}."
        yield at + "input_layernorm.weight", [WIDTH]
        yield at + "post_attention_layernorm.weight", [WIDTH]
        for name in "qkvo":
            yield f"{at}self_attn.{name}_proj.weight", [WIDTH, WIDTH]
        yield at + "mlp.gate_proj.weight", [INNER, WIDTH]
        yield at + "mlp.up_proj.weight", [INNER, WIDTH]
        yield at + "mlp.down_proj.weight", [WIDTH, INNER]
    yield "model.norm.weight", [WIDTH]
    yield "lm_head.weight", [VOCABULARY, WIDTH]


def write_llama(folder):
    """A Hugging Face folder of random numbers."""
    folder.mkdir()
    draw = random.Random(1)
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, shape in llama_tensors():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        numbers = [draw.gauss(0, 0.3) if len(shape) > 1 else 1.0
                   for _ in range(count)]
        header[name] = {"dtype": "F32", "shape": shape,
                        "data_offsets": [len(data), len(data) + 4 * count]}
        data += struct.pack(f"<{count}f", *numbers)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (folder / "model.safetensors").write_bytes(
        struct.pack("<Q", len(text)) + text + data)
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama",
        "hidden_act": "silu", "hidden_size": WIDTH,
        "intermediate_size": INNER, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": HEADS,
        "max_position_embeddings": CONTEXT, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "tie_word_embeddings": False,
        "torch_dtype": "float32", "vocab_size": VOCABULARY}))


def byte_characters():
    """How byte-level tokenizers write each byte: GPT-2's table."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {byte: chr(byte) for byte in plain}
    others = (byte for byte in range(256) if byte not in table)
    table.update({byte: chr(256 + i) for i, byte in enumerate(others)})
    return table


def write_tokenizer(path):
    """One token a byte, and one for the end of a document."""
    end = "<|endoftext|>"
    vocabulary = {char: byte for byte, char in byte_characters().items()}
    vocabulary[end] = 256
    level = {"type": "ByteLevel", "add_prefix_space": False,
             "trim_offsets": True, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": SPLIT},
             "behavior": "Isolated", "invert": False}
    path.write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": 256, "content": end, "single_word": False,
                          "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True}],
        "normalizer": None, "post_processor": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, level]},
        "decoder": level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False,
                  "byte_fallback": False, "vocab": vocabulary,
                  "merges": []}}))


def make_experts_differ(folder):
    """As training does: copies of one expert, routed alike, hide who routes."""
    draw = random.Random(2)
    manifest = json.loads((folder / "manifest.json").read_text())
    for part in manifest["parts"]:
        path = folder / part["file"]
        data = bytearray(path.read_bytes())
        size = struct.unpack_from("<Q", data)[0]
        header = json.loads(data[8:8 + size])
        for name, info in header.items():
            sigma = 0.3 if ".experts." in name else 2
            if not name.startswith("param/") or not (
                    ".experts." in name or ".router." in name):
                continue
            begin, end = info["data_offsets"]
            numbers = (f"<{(end - begin) // 4}f", data, 8 + size + begin)
            struct.pack_into(*numbers, *(
                x + draw.gauss(0, sigma) for x in struct.unpack_from(*numbers)))
        path.write_bytes(data)
        part["sha256"] = hashlib.sha256(data).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def run(program, *arguments):
    done = subprocess.run([str(BIN / program), *map(str, arguments)],
                          capture_output=True, text=True, errors="replace",
                          timeout=PATIENCE, check=False)
    return done.returncode, done.stdout, done.stderr


class ServeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="lory-serve-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        write_llama(cls.folder / "hf")
        write_tokenizer(cls.folder / "tokenizer.json")
        for arguments in (
                ("import", cls.folder / "hf", "--to", cls.folder / "dense"),
                ("upcycle", cls.folder / "dense", "--experts", 4,
                 "--segment-length", 16, "--to", cls.folder / "lory")):
            code, _, err = run("lory-model", *arguments)
            assert code == 0, err
        make_experts_differ(cls.folder / "lory")
        ready = cls.folder / "ready.json"
        with (cls.folder / "log").open("w", encoding="utf-8") as log:
            cls.start(ready, log)
        deadline = time.monotonic() + PATIENCE
        while not ready.exists():
            assert cls.server.poll() is None, (cls.folder / "log").read_text()
            assert time.monotonic() < deadline, "lory-server is not ready"
            time.sleep(0.02)
        cls.address = json.loads(ready.read_text())["http"]

    @classmethod
    def start(cls, ready, log):
        cls.server = subprocess.Popen(
            [str(BIN / "lory-server"), "--checkpoint", cls.folder / "lory",
             "--tokenizer", cls.folder / "tokenizer.json", "--listen",
             "127.0.0.1:0", "--http", "127.0.0.1:0", "--ready-file", ready,
             "--max-active", "2", "--max-queued", "1"], stderr=log)
        cls.addClassCleanup(cls.stop)

    @classmethod
    def stop(cls):
        cls.server.send_signal(signal.SIGTERM)
        assert cls.server.wait(PATIENCE) == 0

    def ask(self, path, body=None, method=None, kind="application/json"):
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        connection.request(method or ("GET" if body is None else "POST"), path,
                           body, {"Content-Type": kind} if body else {})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, text

    def complete(self, **body):
        status, text = self.ask("/v1/completions", body)
        self.assertEqual(status, 200, text)
        return json.loads(text)

    def logits(self, text, *arguments):
        """The likeliest next token and its probability, as lory-model says."""
        code, out, err = run(
            "lory-model", "logits", self.folder / "lory", "--text", text,
            "--tokenizer", self.folder / "tokenizer.json", "--top", 1,
            *arguments)
        self.assertEqual(code, 0, err)
        token, _, probability = out.split("\n")[1].split()[:3]
        return int(token), float(probability)

    def next_token(self, text, inference):
        """The same as the server says: its text, its probability."""
        answer = self.complete(prompt=text, max_tokens=1, temperature=0,
                               logprobs=1, inference=inference)
        logprobs = answer["choices"][0]["logprobs"]
        return logprobs["tokens"][0], math.exp(logprobs["token_logprobs"][0])

    def test_the_next_token_is_what_lory_model_says(self):
        for inference in ("prompt", "segment"):
            for text in ("def main():", "0123456789" * 4):
                token, share = self.logits(text, "--inference", inference)
                made = self.ask("/detokenize", {"tokens": [token]})[1]
                text, made_share = self.next_token(text, inference)
                self.assertEqual(text, json.loads(made)["prompt"])
                self.assertAlmostEqual(made_share, share, delta=2e-6)

    def test_each_prompt_is_routed_by_itself_and_each_segment_too(self):
        one, other = "def main():\n    return 1\n" + "x" * 15, "3 1 4 1 5 " * 4
        for text, wrong in ((one, other), (other, one)):
            _, by_prompt = self.next_token(text, "prompt")
            _, by_segment = self.next_token(text, "segment")
            _, share = self.logits(text, "--prompt", text)
            _, by_another = self.logits(text, "--prompt", wrong)
            self.assertAlmostEqual(by_prompt, share, delta=2e-6)
            # Rounding makes less than a hundredth of this.
            self.assertGreater(abs(by_prompt - by_another), 2e-4)
            self.assertGreater(abs(by_prompt - by_segment), 2e-4)

    def test_a_signal_ends_it_while_it_loads(self):
        # A part of nothing that takes a minute to compare with its hash.
        folder = self.folder / "slow"
        folder.mkdir()
        manifest = json.loads(
            (self.folder / "lory" / "manifest.json").read_text())
        manifest["parts"] = [
            {**manifest["parts"][0], "file": "part", "size_bytes": 1 << 36}]
        (folder / "manifest.json").write_text(json.dumps(manifest))
        (folder / "part").touch()
        os.truncate(folder / "part", 1 << 36)
        with subprocess.Popen(
                [str(BIN / "lory-server"), "--checkpoint", folder,
                 "--tokenizer", self.folder / "tokenizer.json", "--listen",
                 "127.0.0.1:0", "--http", "127.0.0.1:0"],
                stderr=subprocess.PIPE) as server:
            deadline = time.monotonic() + PATIENCE
            while not self.has_open(server.pid, folder / "part"):
                self.assertIsNone(server.poll())
                self.assertLess(time.monotonic(), deadline)
            server.send_signal(signal.SIGTERM)
            try:
                self.assertEqual(server.wait(PATIENCE), 0)
                self.assertIn(b"while it loads", server.stderr.read())
            finally:
                server.kill()

    @staticmethod
    def has_open(pid, path):
        for entry in Path(f"/proc/{pid}/fd").glob("*"):
            with contextlib.suppress(OSError):
                if entry.readlink() == path:
                    return True
        return False

    def test_scores_as_lm_eval_asks_for_them(self):
        tokens = json.loads(self.ask("/tokenize", {
            "prompt": "the cat sat", "add_special_tokens": False})[1])["tokens"]
        answer = self.complete(model="upcycle", prompt=[tokens], max_tokens=1,
                               temperature=0, logprobs=1, echo=True, seed=1234)
        logprobs = answer["choices"][0]["logprobs"]
        self.assertEqual(len(logprobs["token_logprobs"]), len(tokens) + 1)
        self.assertIsNone(logprobs["token_logprobs"][0])
        for value, top in zip(logprobs["token_logprobs"][1:],
                              logprobs["top_logprobs"][1:]):
            self.assertLessEqual(value, max(top.values()))
        info = json.loads(self.ask("/tokenizer_info")[1])
        self.assertEqual(info["eos_token"], "<|endoftext|>")

    def test_a_stream_ends_with_done(self):
        whole = self.complete(prompt="ab", max_tokens=8, temperature=0)
        status, text = self.ask("/v1/completions", {
            "prompt": "ab", "max_tokens": 8, "temperature": 0, "stream": True})
        self.assertEqual(status, 200)
        events = text.decode().split("\n\n")
        self.assertEqual(events[-2:], ["data: [DONE]", ""])
        pieces = [json.loads(e[6:])["choices"][0] for e in events[:-2]]
        self.assertEqual("".join(p["text"] for p in pieces),
                         whole["choices"][0]["text"])
        self.assertEqual(pieces[-1]["finish_reason"],
                         whole["choices"][0]["finish_reason"])

    def test_mistakes_get_one_clear_answer(self):
        good = {"prompt": "a", "max_tokens": 1}
        for body, status in (
                (b"\xff\xfe", 400), (b"{", 400), (b"[" * 100_000, 400),
                (b'{"prompt": "\xff"}', 400),
                (b'{"prompt": "a", "max_tokens": 1' + b"0" * 400 + b"}", 400),
                ({**good, "temperature": -1}, 400),
                ({**good, "max_tokens": 10 ** 18}, 400),
                ({**good, "unheard_of": 1}, 400),
                ({**good, "prompt": "a" * 65}, 400),
                ({**good, "prompt": [-1]}, 400),
                ({**good, "prompt": ["a"] * 2}, 400),  # --max-queued
                ({**good, "model": "another"}, 404),
                (b'{"prompt": "' + b"a" * (1 << 20) + b'"}', 413)):
            with self.subTest(str(body)[:60]):
                got, text = self.ask("/v1/completions", body)
                self.assertEqual(got, status, text)
                self.assertNotEqual(text, b"")
        self.assertEqual(self.ask("/v1/completions", good, kind="text/plain")[0],
                         415)
        self.assertEqual(self.ask("/v1/completions")[0], 405)
        self.assertEqual(self.ask("/health"), (200, b"ok\n"))

    def test_requests_at_once_get_what_each_gets_alone(self):
        prompts = ["alpha", "beta"]
        alone = [self.complete(prompt=p, max_tokens=20, temperature=0)
                 for p in prompts]
        together = [None, None]

        def ask(i):
            together[i] = self.complete(prompt=prompts[i], max_tokens=20,
                                        temperature=0)
        threads = [threading.Thread(target=ask, args=(i,)) for i in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for one, other in zip(alone, together):
            self.assertEqual(one["choices"], other["choices"])

    def test_metrics_and_models_are_served(self):
        self.complete(prompt="a", max_tokens=2)
        page = self.ask("/metrics")[1].decode()
        self.assertIn('lory_server_tokens_total{kind="made"}', page)
        self.assertIn("lory_server_merged_bytes", page)
        models = json.loads(self.ask("/v1/models")[1])
        self.assertEqual(models["data"][0]["id"], "upcycle")

    def test_what_cannot_start_says_what_to_change(self):
        tokenizer = self.folder / "tokenizer.json"
        foreign = self.folder / "foreign"
        shutil.copytree(self.folder / "hf", foreign)
        (foreign / "tokenizer.json").write_text("{}", encoding="utf-8")
        code, _, err = run("lory-model", "import", foreign, "--to",
                           self.folder / "of-foreign")
        self.assertEqual(code, 0, err)
        for arguments, words in (
                (["--checkpoint", self.folder / "of-foreign", "--tokenizer",
                  tokenizer], "the model has " +
                 hashlib.sha256(b"{}").hexdigest()[:12]),
                (["--checkpoint", self.folder / "lory"], "--tokenizer"),
                (["--checkpoint", self.folder / "hf", "--tokenizer", tokenizer],
                 "lory-model import"),
                (["--checkpoint", self.folder / "lory", "--tokenizer",
                  tokenizer, "--merged-bytes", 1000], "bytes"),
                (["--checkpoint", self.folder / "lory", "--tokenizer",
                  tokenizer, "--max-active", 200, "--max-queued", 200], "252"),
                (["--checkpoint", self.folder / "lory", "--tokenizer",
                  tokenizer, "--http", "0.0.0.0:0"], "loopback")):
            with self.subTest(words):
                if "--http" not in arguments:
                    arguments = [*arguments, "--http", "127.0.0.1:0"]
                code, _, err = run("lory-server", "--listen", "127.0.0.1:0",
                                   *arguments)
                self.assertEqual(code, 1, err)
                self.assertIn(words, err)
        self.assertEqual(run("lory-server")[0], 2)
        code, _, err = run("lory-server", "--checkpoint", self.folder / "lory",
                           "--merged-bytes=-1")
        self.assertEqual(code, 2)
        self.assertIn("--merged-bytes", err)
        code, _, err = run("lory-server", "--checkpoint", self.folder / "lory",
                           "--soft-moe", "always")
        self.assertEqual(code, 2)
        for word in "--soft-moe", "refuse", "prompt":
            self.assertIn(word, err)


def main():
    global BIN
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default=str(BIN))
    known, rest = parser.parse_known_args()
    BIN = Path(os.path.abspath(known.bin))
    unittest.main(argv=["serve_test", *rest], verbosity=2)


if __name__ == "__main__":
    main()
