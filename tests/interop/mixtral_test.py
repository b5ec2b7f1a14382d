"""Mixtral checkpoints of Hugging Face transformers: read, served, written.

Run by ctest; by hand: mixtral_test.py --bin build/dev/bin [test names].
Environment and skipping: as llama_exchange_test.py.

Random MixtralForCausalLM models become checkpoints of token choice: `lory-model
logits` agrees with transformers to 1e-4, the export is the model again bit by
bit, and lory-server's scores and greedy text are those of transformers.
"""

import shutil
import tempfile
import unittest
from pathlib import Path

# First: it looks for an environment that has torch.
import llama_exchange_test as exchange
from llama_exchange_test import lory_model, our_logits
from served_model import VOCABULARY, ServedModel
import torch
from transformers import MixtralConfig, MixtralForCausalLM

TOLERANCE = 1e-4
PROMPTS = ("def main():", "a", "In the beginning God created the heaven")


def random_mixtral(seed=0, **changes):
    """A small model with large random weights. Only printable characters are
    ever the likeliest, so that its text says which tokens it is made of."""
    torch.manual_seed(seed)
    sizes = dict(vocab_size=VOCABULARY, hidden_size=48, intermediate_size=76,
                 num_hidden_layers=3, num_attention_heads=6,
                 num_key_value_heads=2, max_position_embeddings=96,
                 num_local_experts=5, num_experts_per_tok=2,
                 rms_norm_eps=1e-6, initializer_range=0.2)
    model = MixtralForCausalLM(MixtralConfig(**{**sizes, **changes})).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "norm" in name:
                value.mul_(1 + 0.3 * torch.randn_like(value))
            if "mlp.gate." in name:
                value.copy_(0.3 * torch.randn_like(value))
        if not model.config.tie_word_embeddings:
            model.lm_head.weight[:32] = 0
            model.lm_head.weight[127:] = 0
    return model


class MixtralTest(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="lory-mixtral-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def imported(self, model, **save_options):
        model.save_pretrained(self.folder / "hf", **save_options)
        lory_model("import", self.folder / "hf", "--to", self.folder / "ours")
        return self.folder / "ours"

    def check(self, model, **save_options):
        """Import, logits at an odd length, export again."""
        checkpoint = self.imported(model, **save_options)
        tokens = torch.randint(0, VOCABULARY, (61,))
        ours = our_logits(self.folder, checkpoint, "--tokens",
                          ",".join(str(int(t)) for t in tokens))["logits"]
        with torch.no_grad():
            theirs = model(tokens.unsqueeze(0)).logits[0]
        distance = (ours - theirs).abs().max().item()
        print(f"{self.id().split('.')[-1]}: logits differ by {distance:.1e} of "
              f"{theirs.abs().max().item():.1f}", flush=True)
        self.assertLessEqual(distance, TOLERANCE)
        lory_model("export", checkpoint, "--to", self.folder / "back")
        back = MixtralForCausalLM.from_pretrained(self.folder / "back",
                                                  dtype=torch.float32)
        for name, value in model.state_dict().items():
            self.assertTrue(torch.equal(back.state_dict()[name], value), name)

    def test_two_of_five_experts(self):
        self.check(random_mixtral())

    def test_one_expert_of_a_token(self):
        self.check(random_mixtral(seed=1, num_experts_per_tok=1))

    def test_a_key_head_for_each_query_head_and_a_tied_head(self):
        self.check(random_mixtral(seed=2, num_key_value_heads=6,
                                  tie_word_embeddings=True))

    def test_shards(self):
        self.check(random_mixtral(seed=3), max_shard_size="50KB")
        self.assertGreater(
            len(list((self.folder / "hf").glob("*.safetensors"))), 2)

    def test_served_text_and_scores_are_transformers(self):
        model = random_mixtral(seed=4)
        server = ServedModel(self.folder, self.imported(model))
        self.addCleanup(server.stop)
        for prompt in PROMPTS:
            tokens = torch.tensor([list(prompt.encode())])
            out = model.generate(tokens, max_new_tokens=32, do_sample=False,
                                 eos_token_id=None, pad_token_id=0)[0]
            made = bytes(out.tolist()).decode("ascii")[len(prompt):]
            for inference in ("prompt", "segment"):
                answer = server.complete(prompt=prompt, max_tokens=32,
                                         temperature=0, inference=inference)
                self.assertEqual(answer["text"], made)
            ours = torch.tensor(server.scores(prompt + made))
            with torch.no_grad():
                theirs = torch.log_softmax(model(out[None]).logits[0], 1)
            theirs = theirs[:-1].gather(1, out[1:, None])[:, 0]
            distance = (ours - theirs).abs().max().item()
            print(f"{prompt!r} goes on {made!r}; scores differ by "
                  f"{distance:.1e}", flush=True)
            self.assertLessEqual(distance, TOLERANCE)


if __name__ == "__main__":
    exchange.run_tests(__doc__, threads=2)
