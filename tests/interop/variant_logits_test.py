"""Every variant of the feed-forward against its equations, in Python.

Run by ctest; by hand: variant_logits_test.py --bin build/dev/bin [test names].
Environment and skipping: as llama_exchange_test.py.

Weights are random, experts and routers far apart, so that a wrong choice shows.
The model is written out below in double precision, a token, a segment and an
expert at a time, from the papers and without regard to how ours is made. Logits
of `lory-model logits`, in fp32, agree with it to 1e-4, and so do lory-server's
scores; token choice also agrees with MixtralForCausalLM of its export.
"""

import json
import math
import shutil
import tempfile
import unittest
from pathlib import Path

# First: it looks for an environment that has torch.
import llama_exchange_test as exchange
from llama_exchange_test import lory_model, our_logits, their_logits
from random_checkpoint import VOCABULARY, parameters_of, random_checkpoint
from served_model import ServedModel
import torch

LENGTH = 61  # not a multiple of a segment
TOLERANCE = 1e-4


def swiglu(x, gate, up, down):
    return (torch.nn.functional.silu(x @ gate.T) * (x @ up.T)) @ down.T


class Layer:
    """The feed-forward's tensors of one layer, and its options."""

    def __init__(self, tensors, prefix, options):
        self.tensors = tensors
        self.prefix = prefix + "mlp."
        self.options = options

    def __getitem__(self, name):
        return self.tensors[self.prefix + name]

    def experts(self):
        return [self[f"experts.{name}_proj.weight"]
                for name in ("gate", "up", "down")]

    def expert(self, index, x):
        return swiglu(x, *(matrix[index] for matrix in self.experts()))

    def merged(self, weights, x):
        return swiglu(x, *(sum(w * m for w, m in zip(weights, matrix))
                           for matrix in self.experts()))

    def softmax(self, x):
        return torch.softmax(self["router.weight"] @ x, 0)


def segments_of(x, length):
    return [x[i:i + length] for i in range(0, len(x), length)]


def shifted_routing(layer, segments):
    """Lory's: by the segment before, the first by itself."""
    own = [layer.softmax(segment.mean(0)) for segment in segments]
    return [own[0]] + own[:-1]


def dense(layer, x):
    return swiglu(x, *(layer[f"{name}_proj.weight"]
                       for name in ("gate", "up", "down")))


def lory(layer, x):
    segments = segments_of(x, layer.options["segment_length"])
    routing = shifted_routing(layer, segments)
    policy = layer.options.get("first_segment")
    if policy == "LEARNED":
        routing[0] = torch.softmax(layer["first_segment"], 0)
    if policy == "UNIFORM":
        routing[0] = torch.ones_like(routing[0]) / len(routing[0])
    return torch.cat([layer.merged(w, s) for w, s in zip(routing, segments)])


def prefix_routing(layer, x):
    first = x[:layer.options["segment_length"]]
    return layer.merged(layer.softmax(first.mean(0)), x)


def token_choice(layer, x):
    top_k = layer.options.get("top_k", 2)
    rows = []
    for token in x:
        probability = layer.softmax(token)
        best = sorted(range(len(probability)),
                      key=lambda e: -probability[e])[:top_k]
        total = sum(probability[e] for e in best)
        if layer.options.get("weights") == "PROBABILITY":
            total = 1
        rows.append(sum(probability[e] / total * layer.expert(e, token)
                        for e in best))
    return torch.stack(rows)


def expert_choice(layer, x):
    """At inference: every token, or segment, has its round(c) best."""
    count = max(1, round(layer.options.get("capacity_factor", 1)))
    if layer.options.get("level") == "SEGMENT":
        units = segments_of(x, layer.options["segment_length"])
        routing = shifted_routing(layer, units)
    else:
        units = list(x.unsqueeze(1))
        routing = [layer.softmax(token) for token in x]
    outs = []
    for unit, probability in zip(units, routing):
        best = sorted(range(len(probability)),
                      key=lambda e: -probability[e])[:count]
        outs.append(sum(probability[e] * layer.expert(e, unit) for e in best))
    return torch.cat(outs)


def layer_norm(x, gain, bias):
    centred = x - x.mean(-1, keepdim=True)
    variance = (centred * centred).mean(-1, keepdim=True)
    return centred / torch.sqrt(variance + 1e-5) * gain + bias


