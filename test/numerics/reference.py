"""DeepSeek-V3 in NumPy and double precision, written from the report (arXiv 2412.19437 section 2), independent of
the compiler: forward pass and losses only; gradients are checked against central differences of these losses.

`Variant` names the changes that the edited copies of model.mlir make.
"""
import dataclasses

import numpy as np


@dataclasses.dataclass
class Variant:
    qk_norm: bool = False      # rms_norm of q and k per head, before attention
    parallel: bool = False     # attention and feed-forward both read the block's input
    wide_last: int = 0         # the last layers (that many) are dense again: a third range
    activation: str = "silu"   # of the dense and shared feed-forward
    sandwich: bool = False     # an rms_norm behind attention and behind feed-forward too
    gated: bool = False        # attention's output, times the sigmoid of a projection of its input
    alternating: bool = False  # dense and MoE layers take turns
    zloss: float = 0.0         # weight of the mean square of the logits' log-sum-exp


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


ACTIVATIONS = {
    "silu": lambda x: x * sigmoid(x),
    "relu_squared_like": lambda x: (x * sigmoid(x)) ** 2,
    "tanh": np.tanh,
}


def rms_norm(x, weight, eps):
    groups = x.reshape(x.shape[0], -1, weight.size)
    y = groups / np.sqrt((groups ** 2).mean(-1, keepdims=True) + eps) * weight
    return y.reshape(x.shape)


