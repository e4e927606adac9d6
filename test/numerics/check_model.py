#!/usr/bin/env python3
"""Compiles an edited copy of the model and checks it against the double-precision reference: the parameter list, every
loss and metric, and every gradient by central differences of the reference's loss.

usage: check_model.py --contraflow PROGRAM --model MODEL.mlir --edit EDIT --work FOLDER [--mtp-depth N] [--documents]
"""
import argparse
import json
import pathlib
import subprocess
import sys

import numpy as np

from edit_model import EDITS
from reference import Model, Variant
from safetensors_io import load, save

CONFIG = {
    "model_type": "deepseek_v3", "vocab_size": 61, "hidden_size": 24, "intermediate_size": 33,
    "moe_intermediate_size": 17, "num_hidden_layers": 3, "num_attention_heads": 3, "n_shared_experts": 1,
    "n_routed_experts": 6, "routed_scaling_factor": 1.7, "kv_lora_rank": 14, "q_lora_rank": 18, "qk_rope_head_dim": 6,
    "v_head_dim": 11, "qk_nope_head_dim": 7, "n_group": 3, "topk_group": 2, "num_experts_per_tok": 3,
    "num_nextn_predict_layers": 1, "first_k_dense_replace": 1, "norm_topk_prob": True, "rope_theta": 10000.0,
    "rms_norm_eps": 1e-6, "tie_word_embeddings": False, "scoring_func": "sigmoid", "topk_method": "noaux_tc",
}
SEQ, BATCH, ALPHA, MTP_WEIGHT = 13, 3, 0.01, 0.3
# Where documents of each sequence begin: one of a single id, one as long as the sequence.
CUTS = [(0, 1, 6), (0, 9, 11), (0,)]
VARIANTS = {"none": Variant(), "qk-norm": Variant(qk_norm=True), "parallel": Variant(parallel=True),
            "third-range": Variant(wide_last=1), "activation": Variant(activation="relu_squared_like"),
            "sandwich": Variant(sandwich=True), "gated": Variant(gated=True), "alternating": Variant(alternating=True),
            "zloss": Variant(zloss=0.05)}
# FP32 against FP64 on a model of this size; the goldens differ by 1e-7 and 1e-6 in their own frameworks.
LOSS_BOUND, GRADIENT_BOUND = 3e-6, 2e-5


def shapes(c, variant):
    """Every parameter that the model must have."""
    hidden, heads = c["hidden_size"], c["num_attention_heads"]
    qk = c["qk_nope_head_dim"] + c["qk_rope_head_dim"]
    found = {"model.embed_tokens.weight": (c["vocab_size"], hidden), "lm_head.weight": (c["vocab_size"], hidden),
             "model.norm.weight": (hidden,)}

    def feed_forward(prefix, inner):
        found.update({prefix + "gate_proj.weight": (inner, hidden), prefix + "up_proj.weight": (inner, hidden),
                      prefix + "down_proj.weight": (hidden, inner)})

    def layer(index, dense):
        p = f"model.layers.{index}."
        a = p + "self_attn."
        found.update({p + "input_layernorm.weight": (hidden,), p + "post_attention_layernorm.weight": (hidden,),
                      a + "q_a_proj.weight": (c["q_lora_rank"], hidden),
                      a + "q_a_layernorm.weight": (c["q_lora_rank"],),
                      a + "q_b_proj.weight": (heads * qk, c["q_lora_rank"]),
                      a + "kv_a_proj_with_mqa.weight": (c["kv_lora_rank"] + c["qk_rope_head_dim"], hidden),
                      a + "kv_a_layernorm.weight": (c["kv_lora_rank"],),
                      a + "kv_b_proj.weight": (heads * (c["qk_nope_head_dim"] + c["v_head_dim"]), c["kv_lora_rank"]),
                      a + "o_proj.weight": (hidden, heads * c["v_head_dim"])})
        if variant.qk_norm:
            found.update({a + "q_norm.weight": (qk,), a + "k_norm.weight": (qk,)})
        if variant.sandwich:
            found.update({p + "post_self_attn_layernorm.weight": (hidden,), p + "post_mlp_layernorm.weight": (hidden,)})
        if variant.gated:
            found[a + "g_proj.weight"] = (heads * c["v_head_dim"], hidden)
        m = p + "mlp."
        if dense:
            return feed_forward(m, c["intermediate_size"])
        found.update({m + "gate.weight": (c["n_routed_experts"], hidden),
                      m + "gate.e_score_correction_bias": (c["n_routed_experts"],)})
        feed_forward(m + "shared_experts.", c["n_shared_experts"] * c["moe_intermediate_size"])
        for expert in range(c["n_routed_experts"]):
            feed_forward(f"{m}experts.{expert}.", c["moe_intermediate_size"])

    for i in range(c["num_hidden_layers"]):
        layer(i, Model(c, {}, SEQ, variant).is_dense(i))
    for i in range(c["num_nextn_predict_layers"]):
        index = c["num_hidden_layers"] + i
        p = f"model.layers.{index}."
        layer(index, False)
        found.update({p + "enorm.weight": (hidden,), p + "hnorm.weight": (hidden,),
                      p + "eh_proj.weight": (hidden, 2 * hidden), p + "shared_head.norm.weight": (hidden,)})
    return found


