"""Exports and imports against Hugging Face transformers.

Run by ctest; by hand: llama_exchange_test.py --bin build/dev/bin [test names].
Needs torch and transformers in an environment of their own (5 GB), made once:

    python3 -m venv .cache/interop
    .cache/interop/bin/pip install -r tests/interop/requirements.txt

or another Python that has them: LORY_INTEROP_PYTHON. Without one it is skipped,
exit code 77.

What is compared: logits of models that transformers made, and of a Lory
checkpoint that the service trained, in fp32 to 1e-4; weights bit by bit; token
ids one by one; and the routing of a prompt against one computed here, layer by
layer, with transformers' layers.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import environment
from environment import ROOT

try:
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import (AutoModelForCausalLM, AutoTokenizer, LlamaConfig,
                              LlamaForCausalLM)
except ImportError as error:
    environment.enter("interop", error)

sys.path.insert(0, str(ROOT / "tools/quickstart"))
sys.path.insert(0, str(ROOT / "tests/integration"))

from random_checkpoint import parameters_of  # noqa: E402
from service import Service, wait_until  # noqa: E402
import service_test  # noqa: E402

BIN = ROOT / "build/dev/bin"
TOLERANCE = 1e-4
PROMPT = "The function returns the number of bytes that were read"
CONTINUATION = " from the file, or -1 when there was an error."


def lory_model(*arguments):
    done = subprocess.run([str(BIN / "lory-model")] + [str(a) for a in arguments],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"lory-model {arguments}: {done.stderr}")
    return done.stdout


def our_logits(folder, checkpoint, *arguments):
    path = Path(folder) / "logits.safetensors"
    lory_model("logits", checkpoint, "--to", path, "--force", *arguments)
    return load_file(path)


def their_logits(folder, tokens):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        return model.eval()(tokens.unsqueeze(0)).logits[0]


def random_llama(seed=0, **changes):
    """A small model of transformers with large random weights."""
    torch.manual_seed(seed)
    sizes = dict(vocab_size=203, hidden_size=48, intermediate_size=77,
                 num_hidden_layers=3, num_attention_heads=6,
                 num_key_value_heads=2, max_position_embeddings=96,
                 rms_norm_eps=1e-6, initializer_range=0.2)
    model = LlamaForCausalLM(LlamaConfig(**{**sizes, **changes})).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "norm" in name:
                value.mul_(1 + 0.3 * torch.randn_like(value))
    return model


class ImportTest(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="lory-interop-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def check(self, model, **save_options):
        """Import, logits at an odd length, export again."""
        model.save_pretrained(self.folder / "hf", **save_options)
        lory_model("import", self.folder / "hf", "--to", self.folder / "ours")
        tokens = torch.randint(0, model.config.vocab_size, (61,))
        ours = our_logits(self.folder, self.folder / "ours", "--tokens",
                          ",".join(str(int(t)) for t in tokens))
        self.assertTrue(torch.equal(ours["tokens"], tokens))
        with torch.no_grad():
            theirs = model(tokens.unsqueeze(0)).logits[0]
        distance = (ours["logits"] - theirs).abs().max().item()
        print(f"{self.id().split('.')[-1]}: logits differ by {distance:.1e} of "
              f"{theirs.abs().max().item():.1f}")
        self.assertLessEqual(distance, TOLERANCE)
        lory_model("export", self.folder / "ours", "--to", self.folder / "back")
        back = LlamaForCausalLM.from_pretrained(self.folder / "back",
                                                dtype=torch.float32)
        for name, value in model.state_dict().items():
            self.assertTrue(torch.equal(back.state_dict()[name], value), name)

    def test_grouped_queries(self):
        self.check(random_llama())

    def test_one_key_head_for_each_query_head(self):
        self.check(random_llama(seed=1, num_key_value_heads=6))

    def test_another_rotary_base(self):
        parameters = {"rope_type": "default", "rope_theta": 500000.0}
        self.check(random_llama(seed=2, rope_parameters=parameters))

    def test_tied_head(self):
        self.check(random_llama(seed=3, tie_word_embeddings=True))

    def test_shards(self):
        self.check(random_llama(seed=4), max_shard_size="50KB")
        self.assertGreater(
            len(list((self.folder / "hf").glob("*.safetensors"))), 2)

    def test_bfloat16(self):
        model = random_llama(seed=5).to(torch.bfloat16)
        model.save_pretrained(self.folder / "half")
        wide = LlamaForCausalLM.from_pretrained(self.folder / "half",
                                                dtype=torch.float32).eval()
        model.save_pretrained(self.folder / "hf")
        lory_model("import", self.folder / "hf", "--to", self.folder / "ours")
        ours = our_logits(self.folder, self.folder / "ours", "--tokens", "1,2,3")
        with torch.no_grad():
            theirs = wide(torch.tensor([[1, 2, 3]])).logits[0]
        self.assertLessEqual((ours["logits"] - theirs).abs().max().item(),
                             TOLERANCE)


def train_lory(folder):
    """A checkpoint of forty steps by the real service, and its dataset.

    One worker writes one part, in which every tensor is whole.
    """
    service_test.BIN = BIN
    data = service_test.make_dataset(folder)
    with Service(BIN, folder / "service", [folder]) as service:
        service.start_coordinator()
        service.start_worker("worker-a")
        service.ctl("dataset", "register", "demo", data / "manifest.json")
        service.ctl("job", "submit", "-f",
                    ROOT / "tests/integration/job.yaml", "--name", "interop",
                    "--set", "steps=40", "--set", "max_workers=1",
                    "--set", "min_workers=1", "--set",
                    "model.feed_forward={lory: {expert_count: 4, "
                    "segment_length: 16, dense_fraction: 0.1}}")
        wait_until(lambda: service.job("interop")["state"] == "SUCCEEDED",
                   "the job to succeed", 300)
        checkpoints = service.job_folder("interop") / "checkpoints"
    return max(checkpoints.glob("step-40.gen-*")), data


def make_experts_differ(source, target):
    """A copy whose experts and routers are far apart, as long training makes
    them: after forty steps a wrong mixture would look nearly right."""
    shutil.copytree(source, target)
    manifest = json.loads((target / "manifest.json").read_text())
    generator = torch.Generator().manual_seed(1)
    for part in manifest["parts"]:
        path = target / part["file"]
        with open(path, "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        tensors = load_file(path)
        for name, value in tensors.items():
            noise = torch.randn(value.shape, generator=generator)
            if name.startswith("param/") and ".mlp.experts." in name:
                tensors[name] = value + noise * value.std()
            if name.startswith("param/") and ".mlp.router." in name:
                tensors[name] = noise * 0.2
        save_file(tensors, path, header["__metadata__"])
        part["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        part["size_bytes"] = path.stat().st_size
    (target / "manifest.json").write_text(json.dumps(manifest))


def merge_by_prompt(checkpoint, template, tokens):
    """Prompt routing from its definition, with transformers' layers: each layer
    by the mean of what its feed-forward sees, those below merged before."""
    tensors = parameters_of(checkpoint)
    model = LlamaForCausalLM.from_pretrained(template, dtype=torch.float32).eval()
    for i, layer in enumerate(model.model.layers):
        seen = []
        hook = layer.mlp.register_forward_pre_hook(
            lambda _, inputs: seen.append(inputs[0][0]))
        with torch.no_grad():
            model(tokens.unsqueeze(0))
            hook.remove()
            prefix = f"model.layers.{i}.mlp."
            weights = torch.softmax(
                tensors[prefix + "router.weight"] @ seen[0].mean(0), 0)
            for name in ("gate_proj", "up_proj", "down_proj"):
                experts = tensors[f"{prefix}experts.{name}.weight"]
                getattr(layer.mlp, name).weight.copy_(
                    torch.einsum("e,eab->ab", weights, experts))
        print(f"layer {i} routed {[round(w, 3) for w in weights.tolist()]}")
    return model


class LoryExportTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="lory-interop-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.trained, cls.data = train_lory(cls.folder)
        cls.checkpoint = cls.folder / "far/step-40.gen-1"
        make_experts_differ(cls.trained, cls.checkpoint)

    def export(self, checkpoint, name, *routing):
        target = self.folder / name
        lory_model("export", checkpoint, "--to", target, "--tokenizer", self.data,
                   "--force", *routing)
        return target

    def close(self, ours, theirs):
        distance = (ours - theirs).abs().max().item()
        print(f"{self.id().split('.')[-1]}: differ by {distance:.1e} of "
              f"{theirs.abs().max().item():.1f}")
        self.assertLessEqual(distance, TOLERANCE)

    def test_prompt_export_is_the_lory_model_on_its_prompt(self):
        for checkpoint in (self.trained, self.checkpoint):
            exported = self.export(checkpoint, "prompt", "--prompt", PROMPT)
            # Ours by the Lory layers themselves, nothing merged beforehand.
            ours = our_logits(self.folder, checkpoint, "--text", PROMPT,
                              "--tokenizer", self.data, "--inference", "prompt")
            self.close(ours["logits"], their_logits(exported, ours["tokens"]))

    def test_the_text_goes_on_with_the_prompts_routing(self):
        exported = self.export(self.checkpoint, "prompt", "--prompt", PROMPT)
        ours = our_logits(self.folder, self.checkpoint, "--text",
                          PROMPT + CONTINUATION, "--tokenizer", self.data,
                          "--prompt", PROMPT)
        self.close(ours["logits"], their_logits(exported, ours["tokens"]))

    def test_prompt_routing_is_what_its_definition_says(self):
        exported = self.export(self.checkpoint, "prompt", "--prompt", PROMPT)
        tokens = torch.tensor(AutoTokenizer.from_pretrained(exported)(PROMPT)
                              ["input_ids"])
        uniform = self.export(self.checkpoint, "uniform", "--routing", "uniform")
        defined = merge_by_prompt(self.checkpoint, uniform, tokens).state_dict()
        merged = load_file(exported / "model.safetensors")
        self.assertEqual(set(defined), set(merged))
        for name, value in merged.items():
            torch.testing.assert_close(value, defined[name], rtol=1e-5, atol=1e-5)

    def test_average_routing_of_a_text_is_exported(self):
        text = self.folder / "text.txt"
        text.write_text((PROMPT + CONTINUATION + "\n") * 20)
        routing = ["--routing-text", text]
        exported = self.export(self.checkpoint, "text", *routing)
        ours = our_logits(self.folder, self.checkpoint, "--text", PROMPT,
                          "--tokenizer", self.data, *routing)
        self.close(ours["logits"], their_logits(exported, ours["tokens"]))

    def test_the_tokenizer_gives_the_same_ids(self):
        exported = self.export(self.checkpoint, "uniform", "--routing", "uniform")
        tokenizer = AutoTokenizer.from_pretrained(exported)
        for text in (PROMPT, "  x = 12345\n\n\treturn", "Größe, 数, \u00a0'll"):
            ours = our_logits(self.folder, self.checkpoint, "--text", text,
                              "--tokenizer", self.data)
            self.assertEqual(tokenizer(text)["input_ids"],
                             ours["tokens"].tolist())
            self.assertEqual(tokenizer.decode(ours["tokens"]), text)
        self.assertEqual(tokenizer.eos_token, "<|endoftext|>")

    def test_greedy_text_comes_from_generate(self):
        exported = self.export(self.trained, "prompt", "--prompt", PROMPT)
        model = LlamaForCausalLM.from_pretrained(exported, dtype=torch.float32)
        tokens = AutoTokenizer.from_pretrained(exported)(
            PROMPT, return_tensors="pt")
        out = model.generate(**tokens, max_new_tokens=12, do_sample=False)[0]
        theirs = out.tolist()
        for at in range(tokens["input_ids"].shape[1], len(theirs)):
            ours = our_logits(
                self.folder, self.trained, "--prompt", PROMPT, "--tokenizer",
                self.data, "--tokens", ",".join(str(t) for t in theirs[:at]))
            self.assertEqual(ours["logits"][-1].argmax().item(), theirs[at])

    def test_a_trained_checkpoint_is_merged_and_compared(self):
        target = self.folder / "merged"
        lory_model("merge", "--base", self.trained, "--add", self.checkpoint,
                   "--to", target, "--force")
        lory_model("diff", target, self.checkpoint)
        if (BIN / "lory-verify").exists():
            subprocess.run([BIN / "lory-verify", "checkpoint", target], check=True,
                           stdout=subprocess.DEVNULL)


def run_tests(description, threads):
    """The command line of every test here; `threads` are torch's."""
    global BIN
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=str(BIN), help="folder of the programs")
    options, names = parser.parse_known_args()
    BIN = Path(options.bin).resolve()
    torch.set_num_threads(threads)
    unittest.main(argv=[sys.argv[0]] + names, verbosity=2)


if __name__ == "__main__":
    run_tests(__doc__, threads=2)
