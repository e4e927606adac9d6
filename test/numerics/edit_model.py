#!/usr/bin/env python3
"""Writes an edited copy of models/deepseek-v3/model.mlir: the edits that a user would make by hand.

usage: edit_model.py MODEL.mlir EDIT OUT.mlir      EDIT: a key of EDITS
"""
import pathlib
import re
import sys


def replace(text, pattern, replacement):
    changed, count = re.subn(pattern, replacement, text, count=1, flags=re.S)
    if count != 1:
        sys.exit(f"edit_model: the model holds nothing like {pattern!r}")
    return changed


def qk_norm(text):
    """An rms_norm of q and k per head, in front of attention."""
    for value, name in (("query", "q_norm"), ("key", "k_norm")):
        text = replace(text, rf"%{value}\s+= (nn\.concat .*?\n.*?\n)",
                       rf'%{value}_raw = \1'
                       rf'    %{name} = nn.param "{name}.weight" init(ones) : <nope + rope>\n'
                       rf'    %{value} = nn.rms_norm %{value}_raw, %{name} eps(eps)'
                       rf' : <tokens x heads*(nope + rope)>, <nope + rope>\n')
    return text


def parallel(text):
    """Feed-forward reads the layer's input, beside attention."""
    return replace(text, r'%d = nn\.call @norm<hidden, eps>\(%c\)', '%d = nn.call @norm<hidden, eps>(%x)')


def third_range(text):
    """The last layer is dense again."""
    loop = re.search(r"    %h2 = nn\.repeat i = dense_layers to layers .*?\n    }\n", text, re.S)
    if not loop:
        sys.exit("edit_model: the model holds no loop over the MoE layers")
    moe = loop.group(0).replace("%h2 =", "%h_moe =").replace("to layers", "to layers - 1")
    dense = (loop.group(0).replace("i = dense_layers", "i = layers - 1").replace("%h1", "%h_moe")
             .replace("@layer(@moe)", "@layer(@mlp<ffn>)"))
    return text.replace(loop.group(0), moe + dense)


def activation(text):
    """silu(gate)^2 * up in the dense and shared feed-forward, from existing operations."""
    return replace(text, r"%h    = nn\.swiglu %gate, %up : <tokens x inner>",
                   "%s = nn.silu %gate : <tokens x inner>\n    %s2 = nn.mul %s, %s : <tokens x inner>\n"
                   "    %h = nn.mul %s2, %up : <tokens x inner>")


def sandwich(text):
    """Norms behind attention and behind feed-forward too, before they are added."""
    for value, name in (("b", "post_self_attn_layernorm"), ("e", "post_mlp_layernorm")):
        text = replace(text, rf"    %{value}2 = nn\.dropout %{value} ",
                       f'    %{value}_norm = nn.call @norm<hidden, eps>(%{value}) prefix("{name}")'
                       f' : (<tokens x hidden>) -> (<tokens x hidden>)\n    %{value}2 = nn.dropout %{value}_norm ')
    return text


def gated(text):
    """Attention's output times the sigmoid of a projection of its input."""
    text = replace(text, r"    %y = nn\.call @project<heads\*v_dim, hidden, attention_bias>\(%mixed\)",
                   '    %g = nn.call @project<hidden, heads*v_dim, false>(%x) prefix("g_proj")'
                   ' : (<tokens x hidden>) -> (<tokens x heads*v_dim>)\n'
                   "    %open = nn.sigmoid %g : <tokens x heads*v_dim>\n"
                   "    %let = nn.mul %mixed, %open : <tokens x heads*v_dim>\n"
                   "    %y = nn.call @project<heads*v_dim, hidden, attention_bias>(%let)")
    return text


def alternating(text):
    """Dense and MoE layers take turns: one loop, whose body chooses."""
    call = ("        %u = nn.call @layer(@{})(%x, %tokens, %starts) prefix(\"model.layers.{{i}}\")\n"
            "           : (<tokens x hidden>, <tokens : i32>, <tokens : i32>) -> (<tokens x hidden>)\n"
            "        nn.yield %u : <tokens x hidden>\n")
    return replace(text, r"    %h1 = nn\.repeat .*?\n    }\n    %h2 = nn\.repeat .*?\n    }\n",
                   "    %h2 = nn.repeat i = 0 to layers carry(%x = %h0 : <tokens x hidden>) {\n"
                   "      %y = nn.if 2*floor(i/2) == i -> <tokens x hidden> {\n" + call.format("mlp<ffn>") +
                   "      } else {\n" + call.format("moe") + "      }\n"
                   "      nn.yield %y : <tokens x hidden>\n    }\n")


def zloss(text):
    """A second loss on the logits: the mean square of their log-sum-exp (PaLM, arXiv 2204.02311 section 5)."""
    return replace(text, r'    nn\.loss "main" weight\(1\) %loss : <1>\n',
                   r'\g<0>    %square = nn.mul %lse, %lse : <tokens>\n'
                   '    %z = nn.mean %square valid(%targets : <tokens : i32>) : <tokens>\n'
                   '    nn.loss "z" weight(0.05) %z : <1>\n')


EDITS = {"none": lambda text: text, "qk-norm": qk_norm, "parallel": parallel, "third-range": third_range,
         "activation": activation, "sandwich": sandwich, "gated": gated, "alternating": alternating,
         "zloss": zloss}

if __name__ == "__main__":
    source, edit, target = sys.argv[1:]
    pathlib.Path(target).write_text(EDITS[edit](pathlib.Path(source).read_text()))
