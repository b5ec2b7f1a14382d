"""Other people's tokenizers, read by lory-corpus, beside the libraries they are of.

Run by ctest; by hand: tokenizers_test.py --bin build/dev/bin [test names].
Needs Hugging Face's tokenizers and Google's sentencepiece; of the environment
of the other interop tests (tests/interop/requirements.txt), or another Python
that has them: LORY_INTEROP_PYTHON. Without one it is skipped, exit code 77.

Tokenizers of every layout that well-known models have (words, normal forms,
decoders as in their files) are trained here, and must make the same tokens of
the same text: of this project's own files, or those that LORY_TOKENIZERS_TEXT
names, and of texts that nobody would wish for. Special tokens count as text on
both sides. LORY_CODE_POINTS=gpt-2,qwen2 tries every code point with these layouts
and counts differences, which are those between versions of Unicode.
"""

import argparse
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import environment
from environment import ROOT

try:
    import sentencepiece
    from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models,
                            normalizers, pre_tokenizers, trainers)
except ImportError as error:
    environment.enter("interop", error)

BIN = ROOT / "build/dev/bin"
END = "<|endoftext|>"
MARK = "\u2581"
# Unassigned in Unicode 14.0, which PCRE2 10.42 knows, and assigned since.
NEW_BLOCKS = (0x10D40, 0x11F00, 0x1E4D0, 0x2EBF0, 0x31350)

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
          r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+",
    r"\s+(?!\S)", r"\s+"])
SCRIPTS = (r"[\p{Han}\p{Hiragana}\p{Katakana}]+|\p{Greek}+|\p{Arabic}+|"
           r"\p{Devanagari}+|\p{^Han}")