def smear(layer, x):
    pool = x[:layer.options.get("pool_length", len(x))].mean(0)
    rows = layer_norm(layer["router.weight"], layer["router.row_norm.weight"],
                      layer["router.row_norm.bias"])
    pool = layer_norm(pool, layer["router.norm.weight"],
                      layer["router.norm.bias"])
    return layer.merged(torch.softmax(rows @ pool, 0), x)


def soft_moe(layer, x):
    filling = layer.options.get("filling", len(x))  # tokens, from the first

    def normed(v):
        return v / torch.sqrt((v * v).sum(-1, keepdim=True) + 1e-6)

    slots = layer["router.slots"]
    experts, count, _ = slots.shape
    logits = torch.stack(
        [normed(x) @ (layer["router.scale"] * normed(slots[e, s]))
         for e in range(experts) for s in range(count)])
    outs = torch.stack(
        [layer.expert(i // count, torch.softmax(row[:filling], 0) @ x[:filling])
         for i, row in enumerate(logits)])
    return torch.softmax(logits, 0).T @ outs


def weight_ensembling(layer, x):
    weights = layer["router.bias"]
    gate = layer.options.get("gate", "TWO_LAYERS")
    if gate != "CONSTANT":
        gated = []
        for token in x[:layer.options.get("pool_length", len(x))]:
            if gate == "TWO_LAYERS":
                token = torch.relu(layer["router.hidden.weight"] @ token
                                   + layer["router.hidden.bias"])
            gated.append(layer["router.weight"] @ token + weights)
        weights = torch.stack(gated).mean(0)
    return layer.merged([1, *weights], x)


def rms_norm(x, gain, epsilon):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + epsilon) * gain


def rotated(x, base):
    """x: positions, numbers of a head; halves are turned together."""
    half = x.shape[1] // 2
    speed = base ** (-torch.arange(half, dtype=x.dtype) / half)
    angle = torch.arange(len(x), dtype=x.dtype)[:, None] * speed
    a, b = x[:, :half], x[:, half:]
    return torch.cat([a * angle.cos() - b * angle.sin(),
                      b * angle.cos() + a * angle.sin()], 1)


