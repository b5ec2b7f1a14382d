"""Models of transformers with their tokenizers: brought in, asked, taken out.

Run by ctest; by hand: round_trip_test.py --bin build/dev/bin [test names].
Environment and skipping: as llama_exchange_test.py.

Random models with tokenizers in the layouts of LLaMA 2, LLaMA 3 and Mixtral, which
put a mark before a text. lory-server's greedy text of a prompt is what
transformers' `tokenizer(prompt)` and `generate` make; what import and export leave
of a model and its tokenizer does the same as before. Of a tokenizer.model of
SentencePiece the exported folder's AutoTokenizer makes the same tokens.
"""

import json
import shutil
import tempfile
import unittest
from pathlib import Path

# First: it looks for an environment that has torch.
import llama_exchange_test as exchange
from llama_exchange_test import lory_model, our_logits, random_llama
from served_model import ServedModel
import tokenizers_test
from tokenizers_test import (END, LLAMA3, byte_level, llama2, sentence_pieces,
                             split, with_bytes)
import sentencepiece
import torch
from tokenizers import processors
from transformers import (AutoModelForCausalLM, AutoTokenizer, MixtralConfig,
                          MixtralForCausalLM, PreTrainedTokenizerFast)

PROMPTS = ("The function returns", " two  spaces", "a", "x = [1, 22, 333]\n")
BEGIN3 = "<|begin_of_text|>"
END3 = "<|end_of_text|>"


def texts():
    return [path.read_text(encoding="utf-8")
            for path in sorted((exchange.ROOT / "docs").glob("*.md"))]


def template(tokenizer, begin):
    return processors.TemplateProcessing(
        single=f"{begin} $A", pair=f"{begin} $A {begin}:1 $B:1",
        special_tokens=[(begin, tokenizer.token_to_id(begin))])


def save_llama3(folder):
    """Bytes, words by a pattern, the mark by the post_processor."""
    made = byte_level(with_bytes(split(LLAMA3)), ignore_merges=True,
                      texts=texts())
    made.add_special_tokens([BEGIN3, END3])
    made.post_processor = processors.Sequence(
        [processors.ByteLevel(trim_offsets=True), template(made, BEGIN3)])
    PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=BEGIN3, eos_token=END3,
        clean_up_tokenization_spaces=False).save_pretrained(folder)


def save_llama2(folder):
    """Characters, with files as those of LLaMA 2 and Mixtral are."""
    made = llama2(texts())
    made.post_processor = template(made, "<s>")
    file = json.loads(made.to_str())
    for token in file["added_tokens"]:
        token["normalized"] = False
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(file))
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>",
         "eos_token": "</s>", "unk_token": "<unk>", "add_bos_token": True,
         "add_eos_token": False, "clean_up_tokenization_spaces": False}))


def random_mixtral(vocabulary):
    torch.manual_seed(4)
    return MixtralForCausalLM(MixtralConfig(
        vocab_size=vocabulary, hidden_size=48, intermediate_size=76,
        num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2,
        max_position_embeddings=96, num_local_experts=4,
        num_experts_per_tok=2, initializer_range=0.2, bos_token_id=1,
        eos_token_id=2)).eval()


