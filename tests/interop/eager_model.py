"""The models in eager Python torch, from their papers: a peer, not a port.

A model is a dict of tensors by Hugging Face's names and a dict of sizes; see
forward(). Written as one would in a notebook: batched, autograd does the rest.
"""

import torch
import torch.nn.functional as F


def rms_norm(x, gain, epsilon):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + epsilon) * gain


def rotated(x, base):
    """x: batch, heads, positions, numbers; halves are turned together."""
    half = x.shape[-1] // 2
    speed = base ** (-torch.arange(half, device=x.device) / half)
    angle = torch.arange(x.shape[-2], device=x.device)[:, None] * speed
    cosine, sine = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cosine - b * sine, b * cosine + a * sine], -1)


def attention(x, get, model):
    batch, length, width = x.shape
    heads, groups = model["head_count"], model["key_value_head_count"]

    def split(name, count):
        return F.linear(x, get(f"self_attn.{name}_proj.weight")).view(
            batch, length, count, width // heads).transpose(1, 2)

    query = rotated(split("q", heads), model["rotary_base"])
    key = rotated(split("k", groups), model["rotary_base"])
    out = F.scaled_dot_product_attention(
        query, key, split("v", groups), is_causal=True,
        enable_gqa=groups != heads)
    return F.linear(out.transpose(1, 2).reshape(batch, length, width),
                    get("self_attn.o_proj.weight"))


def dense(x, get, model, loads):
    return F.linear(F.silu(F.linear(x, get("mlp.gate_proj.weight")))
                    * F.linear(x, get("mlp.up_proj.weight")),
                    get("mlp.down_proj.weight"))


def lory(x, get, model, loads):
    """Zhong et al. 2024, algorithm 1: a mixture a segment, by the one before;
    the first by itself, its weights cut from the gradient."""
    batch, length, width = x.shape
    segments = x.view(batch, -1, model["segment_length"], width)
    own = torch.softmax(
        F.linear(segments.mean(2), get("mlp.router.weight")), -1)
    routing = torch.cat([own[:, :1].detach(), own[:, :-1]], 1)

    def merged(name):
        experts = get(f"mlp.experts.{name}_proj.weight")
        return (routing.flatten(0, 1) @ experts.flatten(1)).view(
            -1, *experts.shape[1:]).transpose(1, 2)

    rows = segments.flatten(0, 1)
    inner = (F.silu(torch.bmm(rows, merged("gate")))
             * torch.bmm(rows, merged("up")))
    return torch.bmm(inner, merged("down")).view(x.shape)


def token_choice(x, get, model, loads):
    """Mixtral: the top_k best experts of a token, their softmax its weights."""
    rows = x.flatten(0, 1)
    logits = F.linear(rows, get("mlp.router.weight"))
    best, chosen = logits.topk(model["top_k"], -1)
    weights = torch.softmax(best, -1)
    out = torch.zeros_like(rows)
    for expert in range(logits.shape[1]):
        token, place = (chosen == expert).nonzero(as_tuple=True)
        taken = rows[token]
        gate, up, down = (get(f"mlp.experts.{name}_proj.weight")[expert]
                          for name in ("gate", "up", "down"))
        answer = F.linear(F.silu(F.linear(taken, gate)) * F.linear(taken, up),
                          down)
        out = out.index_add(0, token, answer * weights[token, place, None])
    loads.append(logits)
    return out.view(x.shape)


FEED_FORWARDS = {"dense": dense, "lory": lory, "token_choice": token_choice}


def forward(tensors, tokens, model):
    """Logits [batch, length, vocabulary] and each layer's router logits.

    `model`: layer_count, head_count, key_value_head_count, rotary_base,
    norm_epsilon, feed_forward (a key of FEED_FORWARDS), and what that needs:
    segment_length, top_k.
    """
    hidden = F.embedding(tokens, tensors["model.embed_tokens.weight"])
    epsilon = model["norm_epsilon"]
    loads = []
    for i in range(model["layer_count"]):
        def get(name, prefix=f"model.layers.{i}."):
            return tensors[prefix + name]

        hidden = hidden + attention(
            rms_norm(hidden, get("input_layernorm.weight"), epsilon), get, model)
        hidden = hidden + FEED_FORWARDS[model["feed_forward"]](
            rms_norm(hidden, get("post_attention_layernorm.weight"), epsilon),
            get, model, loads)
    hidden = rms_norm(hidden, tensors["model.norm.weight"], epsilon)
    return F.linear(hidden, tensors["lm_head.weight"]), loads


def chosen_shares(logits, top_k):
    """How many times a token chose each expert, on average."""
    one_hot = F.one_hot(logits.topk(top_k, -1).indices, logits.shape[1])
    return one_hot.sum(1).to(logits.dtype).mean(0)


def switch_loss(loads, top_k):
    """arXiv 2101.03961, equations 4 to 6, a layer at a time, summed."""
    return sum(logits.shape[1] * torch.dot(chosen_shares(logits, top_k),
                                           torch.softmax(logits, -1).mean(0))
               for logits in loads)


def megatron_loss(loads, top_k):
    """Megatron-LM's switch_load_balancing_loss_func: sums over tokens, divided
    by their number twice and by top_k."""
    total = 0
    for logits in loads:
        tokens, experts = logits.shape
        taken = chosen_shares(logits, top_k) * tokens
        weight = torch.softmax(logits, -1).sum(0)
        total = total + (taken * weight).sum() * experts / (
            tokens * tokens * top_k)
    return total


def z_loss(loads):
    """ST-MoE, arXiv 2202.08906, equation 5, summed over layers."""
    return sum(logits.exp().sum(-1).log().square().mean() for logits in loads)