def attention(x, get, shape):
    heads, groups = shape["head_count"], shape["key_value_head_count"]
    width = shape["width"] // heads
    query, key, value = (x @ get(f"self_attn.{name}_proj.weight").T
                         for name in "qkv")
    mask = torch.full((len(x), len(x)), -math.inf).triu(1)
    outs = []
    for head in range(heads):
        own = slice(head * width, (head + 1) * width)
        shared = slice(head * groups // heads * width,
                       (head * groups // heads + 1) * width)
        scores = (rotated(query[:, own], shape["rotary_base"])
                  @ rotated(key[:, shared], shape["rotary_base"]).T)
        outs.append(torch.softmax(scores / math.sqrt(width) + mask, 1)
                    @ value[:, shared])
    return torch.cat(outs, 1) @ get("self_attn.o_proj.weight").T


def reference(checkpoint, shape, feed_forward, options, tokens):
    tensors = {name: value.double()
               for name, value in parameters_of(checkpoint).items()}
    hidden = tensors["model.embed_tokens.weight"][tokens]
    epsilon = shape["norm_epsilon"]
    for i in range(shape["layer_count"]):
        prefix = f"model.layers.{i}."

        def get(name, prefix=prefix):
            return tensors[prefix + name]

        hidden = hidden + attention(
            rms_norm(hidden, get("input_layernorm.weight"), epsilon), get, shape)
        hidden = hidden + feed_forward(
            Layer(tensors, prefix, options),
            rms_norm(hidden, get("post_attention_layernorm.weight"), epsilon))
    return (rms_norm(hidden, tensors["model.norm.weight"], epsilon)
            @ tensors["lm_head.weight"].T)


# Equations, and options as the proto has them.
VARIANTS = {
    "dense": (dense, {}),
    "lory": (lory, {"segment_length": 16}),
    "lory-uniform": (lory, {"segment_length": 16, "first_segment": "UNIFORM"}),
    "lory-learned": (lory, {"segment_length": 16, "first_segment": "LEARNED"}),
    "prefix": (prefix_routing, {"segment_length": 16}),
    "two-of-four": (token_choice, {}),
    "three-as-switch": (token_choice, {"top_k": 3, "weights": "PROBABILITY"}),
    "expert-choice": (expert_choice, {"capacity_factor": 2}),
    "segment-choice": (expert_choice, {"level": "SEGMENT",
                                       "segment_length": 16}),
    "smear": (smear, {"pool_length": 16}),
    "smear-whole": (smear, {"allow_noncausal": True}),
    "soft-moe": (soft_moe, {"slots_per_expert": 8, "allow_noncausal": True}),
    "wemoe-constant": (weight_ensembling, {"gate": "CONSTANT"}),
    "wemoe-linear": (weight_ensembling, {"gate": "LINEAR", "pool_length": 16}),
    "wemoe": (weight_ensembling, {"allow_noncausal": True}),
}


class VariantLogitsTest(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="lory-interop-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.tokens = torch.randint(0, VOCABULARY, (LENGTH,))

    def logits(self, checkpoint):
        text = ",".join(str(int(token)) for token in self.tokens)
        return our_logits(self.folder, checkpoint, "--tokens", text)["logits"]

    def close(self, name, ours, theirs):
        distance = (ours - theirs).abs().max().item()
        print(f"{name}: they differ by {distance:.1e} of "
              f"{theirs.abs().max().item():.1f}", flush=True)
        self.assertLessEqual(distance, TOLERANCE)

    def test_logits_are_those_of_the_equations(self):
        for name, (feed_forward, options) in VARIANTS.items():
            with self.subTest(name):
                checkpoint = self.folder / name
                random_checkpoint(checkpoint, feed_forward.__name__, options)
                shape = json.loads(lory_model("inspect", checkpoint, "-o",
                                              "json"))["model"]
                self.assertEqual(shape["feed_forward"], feed_forward.__name__)
                theirs = reference(checkpoint, shape, feed_forward, options,
                                   self.tokens)
                self.close(name, self.logits(checkpoint), theirs)

    def test_served_scores_are_those_of_the_equations(self):
        tokens = self.tokens.tolist()
        for name, (feed_forward, options) in VARIANTS.items():
            with self.subTest(name):
                checkpoint = self.folder / name
                random_checkpoint(checkpoint, feed_forward.__name__, options)
                shape = json.loads(lory_model("inspect", checkpoint, "-o",
                                              "json"))["model"]
                theirs = torch.log_softmax(reference(
                    checkpoint, shape, feed_forward, options, self.tokens), 1)
                theirs = theirs[:-1].gather(1, self.tokens[1:, None])[:, 0]
                server = ServedModel(self.folder, checkpoint)
                self.addCleanup(server.stop)
                if name == "soft-moe":
                    self.check_made(name, checkpoint, shape, server.complete)
                    server.stop()
                    continue
                # What pools a whole text pools the prompt.
                pools_all = "allow_noncausal" in options
                ours = server.scores(
                    tokens, inference="prompt" if pools_all else "segment")
                server.stop()
                self.close(f"{name}, served", torch.tensor(ours), theirs)

    def check_made(self, name, checkpoint, shape, complete):
        """Scores of what is made after a prompt, which fills the slots. Of the
        prompt there are none: its tokens see themselves."""
        feed_forward, options = VARIANTS[name]
        made = complete(prompt=self.tokens[:50].tolist(), max_tokens=10,
                        temperature=0, logprobs=1)["logprobs"]["token_logprobs"]
        theirs, tokens = [], self.tokens[:50]
        for _ in made:
            scores = torch.log_softmax(reference(
                checkpoint, shape, feed_forward, {**options, "filling": 50},
                tokens)[-1], 0)
            theirs.append(scores.max())
            tokens = torch.cat([tokens, scores.argmax()[None]])
        self.close(f"{name}, made", torch.tensor(made), torch.stack(theirs))

    def test_token_choice_is_exported_as_mixtral(self):
        for top_k in (1, 2, 3):
            with self.subTest(top_k):
                checkpoint = self.folder / f"top-{top_k}"
                random_checkpoint(checkpoint, "token_choice", {
                    "top_k": top_k, "weights": "RENORMALISED"}, seed=top_k)
                export = self.folder / f"hf-{top_k}"
                lory_model("export", checkpoint, "--to", export)
                config = json.loads((export / "config.json").read_text())
                self.assertEqual(config["architectures"],
                                 ["MixtralForCausalLM"])
                self.close(f"Mixtral, top {top_k}", self.logits(checkpoint),
                           their_logits(export, self.tokens))


if __name__ == "__main__":
    exchange.run_tests(__doc__, threads=2)
