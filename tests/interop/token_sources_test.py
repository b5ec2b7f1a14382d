"""Tokens as the libraries of others write them, as input of lory-corpus.

Run by ctest; by hand: token_sources_test.py --bin build/dev/bin [test names].
Needs Megatron-LM's and MosaicML's writers in an environment of their own (they
want older packages than the other interop tests), made once:

    python3 -m venv .cache/interop-tokens
    .cache/interop-tokens/bin/pip install -r tests/interop/requirements-tokens.txt

or another Python that has them: LORY_INTEROP_TOKENS_PYTHON. Without one it is
skipped, exit code 77.

What is compared: the dataset made of the documents' text, and those made of the
tokens that Hugging Face's tokenizers finds in it with the dataset's own
tokenizer.json, written in every form that the two libraries have for them. The
manifests, and with them the hashes of all shards, must be the same.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import unittest
import warnings
from pathlib import Path

import environment
from environment import ROOT

warnings.simplefilter("ignore")  # of packages that look for others
try:
    import numpy
    import torch
    from megatron.core.datasets.indexed_dataset import (IndexedDataset,
                                                        IndexedDatasetBuilder)
    from streaming import MDSWriter
    from tokenizers import Tokenizer
except ImportError as error:
    environment.enter("interop-tokens", error)

BIN = ROOT / "build/dev/bin"
SPEC = """name: tokens
output: {output}
held_out: {{fraction: 0.05}}
embed: {{dimensions: 256}}
sequence_length: 64
tokenizer: {tokenizer}
inputs:
  - {{path: {path}, domain: d{more}}}
"""
# Of the end mark, in tokenizer.json.
END = "<|endoftext|>"


def texts():
    """Paragraphs of this project's own documents, with all they contain."""
    found = []
    for path in sorted((ROOT / "docs").glob("*.md")):
        found += [part for part in path.read_text().split("\n\n") if part.strip()]
    found += ["naïve café — 你好, мир 🙂", "one\u00a0two\u200bthree\r\n\tfour"]
    return list(dict.fromkeys(found))