class RoundTripTest(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="lory-round-trip-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.hf = self.folder / "hf"

    def save(self, make, more_ids=0, **changes):
        """A model of the tokenizer's size that writes words, and both of them
        as transformers loads them."""
        tokenizer = AutoTokenizer.from_pretrained(self.hf)
        size = len(tokenizer)
        model = make(vocab_size=size + more_ids, **changes)
        with torch.no_grad():  # text that is one, never a mark or half a letter
            for token in range(size + more_ids):
                text = tokenizer.decode([token])
                if not text.isascii() or not text.isprintable() or not text:
                    model.lm_head.weight[token] = 0
        model.save_pretrained(self.hf)
        return model, tokenizer

    def imported(self):
        lory_model("import", self.hf, "--to", self.folder / "ours")
        return self.folder / "ours"

    def check_served(self, model, tokenizer):
        server = ServedModel(self.folder, self.imported(), self.hf)
        self.addCleanup(server.stop)
        for prompt in PROMPTS:
            for marked in (True, False):
                tokens = tokenizer(prompt, add_special_tokens=marked,
                                   return_tensors="pt")
                asked = {"prompt": prompt, "add_special_tokens": marked}
                self.assertEqual(server.ask("/tokenize", **asked)["tokens"],
                                 tokens["input_ids"][0].tolist())
                out = model.generate(
                    input_ids=tokens["input_ids"], max_new_tokens=24,
                    do_sample=False, pad_token_id=0)[0]
                made = tokenizer.decode(out, skip_special_tokens=True)
                answer = server.complete(max_tokens=24, temperature=0,
                                         echo=True, **asked)
                self.assertEqual(answer["text"], made)
                if marked:  # the default
                    self.assertEqual(out[0].item(), tokenizer.bos_token_id)
                    self.assertEqual(server.complete(
                        prompt=prompt, max_tokens=24, temperature=0,
                        echo=True)["text"], made)
            print(f"{prompt!r} goes on {made[-30:]!r}", flush=True)

    def check_logits(self, model, tokenizer):
        """`lory-model logits --text` reads a prompt as transformers does."""
        ours = our_logits(self.folder, self.folder / "ours", "--text",
                          PROMPTS[0], "--tokenizer", self.hf)
        tokens = tokenizer(PROMPTS[0], return_tensors="pt")["input_ids"]
        self.assertEqual(ours["tokens"].tolist(), tokens[0].tolist())
        with torch.no_grad():
            theirs = model(tokens).logits[0]
        self.assertLessEqual((ours["logits"] - theirs).abs().max().item(), 1e-4)

    def check_back(self, model, tokenizer):
        """Import, export: what transformers loads does as it did."""
        target = self.folder / "back"
        lory_model("export", self.imported(), "--to", target, "--tokenizer",
                   self.hf)
        again = AutoTokenizer.from_pretrained(target)
        self.assertIs(type(again), type(tokenizer))
        for mark in ("bos_token", "eos_token", "pad_token", "unk_token",
                     "bos_token_id", "eos_token_id"):
            self.assertEqual(getattr(again, mark), getattr(tokenizer, mark))
        copy = AutoModelForCausalLM.from_pretrained(target, dtype=torch.float32)
        for key in ("bos_token_id", "eos_token_id", "pad_token_id"):
            self.assertEqual(getattr(copy.config, key),
                             getattr(model.config, key))
        self.assertEqual(copy.generation_config.to_diff_dict(),
                         AutoModelForCausalLM.from_pretrained(self.hf)
                         .generation_config.to_diff_dict())
        for prompt in PROMPTS:
            tokens = tokenizer(prompt, return_tensors="pt")
            self.assertEqual(again(prompt)["input_ids"],
                             tokens["input_ids"][0].tolist())
            made, remade = [some.generate(
                input_ids=tokens["input_ids"], max_new_tokens=12,
                do_sample=False) for some in (model, copy)]
            self.assertEqual(again.decode(remade[0]), tokenizer.decode(made[0]))
        # Without the tokenizer the ids are those of the model still.
        lory_model("export", self.folder / "ours", "--to", self.folder / "bare")
        bare = json.loads((self.folder / "bare/config.json").read_text())
        self.assertEqual(bare["bos_token_id"], model.config.bos_token_id)
        self.assertEqual(bare["eos_token_id"], model.config.eos_token_id)

    def test_a_mixtral_comes_back_with_its_marks(self):
        save_llama2(self.hf)
        self.check_back(*self.save(
            lambda vocab_size: random_mixtral(vocab_size)))

    def test_a_llama_3_comes_back_with_several_ends(self):
        save_llama3(self.hf)
        ids = [AutoTokenizer.from_pretrained(self.hf).convert_tokens_to_ids(mark)
               for mark in (BEGIN3, END3, END)]
        model, tokenizer = self.save(
            random_llama, bos_token_id=ids[0], eos_token_id=ids[1:])
        model.generation_config.update(
            do_sample=True, temperature=0.6, top_p=0.9, pad_token_id=ids[2])
        model.generation_config.save_pretrained(self.hf)
        self.check_back(model, tokenizer)

    def test_a_vocabulary_that_was_filled_up(self):
        """As Qwen's: ids at the end that are of no token."""
        save_llama3(self.hf)
        model, tokenizer = self.save(random_llama, more_ids=37)
        self.check_back(model, tokenizer)
        shutil.rmtree(self.folder / "ours")
        self.check_served(model, tokenizer)

    def test_ids_of_no_token_are_not_written(self):
        save_llama3(self.hf)
        model, tokenizer = self.save(random_llama, more_ids=37)
        with torch.no_grad():  # so that any would be, were they allowed
            model.lm_head.weight[-37:] = 5 * model.lm_head.weight[:37].abs()
        model.save_pretrained(self.hf)
        last = len(tokenizer)
        server = ServedModel(self.folder, self.imported(), self.hf)
        self.addCleanup(server.stop)
        tokens = tokenizer(PROMPTS[0], return_tensors="pt")["input_ids"]
        out = model.generate(input_ids=tokens, max_new_tokens=24,
                             do_sample=False, pad_token_id=0)
        barred = model.generate(
            input_ids=tokens, max_new_tokens=24, do_sample=False,
            pad_token_id=0, suppress_tokens=list(range(last, last + 37)))
        self.assertNotEqual(out.tolist(), barred.tolist())
        self.assertEqual(
            server.complete(prompt=PROMPTS[0], max_tokens=24, temperature=0,
                            echo=True)["text"],
            tokenizer.decode(barred[0], skip_special_tokens=True))
        # Such an id may be asked about; it is no text.
        self.assertEqual(server.ask("/detokenize", tokens=[last + 36])["prompt"],
                         tokenizer.decode([last + 36]))
        answer = server.complete(prompt=[last + 36, 5], max_tokens=0, echo=True,
                                 logprobs=1)
        self.assertEqual(answer["logprobs"]["tokens"][0], "")

    def exported_pieces(self, name, bytes_):
        """The folder of a model with this tokenizer.model, and what export
        said."""
        source = self.folder / name
        random_llama(
            vocab_size=sentencepiece.SentencePieceProcessor(
                model_proto=bytes_).vocab_size()).save_pretrained(source)
        (source / "tokenizer.model").write_bytes(bytes_)
        (source / "tokenizer_config.json").write_text(json.dumps(
            {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True,
             "bos_token": "<s>", "eos_token": "</s>"}))
        lory_model("import", source, "--to", self.folder / f"{name}-ours")
        target = self.folder / f"{name}-back"
        said = lory_model("export", self.folder / f"{name}-ours", "--to", target,
                          "--tokenizer", source)
        return target, said

    def test_sentence_pieces_are_the_same_in_transformers(self):
        tokenizers_test.BIN = exchange.BIN
        hostile = tokenizers_test.hostile_texts() + texts()
        for name, bytes_ in sentence_pieces(texts()):
            with self.subTest(name):
                target, said = self.exported_pieces(name, bytes_)
                if name in ("default", "folded"):
                    self.assertFalse((target / "tokenizer.json").exists())
                    self.assertIn("normalizes characters by a table", said)
                    continue
                peer = sentencepiece.SentencePieceProcessor(model_proto=bytes_)
                theirs = AutoTokenizer.from_pretrained(target)
                # SentencePiece finds no special tokens in a text.
                theirs.split_special_tokens = True
                theirs._tokenizer.encode_special_tokens = True
                for text in hostile:
                    ids = peer.encode(text)
                    self.assertEqual(theirs(text)["input_ids"], [1] + ids, text)
                    self.assertEqual(
                        theirs.decode(ids, skip_special_tokens=True),
                        peer.decode(ids))
                for which in (target / "tokenizer.json",
                              target / "tokenizer.model"):
                    self.assertEqual(
                        tokenizers_test.tokenize(
                            which, hostile, "--lines"),
                        [peer.encode(text) for text in hostile])
                # It comes back as the tokenizer that the model was trained with.
                again = self.folder / f"{name}-again"
                lory_model("import", target, "--to", again)
                our_logits(self.folder, again, "--text", "a b", "--tokenizer",
                           self.folder / name)

    def test_a_llama_3_is_asked_with_its_mark(self):
        save_llama3(self.hf)
        model, tokenizer = self.save(random_llama)
        self.check_served(model, tokenizer)
        self.check_logits(model, tokenizer)

    def test_a_llama_2_is_asked_with_its_mark(self):
        save_llama2(self.hf)
        self.check_served(*self.save(random_llama))

    def test_a_mixtral_is_asked_with_its_mark(self):
        save_llama2(self.hf)
        model, tokenizer = self.save(
            lambda vocab_size: random_mixtral(vocab_size))
        self.check_served(model, tokenizer)
        self.check_logits(model, tokenizer)


if __name__ == "__main__":
    exchange.run_tests(__doc__, threads=2)