def check_metrics(out, wanted):
    """Counts must be equal, means as near as losses."""
    found = {name.removeprefix("metric."): value for name, value in out.items() if name.startswith("metric.")}
    failures = [] if set(found) == set(wanted) else [f"metrics differ: found {sorted(found)}, wanted {sorted(wanted)}"]
    for name in sorted(set(found) & set(wanted)):
        values, bound = np.asarray(wanted[name], np.float64), LOSS_BOUND if name.endswith("balance_loss") else 0
        if found[name].shape != values.shape or not (abs(found[name] - values) <= bound * abs(values)).all():
            failures.append(f"metric {name}: found {found[name]}, reference {values}")
    return failures


def run(command):
    result = subprocess.run([str(c) for c in command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode:
        sys.exit(f"check_model: {' '.join(str(c) for c in command)} failed:\n{result.stdout}")
    return result.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contraflow", required=True)
    parser.add_argument("--model", required=True, type=pathlib.Path)
    parser.add_argument("--edit", required=True, choices=sorted(EDITS))
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--mtp-depth", type=int, default=CONFIG["num_nextn_predict_layers"])
    parser.add_argument("--documents", action="store_true", help="several documents a sequence, hidden from each other")
    options = parser.parse_args()
    work, variant = options.work, VARIANTS[options.edit]
    config = {**CONFIG, "num_nextn_predict_layers": options.mtp_depth}
    work.mkdir(parents=True, exist_ok=True)
    (work / "model.mlir").write_text(EDITS[options.edit](options.model.read_text()))
    (work / "run.json").write_text(json.dumps({
        "model": config, "architecture": "model.mlir", "batch": {"sequence": SEQ, "tokens": SEQ * BATCH},
        "loss": {"mtp_weight": MTP_WEIGHT, "balance_alpha": ALPHA}, "bias_update_rate": 0.0,
        "document_mask": options.documents}))
    run([options.contraflow, "compile", work / "run.json", "-o", work / "trainer"])

    random = np.random.default_rng(1)
    wanted = shapes(config, variant)
    parameters = {}
    for name, shape in wanted.items():
        if name.endswith("e_score_correction_bias"):
            values = random.normal(0, 0.1, shape)
        else:
            values = random.normal(0, 0.15, shape) if len(shape) > 1 else 1 + random.normal(0, 0.2, shape)
        parameters[name] = values.astype(np.float32)
    ids = random.integers(0, config["vocab_size"], (BATCH, SEQ)).astype(np.int32)
    save(work / "parameters.safetensors", parameters)
    batch, starts = {"input_ids": ids}, None
    if options.documents:
        begins = [[max(cut for cut in cuts if cut <= t) for t in range(SEQ)] for cuts in CUTS]
        batch["starts"] = np.array(begins, np.int32)
        starts = batch["starts"].ravel()
    save(work / "ids.safetensors", batch)
    run([work / "trainer", "probe", "--parameters", work / "parameters.safetensors", "--ids", work / "ids.safetensors",
         "--steps", "0", "--out", work / "out.safetensors"])
    out, _ = load(work / "out.safetensors")

    failures = []
    gradients = {name.removeprefix("grad."): value.astype(np.float64) for name, value in out.items()
                 if name.startswith("grad.")}
    trained = {name for name in wanted if not name.endswith("e_score_correction_bias")}
    if set(gradients) != trained:
        failures.append(f"parameters differ: missing {sorted(trained - set(gradients))}, "
                        f"unexpected {sorted(set(gradients) - trained)}")
    exact = {name: value.astype(np.float64) for name, value in parameters.items()}
    model_of = lambda p: Model(config, p, SEQ, variant, ALPHA, MTP_WEIGHT, starts)
    loss = lambda p: model_of(p).losses(ids.ravel())
    model = model_of(exact)
    reference = model.losses(ids.ravel())
    failures += check_metrics(out, model.metrics)
    for name in ("main", "mtp", "balance", "total") + (("z",) if variant.zloss else ()):
        found = float(out["loss." + name].ravel()[0])
        if not abs(found - reference[name]) <= LOSS_BOUND * abs(reference[name]):  # NaN fails
            failures.append(f"loss {name}: found {found}, reference {reference[name]}")
    worst = 0.0
    for name in sorted(trained & set(gradients)):
        direction = random.normal(0, 1, wanted[name])
        direction /= np.linalg.norm(direction)
        step = 1e-5
        shifted = [loss({**exact, name: exact[name] + sign * step * direction})["total"] for sign in (1, -1)]
        slope = (shifted[0] - shifted[1]) / (2 * step)
        norm = np.linalg.norm(gradients[name])
        error = abs((gradients[name] * direction).sum() - slope) / max(norm, 1e-3)
        worst = np.maximum(worst, error)
        if not error <= GRADIENT_BOUND:  # NaN fails
            failures.append(f"gradient of {name}: along a direction {(gradients[name] * direction).sum()}, "
                            f"by differences {slope}, norm {norm}")
    print("\n".join(failures))
    print(f"{options.edit}: {len(trained)} gradients, worst error {worst:.1e}, {len(failures)} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