DEEPSEEK = [r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+",
            r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|"""
            r"[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"
            r"\s*[\r\n]+|\s+(?!\S)|\s+"]


def project_texts():
    """Documents to train on and to compare: whole files."""
    named = os.environ.get("LORY_TOKENIZERS_TEXT")
    if named:
        lines = Path(named).read_text(encoding="utf-8").splitlines()
        return [json.loads(line)["text"] for line in lines]
    found = [path.read_text(encoding="utf-8") for pattern in
             ("docs/**/*.md", "common/**/*.cc", "tests/interop/*.py", "*.md")
             for path in sorted(ROOT.glob(pattern))]
    return found + hostile_texts()[:40]


def hostile_texts():
    """What an honest tokenizer may stumble over."""
    texts = [
        "", " ", "  ", "   a", "a   ", "\n", "\r\n\r\n", "a\r\nb\rc\n\r d", "\t\t x",
        "\0", "a\0b \0", "\x7f\x80\x85\xa0x", "\ufeffbom", "\ufffd\ufffd x\ufffd",
        "naïve café", "nai\u0308ve cafe\u0301", "A\u030a \u212b \u00c5",
        "\u1112\u1161\u11ab \ud55c", "ﬁ ﬀ ½ ² ㎏", "\u0344 \u0958 \u2adc",
        "👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 👍🏽", "שלום עולם", "مرحبا ١٢٣٤٥", "\u202eabc\u202c",
        "๑๒๓๔ ৪৫৬ 一二三 Ⅷ ⅷ ⑩ ½", "\ue000\uf8ff\U000f0000\U0010ffff",
        "\u200b\u200c\u200d\u2060\u180e x\u180ey", "\u2028a\u2029b\u3000c\u1680d",
        "你好，世界。 これはペンです", "你好、世界。a 〆ー・「ﾊﾝ」々〇 α·β;͵ ب،ت؟ـ١ क।ख॥",
        "ไทยภาษา ລາວ မြန်မာ ភាសាខ្មែរ བོད་",
        "Straße İstanbul ſo Kelvin \u212a 'ſ 'S 'LL x'Ve Y'RE",
        "we'll they've I'd I'm can't 'tis o'clock 'S 'T", "'" * 50, "1234567 12 3",
        "</s><s><unk><|endoftext|><|im_start|>", "<0x0A><0x41> <0xFF>",
        MARK, MARK * 3 + " " + MARK + "a" + MARK, f"a {MARK}b", "Ġ Ċ ĠĠ",
        "  \n  \n\n   x", "a" * 5000, "ab" * 3000, " " * 5000, "\n" * 3000,
        "é" * 3000, "." * 4000, "if (a==b) {\n\t\treturn x->y[3];\n}",
        "<tool_call>{}</tool_call>", "a\n\nb\n\n\nc", "\t" * 40 + "x",
        "file:///a/b.c?d=e&f=%20#g", "$%&/()=?`´^°", "x\u0301\u0302\u0303 " * 30,
    ]
    rng = random.Random(20261123)
    alphabet = "ab01 .'\n\r\t" + MARK + "éß你א١\u0301\u200d👍\u00a0\u0085<|>s/"
    for _ in range(300):
        texts.append("".join(rng.choices(alphabet, k=rng.randrange(1, 40))))
    planes = [(0x20, 0x7f), (0xa0, 0x250), (0x370, 0x600), (0x900, 0xe00),
              (0x1100, 0x1200), (0x2000, 0x2c00), (0x3000, 0x3400),
              (0xac00, 0xac80), (0xf900, 0xfb50), (0x1f300, 0x1f700)]
    for _ in range(300):
        text = "".join(chr(rng.randrange(*rng.choice(planes)))
                       for _ in range(rng.randrange(1, 30)))
        # Of Unicode 12.1, which tokenizers' normal forms do not know.
        texts.append(text.replace("\u32ff", ""))
    return texts


def tokenizing(path, sent, *flags):
    """What lory-corpus writes for what it is sent."""
    done = subprocess.run(
        [BIN / "lory-corpus", "tokenize", "--tokenizer", path, *flags],
        input=sent, capture_output=True)
    if done.returncode != 0:
        raise AssertionError(f"{path.name}: {done.stderr.decode()}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def tokens_of(path, sent):
    """The tokens of bytes."""
    return tokenizing(path, sent)[0]


def tokenize(path, lines, *flags):
    """What lory-corpus makes of JSON values, a line each."""
    sent = "".join(json.dumps(line) + "\n" for line in lines)
    return tokenizing(path, sent.encode(), *flags)


def byte_level(pre, *, normalizer=None, ignore_merges=False, added=(),
               texts=()):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=3000, show_progress=False, special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.add_tokens(list(added))
    return tokenizer


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def with_bytes(*splits):
    return pre_tokenizers.Sequence([
        *splits, pre_tokenizers.ByteLevel(add_prefix_space=False,
                                          use_regex=False)])


def of_characters(texts, *, cut=True):
    """BPE with byte fallback, the way LLaMA's converted files are."""
    trained = Tokenizer(models.BPE())
    if cut:
        trained.pre_tokenizer = pre_tokenizers.Metaspace()
    else:  # phrases, so that tokens have spaces inside
        trained.normalizer = normalizers.Replace(" ", MARK)
        texts = [line[at:at + 40] for text in texts for line in
                 text.splitlines() for at in range(0, len(line), 40)]
    trained.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=2500, show_progress=False, limit_alphabet=150))
    model = json.loads(trained.to_str())["model"]
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2}
    vocabulary |= {f"<0x{byte:02X}>": 3 + byte for byte in range(256)}
    for token in model["vocab"]:
        vocabulary.setdefault(token, len(vocabulary))
    merges = [tuple(merge) for merge in model["merges"]]
    tokenizer = Tokenizer(models.BPE(
        vocab=vocabulary, merges=merges, byte_fallback=True, fuse_unk=True,
        unk_token="<unk>"))
    tokenizer.add_special_tokens(
        [AddedToken(text, normalized=True) for text in ("<unk>", "<s>", "</s>")])
    return tokenizer


LLAMA_DECODER = [decoders.Replace(MARK, " "), decoders.ByteFallback(),
                 decoders.Fuse()]


def llama2(texts, *, cut=True):
    tokenizer = of_characters(texts, cut=cut)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)])
    tokenizer.decoder = decoders.Sequence(
        LLAMA_DECODER + [decoders.Strip(" ", 1, 0)])
    return tokenizer


def metaspace(texts, scheme, split_words=False):
    tokenizer = of_characters(texts)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(
        MARK, scheme, split_words)
    tokenizer.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Metaspace(MARK, scheme)])
    return tokenizer


def gemma(texts):
    tokenizer = of_characters(texts)
    tokenizer.normalizer = normalizers.Replace(" ", MARK)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence(LLAMA_DECODER)
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in
                          ("\n\n", "\n\n\n", MARK * 2, MARK * 4, "<table>")])
    return tokenizer


