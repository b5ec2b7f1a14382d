"""Checkpoints of random numbers, of any variant of the feed-forward."""

import hashlib
import json

import torch
from safetensors.torch import load_file, save_file

EXPERTS = 4
WIDTH, INNER, VOCABULARY, LAYERS, LENGTH = 48, 64, 257, 2, 64
HEADS, KEY_HEADS = 4, 2
MODEL = {"vocabulary_size": VOCABULARY, "layer_count": LAYERS, "width": WIDTH,
         "head_count": HEADS, "key_value_head_count": KEY_HEADS,
         "feed_forward_width": INNER, "sequence_length": LENGTH,
         "rotary_base": 10000, "norm_epsilon": 1e-5}


def feed_forward_shapes(kind, options):
    """Names, after "mlp.", and sizes of one layer's tensors: docs/formats.md."""
    matrices = {"gate_proj.weight": [INNER, WIDTH],
                "up_proj.weight": [INNER, WIDTH],
                "down_proj.weight": [WIDTH, INNER]}
    if kind == "dense":
        return matrices
    stacks = EXPERTS + (1 if kind == "weight_ensembling" else 0)
    shapes = {f"experts.{name}": [stacks, *sizes]
              for name, sizes in matrices.items()}
    if kind == "soft_moe":
        shapes["router.slots"] = [EXPERTS, options["slots_per_expert"], WIDTH]
        shapes["router.scale"] = [1]
    elif options.get("gate") != "CONSTANT":
        shapes["router.weight"] = [EXPERTS, WIDTH]
    if options.get("first_segment") == "LEARNED":
        shapes["first_segment"] = [EXPERTS]
    if kind == "smear":
        for norm in ("norm", "row_norm"):
            shapes[f"router.{norm}.weight"] = [WIDTH]
            shapes[f"router.{norm}.bias"] = [WIDTH]
    if kind == "weight_ensembling":
        shapes["router.bias"] = [EXPERTS]
        if options.get("gate", "TWO_LAYERS") == "TWO_LAYERS":
            shapes["router.hidden.weight"] = [WIDTH, WIDTH]
            shapes["router.hidden.bias"] = [WIDTH]
    return shapes


def model_shapes(kind, options):
    shapes = {"model.embed_tokens.weight": [VOCABULARY, WIDTH],
              "model.norm.weight": [WIDTH],
              "lm_head.weight": [VOCABULARY, WIDTH]}
    keys = WIDTH // HEADS * KEY_HEADS
    for i in range(LAYERS):
        layer = {"input_layernorm.weight": [WIDTH],
                 "post_attention_layernorm.weight": [WIDTH],
                 "self_attn.q_proj.weight": [WIDTH, WIDTH],
                 "self_attn.k_proj.weight": [keys, WIDTH],
                 "self_attn.v_proj.weight": [keys, WIDTH],
                 "self_attn.o_proj.weight": [WIDTH, WIDTH]}
        for name, sizes in feed_forward_shapes(kind, options).items():
            layer[f"mlp.{name}"] = sizes
        for name, sizes in layer.items():
            shapes[f"model.layers.{i}.{name}"] = sizes
    return shapes


def random_tensor(name, sizes, generator):
    numbers = torch.randn(sizes, generator=generator)
    if "layernorm" in name or name == "model.norm.weight":
        return 1 + 0.3 * numbers
    return numbers * 0.2


def save_checkpoint(folder, tensors, spec):
    """The state before the first step, its moments zero."""
    folder.mkdir(parents=True)
    part = folder / "part-0-of-1.safetensors"
    state = {f"param/{name}": value for name, value in tensors.items()}
    for moment in ("adam_m", "adam_v"):
        for name, value in tensors.items():
            state[f"{moment}/{name}"] = torch.zeros_like(value)
    state["adam_step"] = torch.zeros([1], dtype=torch.int64)
    save_file(state, part, {
        "job": "jobs/random", "step": "0", "generation": "1",
        "part_index": "0", "part_count": "1", "sample_digest": "0" * 64})
    manifest = {
        "version": 1, "job": "jobs/random", "step": 0, "generation": 1,
        "cursor": 0, "sample_digest": "0" * 64,
        "parts": [{"file": part.name, "size_bytes": part.stat().st_size,
                   "sha256": hashlib.sha256(part.read_bytes()).hexdigest()}],
        "previous_manifest_sha256": "", "spec": {"model": spec}}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def random_checkpoint(folder, kind, options, seed=1):
    """Writes one into `folder`, which must not exist. `options`: of the
    feed-forward `kind`, as the proto has them."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {name: random_tensor(name, sizes, generator)
               for name, sizes in model_shapes(kind, options).items()}
    options = dict(options)
    if kind != "dense":
        options["expert_count"] = EXPERTS
        if kind != "weight_ensembling":
            options["dense_fraction"] = -1
    save_checkpoint(folder, tensors, {**MODEL, "feed_forward": {kind: options}})


def parameters_of(checkpoint):
    tensors = {}
    for path in checkpoint.glob("*.safetensors"):
        for name, value in load_file(path).items():
            if name.startswith("param/"):
                tensors[name.removeprefix("param/")] = value
    return tensors