def rope(x, dim, seq, theta):
    """Interleaved pairs; x is [rows, groups*dim]."""
    frequency = theta ** (-np.arange(0, dim, 2) / dim)
    angle = (np.arange(x.shape[0]) % seq)[:, None] * frequency
    pairs = x.reshape(x.shape[0], -1, dim // 2, 2)
    cos, sin = np.cos(angle)[:, None, :], np.sin(angle)[:, None, :]
    turned = np.stack([pairs[..., 0] * cos - pairs[..., 1] * sin, pairs[..., 0] * sin + pairs[..., 1] * cos], -1)
    return turned.reshape(x.shape)


def attention(q, k, v, heads, seq, scale, starts):
    """Causal; a row sees the rows of its sequence from `starts` on."""
    rows = q.shape[0]
    q, k, v = (a.reshape(rows // seq, seq, heads, -1).transpose(0, 2, 1, 3) for a in (q, k, v))
    scores = q @ k.transpose(0, 1, 3, 2) * scale
    seen = np.tril(np.ones((seq, seq), bool)) & (np.arange(seq) >= starts.reshape(-1, seq, 1))
    scores = np.where(seen[:, None], scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return (weights @ v).transpose(0, 2, 1, 3).reshape(rows, -1)


def cross_entropy(logits, targets):
    valid = targets >= 0
    shifted = logits - logits.max(-1, keepdims=True)
    log_probability = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return -log_probability[valid, targets[valid]].mean()


def accuracy(logits, targets):
    """Hits and valid rows; argmax takes the lowest index of equal ones."""
    valid = targets >= 0
    return (logits.argmax(-1) == targets)[valid].sum(), valid.sum()


def z_loss(logits, targets):
    largest = logits.max(-1)
    lse = largest + np.log(np.exp(logits - largest[:, None]).sum(-1))
    return (lse[targets >= 0] ** 2).mean()


def shift(ids, k, seq, starts):
    """Ids within each document of each sequence moved left by k; the last k of each are -1."""
    table, documents = ids.reshape(-1, seq), starts.reshape(-1, seq)
    inside = documents[:, k:] == documents[:, :seq - k]
    return np.concatenate([np.where(inside, table[:, k:], -1), np.full((table.shape[0], k), -1)], 1).ravel()


class Model:
    """Parameters by Hugging Face name (float64 arrays); `config` has the keys of a config.json."""

    def __init__(self, config, parameters, seq, variant=Variant(), alpha=0.0, mtp_weight=0.3, starts=None):
        """`starts`, per row: where in its sequence its document begins; None where documents see each other."""
        self.c, self.p, self.seq, self.variant, self.starts = config, parameters, seq, variant, starts
        self.alpha, self.mtp_weight = alpha, mtp_weight

    def linear(self, x, name):
        return x @ self.p[name + ".weight"].T

    def norm(self, x, name):
        return rms_norm(x, self.p[name + ".weight"], self.c["rms_norm_eps"])

    def mla(self, x, prefix):
        c, rows = self.c, x.shape[0]
        heads, nope, rope_dim, v_dim = (c[k] for k in ("num_attention_heads", "qk_nope_head_dim", "qk_rope_head_dim",
                                                       "v_head_dim"))
        if c.get("q_lora_rank"):
            q = self.linear(self.norm(self.linear(x, prefix + "q_a_proj"), prefix + "q_a_layernorm"),
                            prefix + "q_b_proj")
        else:
            q = self.linear(x, prefix + "q_proj")
        q = q.reshape(rows, heads, nope + rope_dim)
        latent = self.linear(x, prefix + "kv_a_proj_with_mqa")
        kv = self.linear(self.norm(latent[:, :c["kv_lora_rank"]], prefix + "kv_a_layernorm"), prefix + "kv_b_proj")
        kv = kv.reshape(rows, heads, nope + v_dim)
        turn = lambda a: rope(a.reshape(rows, -1), rope_dim, self.seq, c["rope_theta"]).reshape(rows, -1, rope_dim)
        q = np.concatenate([q[..., :nope], turn(q[..., nope:])], -1)
        k_rope = np.broadcast_to(turn(latent[:, c["kv_lora_rank"]:]), (rows, heads, rope_dim))
        k = np.concatenate([kv[..., :nope], k_rope], -1)
        if self.variant.qk_norm:
            q, k = self.norm(q.reshape(rows, -1), prefix + "q_norm"), self.norm(k.reshape(rows, -1), prefix + "k_norm")
        scale = (nope + rope_dim) ** -0.5
        out = attention(q.reshape(rows, -1), k.reshape(rows, -1), kv[..., nope:].reshape(rows, -1), heads, self.seq,
                        scale, self.starts)
        if self.variant.gated:
            out = out * sigmoid(self.linear(x, prefix + "g_proj"))
        return self.linear(out, prefix + "o_proj")

    def feed_forward(self, x, prefix, activation=None):
        act = ACTIVATIONS[activation or self.variant.activation]
        return self.linear(act(self.linear(x, prefix + "gate_proj")) * self.linear(x, prefix + "up_proj"),
                           prefix + "down_proj")

    def moe(self, x, prefix, valid):
        c = self.c
        experts, top_k, groups, limit = (c[k] for k in ("n_routed_experts", "num_experts_per_tok", "n_group",
                                                        "topk_group"))
        scores = sigmoid(self.linear(x, prefix + "gate"))
        choice = scores + self.p[prefix + "gate.e_score_correction_bias"]
        in_groups = choice.reshape(-1, groups, experts // groups)
        group_score = np.sort(in_groups, -1)[..., -2:].sum(-1)
        kept = np.argsort(-group_score, -1, kind="stable")[:, :limit]
        mask = np.zeros_like(group_score, bool)
        np.put_along_axis(mask, kept, True, -1)
        masked = np.where(np.repeat(mask, experts // groups, -1), choice, -np.inf)
        chosen = np.argsort(-masked, -1, kind="stable")[:, :top_k]
        gates = np.take_along_axis(scores, chosen, -1)
        gates = gates / (gates.sum(-1, keepdims=True) + 1e-20) * c["routed_scaling_factor"]
        out = self.feed_forward(x, prefix + "shared_experts.")
        for expert in range(experts):
            token, slot = np.nonzero(chosen == expert)
            out[token] += gates[token, slot, None] * self.feed_forward(x[token], f"{prefix}experts.{expert}.", "silu")
        balance = self.balance_loss(scores, valid)
        self.balance += balance
        self.metrics[prefix + "balance_loss"] = [balance]
        self.metrics[prefix + "load"] = np.bincount(chosen[valid].ravel(), minlength=experts)
        return out

    def balance_loss(self, scores, valid):
        experts, top_k, total = self.c["n_routed_experts"], self.c["num_experts_per_tok"], 0.0
        for first in range(0, scores.shape[0], self.seq):
            rows = np.arange(first, first + self.seq)[valid[first:first + self.seq]]
            s = scores[rows]
            top = np.argsort(-s, -1, kind="stable")[:, :top_k]
            f = np.bincount(top.ravel(), minlength=experts) * experts / (top_k * len(rows))
            total += (f * (s / s.sum(-1, keepdims=True)).mean(0)).sum()
        return total / (scores.shape[0] // self.seq)

    def layer(self, x, index, dense, ids):
        prefix = f"model.layers.{index}."
        a = self.norm(x, prefix + "input_layernorm")
        mixed = self.mla(a, prefix + "self_attn.")
        if self.variant.sandwich:
            mixed = self.norm(mixed, prefix + "post_self_attn_layernorm")
        base = x if self.variant.parallel else x + mixed
        b = self.norm(base, prefix + "post_attention_layernorm")
        ffn = self.feed_forward(b, prefix + "mlp.") if dense else self.moe(b, prefix + "mlp.", ids >= 0)
        if self.variant.sandwich:
            ffn = self.norm(ffn, prefix + "post_mlp_layernorm")
        return x + mixed + ffn

    def is_dense(self, index):
        layers = self.c["num_hidden_layers"]
        if self.variant.alternating:
            return index % 2 == 0
        return index < self.c["first_k_dense_replace"] or index >= layers - self.variant.wide_last

    def losses(self, ids):
        """Loss by name, and the weighted total; `self.metrics` has the sums of every metric by its full name."""
        c, layers = self.c, self.c["num_hidden_layers"]
        self.balance, self.metrics = 0.0, {}
        if self.starts is None:
            self.starts = np.zeros_like(ids)
        ahead = lambda k: shift(ids, k, self.seq, self.starts)
        embed = lambda i: np.where((i >= 0)[:, None], self.p["model.embed_tokens.weight"][i], 0.0)
        h = embed(ids)
        for index in range(layers):
            h = self.layer(h, index, self.is_dense(index), ids)
        logits = self.linear(self.norm(h, "model.norm"), "lm_head")
        self.metrics["accuracy"] = accuracy(logits, ahead(1))
        main, z = cross_entropy(logits, ahead(1)), z_loss(logits, ahead(1))
        mtp = 0.0
        for k in range(1, c.get("num_nextn_predict_layers", 0) + 1):
            prefix = f"model.layers.{layers + k - 1}."
            shifted = ahead(k)
            joined = np.concatenate([self.norm(embed(shifted), prefix + "enorm"), self.norm(h, prefix + "hnorm")], -1)
            h = self.layer(self.linear(joined, prefix + "eh_proj"), layers + k - 1, False, shifted)
            logits = self.linear(self.norm(h, prefix + "shared_head.norm"), "lm_head")
            self.metrics[prefix + "mtp_accuracy"] = accuracy(logits, ahead(k + 1))
            mtp += cross_entropy(logits, ahead(k + 1)) / c["num_nextn_predict_layers"]
        total = main + self.mtp_weight * mtp + self.alpha * self.balance + self.variant.zloss * z
        return {"main": main, "mtp": mtp, "balance": self.balance, "z": z, "total": total}