def layouts(texts):
    """Names of well-known layouts, with a tokenizer of each."""
    level = pre_tokenizers.ByteLevel
    spaces = [AddedToken(" " * count, normalized=True)
              for count in range(2, 25)]
    tools = ["<tool_call>", "</tool_call>"]
    plain = level(add_prefix_space=False)
    yield "gpt-2", byte_level(plain, texts=texts)
    yield "roberta", byte_level(level(add_prefix_space=True), texts=texts)
    yield "gpt-neox", byte_level(plain, normalizer=normalizers.NFC(),
                                 added=spaces, texts=texts)
    yield "llama-3", byte_level(with_bytes(split(LLAMA3)), texts=texts,
                                ignore_merges=True)
    yield "qwen2", byte_level(with_bytes(split(QWEN2)), texts=texts,
                              normalizer=normalizers.NFC(), added=tools)
    yield "qwen", byte_level(with_bytes(split(QWEN2, "removed", True)),
                             texts=texts)
    yield "o200k", byte_level(with_bytes(split(O200K)), texts=texts)
    yield "deepseek", byte_level(
        with_bytes(*[split(part) for part in DEEPSEEK]), texts=texts)
    yield "scripts", byte_level(with_bytes(split(SCRIPTS)), texts=texts)
    yield "starcoder", byte_level(pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(True), plain]), texts=texts)
    yield "punctuation", byte_level(pre_tokenizers.Sequence(
        [pre_tokenizers.Punctuation("contiguous"),
         pre_tokenizers.Digits(False), plain]), texts=texts,
        normalizer=normalizers.NFKC())
    yield "llama-2", llama2(texts)
    yield "phrases", llama2(texts, cut=False)
    yield "mistral", metaspace(texts, "first")
    yield "t5-like", metaspace(texts, "always", True)
    yield "never", metaspace(texts, "never", True)
    yield "gemma", gemma(texts)


def sentence_pieces(texts):
    """Names of SentencePiece models, with the options that they differ in."""
    llama = {"normalization_rule_name": "identity", "split_digits": True,
             "remove_extra_whitespaces": False,
             "allow_whitespace_only_pieces": True}
    variants = {
        "llama": llama,
        "default": {},
        "folded": {"normalization_rule_name": "nmt_nfkc_cf"},
        "phrases": llama | {"split_by_whitespace": False},
        "user": llama | {"add_dummy_prefix": False,
                         "user_defined_symbols": ["<tool>", "\u00e9", "ab",
                                                  "\n\n", MARK * 4]}}
    lines = [line for text in texts for line in text.splitlines()
             if line.strip() and "\0" not in line]
    for name, options in variants.items():
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_writer=model,
            model_type="bpe", vocab_size=2500, byte_fallback=True,
            character_coverage=0.999, minloglevel=2, num_threads=1, **options)
        yield name, model.getvalue()