class TokenSources(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="lory-tokens-")
        cls.folder = Path(cls.scratch.name)
        cls.texts = texts()
        lines = [json.dumps({"text": text}) + "\n" for text in cls.texts]
        (cls.folder / "in.jsonl").write_text("".join(lines))
        cls.tokenizer = "{vocabulary_size: 600}"
        cls.build("trained", "in.jsonl")
        cls.tokenizer = f"{{file: {cls.folder}/trained/tokenizer.json}}"
        cls.expected = cls.build("of-text", "in.jsonl")
        encoder = Tokenizer.from_file(str(cls.folder / "trained/tokenizer.json"))
        # An end mark that is written in a text is text, as for lory-corpus.
        encoder.encode_special_tokens = True
        cls.encoder = encoder
        cls.tokens = [encoder.encode(text).ids for text in cls.texts]
        cls.end = encoder.token_to_id(END)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    @classmethod
    def build(cls, name, path, more=""):
        """The manifest of the dataset made of an input."""
        spec = cls.folder / f"{name}.yaml"
        spec.write_text(SPEC.format(output=cls.folder / name, path=path,
                                    tokenizer=cls.tokenizer, more=more))
        done = subprocess.run([BIN / "lory-corpus", "build", spec],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(f"{name}: {done.stderr}")
        return (cls.folder / name / "manifest.json").read_text()

    def check_megatron(self, name, dtype, write):
        prefix = str(self.folder / name)
        builder = IndexedDatasetBuilder(prefix + ".bin", dtype=dtype)
        for tokens in self.tokens:
            write(builder, tokens)
        builder.finalize(prefix + ".idx")
        self.assertEqual(
            self.build(f"of-{name}", f"{name}.idx", ", format: megatron"),
            self.expected)

    def test_megatron_of_every_type(self):
        for dtype in ("uint16", "int16", "int32", "int64"):
            with self.subTest(dtype):
                self.check_megatron(
                    f"megatron-{dtype}", getattr(numpy, dtype),
                    lambda builder, tokens: builder.add_document(
                        torch.tensor(tokens + [self.end]), [len(tokens) + 1]))

    def test_megatron_documents_of_several_sequences(self):
        def write(builder, tokens):
            half = len(tokens) // 2
            builder.add_item(torch.tensor(tokens[:half]))
            builder.add_item(torch.tensor(tokens[half:]))
            builder.end_document()

        self.check_megatron("megatron-halves", numpy.int32, write)

    def check_mds(self, name, encoding, value, more="", column="tokens",
                  **options):
        folder = self.folder / name
        with MDSWriter(columns={column: encoding, "number": "int"},
                       out=str(folder), **options) as writer:
            for number, tokens in enumerate(self.tokens):
                writer.write({column: value(number, tokens), "number": number})
        made = self.build(f"of-{name}", name,
                          f", format: mds, id_key: number{more}")
        self.assertEqual(made, self.expected)
        return folder

    @staticmethod
    def array(dtype):
        return lambda _, tokens: numpy.array(tokens, dtype)

    def test_mds_of_every_kind_of_array(self):
        for dtype in ("uint16", "int16", "uint32", "int32", "uint64", "int64"):
            with self.subTest(dtype):
                self.check_mds(f"mds-{dtype}", "ndarray", self.array(dtype))
                self.check_mds(f"mds-of-{dtype}", f"ndarray:{dtype}",
                               self.array(dtype))

    def test_mds_packed_in_several_shards(self):
        for compression in ("zstd", "zstd:16", "gz"):
            with self.subTest(compression):
                folder = self.check_mds(
                    f"mds-{compression.replace(':', '-')}", "ndarray:int32",
                    self.array("int32"), compression=compression,
                    hashes=["sha1", "xxh64"], size_limit=20_000)
                self.assertGreater(len(list(folder.glob("shard.*"))), 5)

    def test_mds_of_bytes(self):
        self.check_mds("mds-bytes", "bytes",
                       lambda _, tokens: numpy.array(tokens, "int64").tobytes(),
                       ", tokens_type: int64")

    def test_mds_of_text(self):
        self.check_mds("mds-text", "str", lambda number, _: self.texts[number],
                       ", text_key: body", column="body")

    def test_mds_of_one_length(self):
        """Packed into samples of one shape: the same documents, cut anew."""
        stream = [t for tokens in self.tokens for t in tokens + [self.end]]
        stream = stream[:len(stream) // 32 * 32]
        folder = self.folder / "mds-fixed"
        with MDSWriter(columns={"tokens": "ndarray:int32:32"},
                       out=str(folder)) as writer:
            for i in range(0, len(stream), 32):
                writer.write({"tokens": numpy.array(stream[i:i + 32], "int32")})
        self.build("of-fixed", "mds-fixed", ", format: mds, id_key: none")
        figures = json.loads(
            (self.folder / "of-fixed/stages/ingest/stage.json").read_text())
        read = figures["figures"]
        pieces = [part for i in range(0, len(stream), 32)
                  for part in self.parts(stream[i:i + 32])]
        kept = self.first_of_each_text(pieces)
        self.assertEqual(self.stored("of-fixed"), kept)
        self.assertEqual(read["bad_lines"], 0)
        self.assertEqual(read["token_documents"], len(kept))
        self.assertEqual(read["duplicates"] + read["empty"],
                         len(pieces) - len(kept))

    def parts(self, sample):
        """As many documents as there are marks, and the rest if any."""
        parts, part = [], []
        for token in sample:
            if token == self.end:
                parts.append(part)
                part = []
            else:
                part.append(token)
        return parts + ([part] if part else [])

    def first_of_each_text(self, pieces):
        """Without pieces that are nothing but space. What a cut leaves of a
        character is U+FFFD here and no part of the text there."""
        kept = {}
        for piece in pieces:
            text = self.encoder.decode(piece).strip("\ufffd")
            if text.strip(" \t\n\v\f\r"):
                kept.setdefault(text, piece)
        return list(kept.values())

    def stored(self, name):
        """The tokens of each document that was taken, in their order."""
        folder = self.folder / name / "stages/ingest"
        tokens = numpy.fromfile(folder / "tokens.i32", "<i4")
        ends = numpy.fromfile(folder / "ends.i64", "<i8")
        begins = [0, *ends[:-1]]
        return [tokens[a:b].tolist() for a, b in zip(begins, ends)]

    def test_megatrons_reader_reads_our_shards(self):
        shard = IndexedDataset(str(self.folder / "of-text/train-00000"))
        manifest = json.loads(self.expected)
        self.assertEqual(len(shard), manifest["shards"][0]["sequence_count"])
        self.assertEqual({len(shard[i]) for i in range(len(shard))}, {65})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path, default=BIN)
    options, rest = parser.parse_known_args()
    globals()["BIN"] = options.bin.resolve()
    unittest.main(argv=[sys.argv[0]] + rest)


if __name__ == "__main__":
    main()