class SentencePieces(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="lory-tokenizers-")
        cls.texts = project_texts()
        cls.hostile = hostile_texts()
        sample = cls.texts[::max(1, len(cls.texts) // 200)]
        cls.models = []
        for name, model in sentence_pieces(sample):
            path = Path(cls.scratch.name) / f"{name}.model"
            path.write_bytes(model)
            cls.models.append((path, sentencepiece.SentencePieceProcessor(
                model_proto=model)))

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def compare(self, texts):
        for path, peer in self.models:
            with self.subTest(path.name):
                ours = tokenize(path, texts, "--lines")
                for text, tokens in zip(texts, ours):
                    theirs = peer.encode(text)
                    if tokens != theirs:
                        self.fail(f"{text[:200]!r}: "
                                  f"{peer.id_to_piece(tokens)[:30]} for "
                                  f"{peer.id_to_piece(theirs)[:30]}")

    def test_hostile_texts_have_the_same_tokens(self):
        self.compare(self.hostile)

    def test_documents_have_the_same_tokens(self):
        self.compare(self.texts)

    def test_a_word_of_a_megabyte(self):
        rng = random.Random(5)
        self.compare(["".join(rng.choices("abcdeé你", k=300_000)),
                      "a" * 1_000_000])

    def test_tokens_have_the_same_text(self):
        for path, peer in self.models:
            with self.subTest(path.name):
                tokens = [peer.encode(text) for text in self.hostile]
                for ids, text in zip(tokens, tokenize(path, tokens, "--decode")):
                    self.assertEqual(text, peer.decode(ids))

    def test_bytes_that_are_no_text(self):
        rng = random.Random(9)
        sent = bytes(rng.randrange(256) for _ in range(20_000))
        sent += b"\xed\xa0\x80 \xf4\x90\x80\x80 \xc0\x80 \xe2\x82"
        for path, peer in self.models:
            with self.subTest(path.name):
                self.assertEqual(tokens_of(path, sent), peer.encode(sent))


class Tokenizers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="lory-tokenizers-")
        cls.folder = Path(cls.scratch.name)
        cls.texts = project_texts()
        cls.hostile = hostile_texts()
        sample = cls.texts[::max(1, len(cls.texts) // 200)]
        cls.files = []
        for name, tokenizer in layouts(sample):
            path = cls.folder / f"{name}.json"
            tokenizer.save(str(path))
            cls.files.append((name, path))

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    @staticmethod
    def peer(path):
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.encode_special_tokens = True
        return tokenizer

    def compare(self, path, texts):
        peer = self.peer(path)
        expected = [encoded.ids for encoded in
                    peer.encode_batch(texts, add_special_tokens=False)]
        for text, ours, theirs in zip(
                texts, tokenize(path, texts, "--lines"), expected):
            if ours != theirs:
                at = next((i for i, pair in enumerate(zip(ours, theirs))
                           if pair[0] != pair[1]), min(len(ours), len(theirs)))
                self.fail(f"{path.name}: {text[:200]!r} differs at token {at}: "
                          f"{[peer.id_to_token(i) for i in ours[at:at + 5]]} for "
                          f"{[peer.id_to_token(i) for i in theirs[at:at + 5]]}")
        return peer, expected

    def test_hostile_texts_have_the_same_tokens(self):
        for name, path in self.files:
            with self.subTest(name):
                self.compare(path, self.hostile)

    def test_documents_have_the_same_tokens(self):
        for name, path in self.files:
            with self.subTest(name):
                self.compare(path, self.texts)

    def test_a_word_of_a_megabyte(self):
        rng = random.Random(5)
        word = "".join(rng.choices("abcdeé你", k=1_000_000))
        for name, path in self.files:
            with self.subTest(name):
                self.compare(path, [word])

    def test_tokens_have_the_same_text(self):
        for name, path in self.files:
            with self.subTest(name):
                peer, tokens = self.compare(path, self.hostile)
                texts = tokenize(path, tokens, "--decode")
                for ids, text in zip(tokens, texts):
                    # Bytes that are no character become one mark, or one each.
                    self.assertEqual(text.strip("\ufffd"),
                                     peer.decode(ids).strip("\ufffd"))

    def test_bytes_that_are_no_text_come_back(self):
        rng = random.Random(9)
        sent = bytes(rng.randrange(256) for _ in range(20_000)) + b"\xed\xa0\x80"
        for name, path in self.files:
            with self.subTest(name):
                ids = tokens_of(path, sent)
                self.assertGreater(len(ids), len(sent) // 8)
                self.assertLess(len(ids), 2 * len(sent))

    def test_special_tokens_are_never_made_of_text(self):
        for name, path in self.files:
            with self.subTest(name):
                special = {token["id"] for token in
                           json.loads(path.read_text())["added_tokens"]
                           if token["special"]}
                self.assertTrue(special)
                text = "</s> <s> <unk> <|endoftext|>a</s>"
                [ids] = tokenize(path, [text], "--lines")
                self.assertFalse(special & set(ids))

    @unittest.skipUnless(os.environ.get("LORY_CODE_POINTS"), "takes minutes")
    def test_every_code_point(self):
        """Differences are of characters that are newer than Unicode 14."""
        points = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]
        texts = [f"x{chr(c)}y {chr(c)}1{chr(c)}" for c in points]
        wanted = os.environ["LORY_CODE_POINTS"].split(",")
        for name, path in self.files:
            if name not in wanted:
                continue
            peer = self.peer(path)
            ours = tokenize(path, texts, "--lines")
            theirs = peer.encode_batch_fast(texts, add_special_tokens=False)
            other = [c for c, a, b in zip(points, ours, theirs) if a != b.ids]
            print(f"{name}: {len(other)} code points differ: "
                  f"{ranges(other)}")


def ranges(points):
    """U+1C89-U+1C8A and so on, the first twenty."""
    found = []
    for point in points:
        if found and found[-1][1] + 1 == point:
            found[-1][1] = point
        else:
            found.append([point, point])
    return ", ".join(f"U+{a:04X}-U+{b:04X}" for a, b in found[:20])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path, default=BIN)
    options, rest = parser.parse_known_args()
    globals()["BIN"] = options.bin.resolve()
    unittest.main(argv=[sys.argv[0]] + rest)


if __name__ == "__main__":
    main()
