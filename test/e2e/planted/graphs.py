"""Errors in a model: edits of models/deepseek-v3/model.mlir, reported at the model's line."""
from cases import case, warning

GRAPH = "graph"
ADD = "%c = nn.add %x, %b2 : <tokens x hidden>"


def graph(model, message, **more):
    case(GRAPH, more.pop("run", []), message, model=model, **more)


def block_end(name):
    """The last two lines of the block before @`name`."""
    return f"nn.yield %y : <tokens x hidden>\n  }}\n\n  nn.block @{name}"


graph([(ADD, "%c = ^nn.ad %x, %b2 : <tokens x hidden>")], "custom op 'nn.ad' is unknown", prefix=True)
graph([(ADD, "%c = nn.add ^%z, %b2 : <tokens x hidden>")], "use of undeclared SSA value name '%z'")
graph([(ADD, "%c = nn.add %x, %b2^ <tokens x hidden>")], "expected ':'")
graph([(ADD, "%c = nn.add ^%x, %b2 : <tokens x hiddn>")], "use of value '%x' expects different type than prior uses",
      prefix=True)
graph([(ADD, "%c = nn.add %x, %b2 : <tokens x 3.^>")], "", place="model.mlir:258", prefix=True)
graph([("%y = nn.add %c, %e2 : <tokens x hidden>\n    " + block_end("embed"),
        "%y = nn.add %c, %e2 : <tokens x hidden>\n  }\n\n  nn.block @embed"), ("nn.block @layer", "^nn.block @layer")],
      "custom op 'nn.block' (C1) body must end with nn.yield")
graph([("nn.block @moe", "^nn.blok @moe")], "custom op 'nn.blok' is unknown", prefix=True)
graph([('nn.config hidden = "hidden_size"', '^nn.config hidden = ""')],
      "'nn.config' op (C1) needs key paths that are not empty")
graph([("nn.let v3 =", "nn.let v4 ="), ("nn.config experts ", "^nn.config experts ")],
      "'nn.config' op (C3) uses 'v3', which is not declared; did you mean 'v4'?")
graph([("nn.let group_score", "^nn.let groups")], "'nn.let' op (C2) 'groups' is declared already")
graph([('nn.config top_k        = "num_experts_per_tok"   : dim max(experts)',
        '^nn.config top_k        = "num_experts_per_tok"   : dim max(expert)')],
      "'nn.config' op (C3) uses 'expert', which is not declared; did you mean 'experts'?")
graph([('nn.config kv_heads       = "num_key_value_heads" : dim min(heads)',
        '^nn.config kv_heads       = "num_key_value_heads" : dim min(tied)')],
        "range of 'kv_heads': expected a number, found false")
graph([("default 1.0 unless yarn", "default 1.0 unless theta"), ("nn.config yarn_factor", "^nn.config yarn_factor")],
      "'unless' of 'yarn_factor': expected true or false, found 10000.0")
graph([("nn.let ffn_bias = mlp_bias and not v3", "nn.let ffn_bias = 1/(heads - 2)"), ("num_at", "num_at")],
      "model.num_attention_heads = 2: ", place="run.json:8:5", prefix=True)
graph([("%q      = nn.call @queries(%x)", "%q      = ^nn.call @query(%x)")], "'nn.call' op (C1) '@query' is no block",
      prefix=True)
graph([('%n = nn.call @norm<hidden, eps>(%h) prefix("model.norm")',
        '%n = ^nn.call @norm<hidden>(%h) prefix("model.norm")')],
      "'nn.call' op (C2) '@norm' takes 2 dimensions and 0 blocks, found 1 and 0")
graph([("nn.block @embed(%ids: <tokens : i32>, %table: <vocab x hidden> param)",
        "nn.block @embed(%ids: <tokens : i32>, %table: <vocab x hidden>)"), ("%h0 = nn.call", "%h0 = ^nn.call")],
      "'nn.call' op operand 1 is a parameter, argument 'table' of '@embed' is not marked 'param'")
# What is wrong as it is written, whatever the configuration says.
graph([("nn.let latent_eps = 1.0e-6", "nn.let latent_eps = ^min(hidden)")],
      "custom op 'nn.let' 'min' takes 2 arguments, found 1")
graph([("nn.let latent_eps = 1.0e-6", "nn.let latent_eps = ^true*hidden")],
      "custom op 'nn.let' '*' needs numbers, found true")
graph([("nn.let latent_eps = 1.0e-6", "nn.let latent_eps = ^if(hidden, not 1, 2)")],
      "custom op 'nn.let' expected a condition, found 1")
graph([("nn.let latent_eps = 1.0e-6", "nn.let latent_eps = ^sin(hidden)")],
      "custom op 'nn.let' unknown function 'sin'")
graph([('"interleaved", "half")', '"interleave", "half")'), ("%y = nn.rope", "%y = ^nn.rope")],
      "'nn.rope' op (C5) style must be \"interleaved\" or \"half\", found \"interleave\"")
graph([("%h1 = nn.repeat i = 0 to", '%h1 = ^nn.repeat i = "x" to')],
      "'nn.repeat' op needs an integer, '\"x\"' is \"x\"")
graph([('nn.config layers = "num_hidden_layers"   : int min(1)',
        '^nn.config layers = "num_hidden_layers"   : int min(9) max(5)')], "range of 'layers': nothing is of 9 to 5")
graph([('nn.model @deepseek for ["deepseek_v3", "deepseek_v2"]', "^nn.model @deepseek for []")],
      "'@deepseek' serves no model_type, expected one or more")
graph([('nn.config moe_every      = "moe_layer_freq" : one_of[1]',
        '^nn.config moe_every = "moe_layer_freq" : one_of[]')],
      "'nn.config' op (C2) 'one_of' lists values, other kinds do not")
# All of one text, in its order.
graph([("nn.let v3 =", "nn.let v4 ="), ("nn.config experts ", "^nn.config experts "),
       ('nn.config hidden = "hidden_size"', 'nn.config hidden = ""'), ("scale(softmax_scale)", "scale(softmax_skale)"),
       ('@norm<hidden, eps>(%c)', '@norm<hidden>(%c)'), ('@norm<hidden, eps>(%h)', '@norm<eps>(%h)')],
      "'nn.config' op (C3) uses 'v3', which is not declared; did you mean 'v4'?",
      also=["model.mlir:12:3: error: 'nn.config' op (C1) needs key paths that are not empty",
            "model.mlir:163:18: error: 'nn.attention' op (C3) uses 'softmax_skale', which is not declared; did you "
            "mean 'softmax_scale'?",
            "model.mlir:259:10: error: 'nn.call' op (C2) '@norm' takes 2 dimensions and 0 blocks, found 1 and 0",
            "model.mlir:273:10: error: 'nn.call' op (C2) '@norm' takes 2 dimensions and 0 blocks, found 1 and 0"])
# All constraints of one operation that do not need each other, and all its operands.
graph([("scale(softmax_scale) dropout(attention_dropout)", "scale(softmax_scale) dropout(2)"),
       ("kv_heads(heads)", "kv_heads(3)"), ("%o, %lse = nn.attention", "%o, %lse = ^nn.attention")],
      "'nn.attention' op (C7) dropout must be less than 1, found 2",
      also=["model.mlir:163:18: error: 'nn.attention' op (C3) columns of query times kv_heads must equal columns of "
            "key times heads, found 3*heads*nope + 3*heads*rope and heads*heads*nope + heads*heads*rope"])
graph([("nn.call @embed(%tokens, %table) : (<tokens : i32>, <vocab x hidden>)",
        "^nn.call @embed(%table, %tokens) : (<vocab x hidden>, <tokens : i32>)")],
      "'nn.call' op (C3) operand 0 is '!nn.tensor<vocab x hidden>', '@embed' has '!nn.tensor<tokens : i32>'",
      also=["model.mlir:316:11: error: 'nn.call' op (C3) operand 1 is '!nn.tensor<tokens : i32>', '@embed' has "
            "'!nn.tensor<vocab x hidden>'"])
graph([("nn.let latent_eps = 1.0e-6", "nn.let latent_eps = ^1.0e999")], "custom op 'nn.let' number is too large")
graph([("nn.let latent_eps = 1.0e-6", "nn.let latent_eps = 1^e999")],
      "custom op 'nn.let' a number with an exponent needs a point, such as 1.0e6")
# The frontend would leave out what is not its own.
graph([(ADD, "%n = ^arith.constant 1 : i32\n    " + ADD),
       ("nn.graph(", "func.func private @beside()\n  nn.graph(")],
      "expected an operation of nn, found 'arith.constant'",
      also=["model.mlir:308:3: error: expected an operation of nn, found 'func.func'"])
graph([(ADD, "nn.if true { " * 198 + "^{\n    " + ADD)], "is nested too deeply, expected at most 200 levels")
graph([("nn.model @deepseek for", "nn.model attributes {a = " + "tuple<() -> " * 198 + "tuple<^() -> @deepseek for")],
      "is nested too deeply, expected at most 200 levels")
graph([('nn.output "logits" %logits : <tokens x vocab>', '^nn.output "logits" %h2 : <tokens x hidden>')],
      "'nn.output' op output \"logits\" is '!nn.tensor<256 x 128>', expected f32 rows of vocab_size = 264 numbers")
graph([('nn.output "mtp_logits_{k}"', '^nn.output "logits"')],
      "'nn.output' op names an output 'logits' that is there already; give it another name")
graph([(ADD, "// " + "{ ( [ <" * 100 + "\n    " + ADD),
       ('%table = nn.param "model.embed_tokens.weight"', '%table = ^nn.param "ema.{{{' + "{<([" * 100 + '"')],
      "'nn.param' op (C3) ", prefix=True)
graph([('prefix("up_proj")', 'prefix("gate_proj")'),
       ('%w = nn.param "weight" : <out x in>', '%w = ^nn.param "weight" : <out x in>')],
      "'nn.param' op names 'mlp.gate_proj.weight' a second time in '@layer_mlp_256'; calls of a block in one block "
      "need "
      "prefixes that differ", also=["model.mlir:184:13: note: the first comes from this call",
                                    "model.mlir:185:13: note: the second comes from this call"])
for name, fault in (("__metadata__", "the header of the file has this name"),
                    ("optimizer.exp_avg.lm_head.weight", "the state of the optimizer has such names"),
                    ("ema.weight", "averages of parameters have such names"),
                    ("", "it is empty")):
    graph([('%table = nn.param "model.embed_tokens.weight"', f'%table = ^nn.param "{name}"')],
          f"'nn.param' op names a parameter '{name}', which no checkpoint can hold: {fault}")
graph([('prefix("model.layers.{i}")', 'prefix("model.layers.1")'),
       ("%y = nn.call @layer(@moe)(%x, %tokens", "%y = ^nn.call @layer(@moe)(%x, %tokens")],
      "'nn.call' op names a parameter 'model.layers.1.input_layernorm.weight' that is there already; to share a "
      "parameter, "
      "declare it in the graph",
      also=["model.mlir:318:12: note: the first parameter of this name comes from this call"])
graph([('nn.output "logits" %logits', 'nn.output "other" %logits'), ("nn.graph(", "^nn.graph(")],
      "'nn.graph' op has no output \"logits\"")
graph([('nn.loss "main" weight(1) %loss : <1>\n', ""), ('nn.loss "mtp" weight(mtp_weight) %share : <1>\n', ""),
       ('nn.loss "balance" weight(balance_alpha) %balance : <1>\n', ""), ("nn.graph(", "^nn.graph(")],
      "'nn.graph' op calls no block with an nn.loss of a weight above 0: there is nothing to train")
graph([("nn.repeat i = dense_layers to layers", "nn.repeat i = dense_layers to 5000*layers")],
      "model.num_hidden_layers = 3: 'nn.repeat' op repeats 14999 times, at most 1000 can be", place="run.json:7:5")
graph([("nn.call @layer(@mlp<ffn>)", "nn.call @layer(@mlp<ffn - 256>)")],
      "model.intermediate_size = 256: 'nn.call' op dimension", place="run.json:6:25", prefix=True)
graph([("nn.call @layer(@mlp<ffn>)", "nn.call @layer(@norm<hidden, eps>)"),
       ("%e = nn.call @feed_forward", "%e = ^nn.call @feed_forward")],
      "'nn.call' op has 2 operands and 1 results, '@norm' has 1 and 1",
      also=["model.mlir:318:12: note: it is passed here"])
graph([("nn.call @layer(@mlp<ffn>)", "nn.call @layer(@embed)"),
       ("%y = nn.call @layer(@embed)", "%y = nn.call @layer(@embed)"),
       ("%e = nn.call @feed_forward", "%e = ^nn.call @feed_forward")], "'nn.call' op ", prefix=True)
graph([("nn.repeat i = dense_layers to layers", "nn.repeat i = dense_layers to layers/2")],
      "model.num_hidden_layers = 3: 'nn.repeat' op needs an integer, 'layers / 2' is 1.5", place="run.json:7:5")
graph([('%a = nn.call @norm<hidden, eps>(%x) prefix("input_layernorm")',
        '%a = nn.call @layer(@feed_forward)^(%x, %ids, %starts) prefix("input_layernorm")')],
      "custom op 'nn.call' number of operands and types do not match: got 3 operands and 1 types",
      place="model.mlir:255",
      prefix=True)
graph([("%d = nn.call @norm<hidden, eps>(%c) prefix(\"post_attention_layernorm\")", "%d = ^nn.call @same(%c)"),
       ("nn.block @layer(",
        "nn.block @same(%x: <tokens x hidden>) -> (<tokens x hidden>) {\n    %y = nn.call @same(%x) : "
        "(<tokens x hidden>) -> (<tokens x hidden>)\n    nn.yield %y : <tokens x hidden>\n  }\n  nn.block @layer(")],
      "'nn.call' op '@same' calls itself", place="model.mlir:", prefix=True)
graph([("%d = nn.call @norm<hidden, eps>(%c) prefix(\"post_attention_layernorm\")", "%d = ^nn.call @next<1>(%c)"),
       ("nn.block @layer(",
        "nn.block @next<n>(%x: <tokens x hidden>) -> (<tokens x hidden>) {\n    %y = nn.call @next<n + 1>(%x) : "
        "(<tokens x hidden>) -> (<tokens x hidden>)\n    nn.yield %y : <tokens x hidden>\n  }\n  nn.block @layer(")],
      "'nn.call' op is in more than 100 calls", place="model.mlir:", prefix=True)
graph([("nn.block @project<in, out, bias>", "nn.block @project<in, out>"),
       ("%d = nn.call @project<2*", "%d = ^nn.call @project<2*")],
      "'nn.call' op (C2) '@project' takes 2 dimensions and 0 blocks, found 3 and 0")
# No value of a key would mend what the model says.
graph([("nn.if bias -> <tokens x out>", "nn.if in -> <tokens x out>"), ("%z = nn.if", "%z = ^nn.if")],
      "'nn.if' op condition 'in' must be true or false, found 128",
      also=["run.json:6:5: note: model.hidden_size = 128 is 'hidden'"])
graph([("style(if(interleaved, \"interleaved\", \"half\"))", "style(interleaved)"), ("%y = nn.rope", "%y = ^nn.rope")],
      "'nn.rope' op (C5) style must be \"interleaved\" or \"half\", found true",
      run=[('"rope_theta"', '"rope_interleave": true, "rope_theta"')])
graph([("nn.let latent_eps = 1.0e-6", "nn.let latent_eps = -1"), ("%y = nn.rms_norm", "%y = ^nn.rms_norm")],
      "'nn.rms_norm' op (C2) eps must be at least 0, found -1",
      also=["model.mlir:126:12: note: in '@norm', called here", "model.mlir:37:3: note: 'latent_eps' is -1"])
graph([("weight(mtp_weight)", "weight(^hidden/0)")], "custom op 'nn.loss' division by zero")
# Of a division by zero, the divisor.
graph([("weight(mtp_weight)", "weight(hidden/(mtp_depth - 1))")],
      "model.num_nextn_predict_layers = 1: 'nn.loss' op division by zero", place="run.json:7:57")
graph([('nn.let v3 = model_type == "deepseek_v3"', "^nn.let v3 = model_type == 3")],
      "'==' needs values of one kind, found \"deepseek_v3\" and 3")
# A default that no key needs here.
graph([('nn.config hidden = "hidden_size"         : dim', '^nn.config hidden = "hidden_size" : dim default 3.5'),
       ('"num_hidden_layers"   : int min(1)', '"num_hidden_layers"   : int min(1) default "0"')],
      "default of 'hidden': expected an integer of 1 or more, found 3.5",
      also=["model.mlir:14:3: error: default of 'layers': expected an integer of 1 or more, found \"0\""])
graph([("nn.let ffn_bias = mlp_bias and not v3", "^nn.let ffn_bias = hidden and not v3")],
      "expected a condition, found 128")
graph([("max(0.999999) default 0.0\n  nn.config attention",
                                                             "default 0.0\n  nn.config attention"),
       ("max(0.999999) default config_dropout", "default config_dropout")],
      "model.attention_dropout = 2.5: 'nn.attention' op (C7) dropout must be less than 1, found 2.5",
      also=["model.mlir:90:3: note: 'attention_dropout' is 2.5, computed here"], place="run.json:13:5",
      run=[('"rope_theta"', '"attention_dropout": 2.5, "rope_theta"')])
graph([('%w = nn.param "weight" : <out x in>', '%w = ^nn.param "weight{" : <out x in>')],
      "'nn.param' op (C3) braces must hold expressions, found \"weight{\"")
graph([("nn.model @deepseek for", "nn.model @deepseek ^fr")], "custom op 'nn.model' expected 'for'",
      place="model.mlir:5:20")
graph([('nn.metric load "load"', '^nn.metric load "lo\\FFad"'), ('nn.loss "mtp"', 'nn.loss "m\\FFtp"')],
      "'nn.metric' op holds a text that is no UTF-8",
      also=["model.mlir:299:5: error: 'nn.loss' op holds a text that is no UTF-8"])
graph("", "expected one nn.model, found 0", place="model.mlir:1:1")
graph("module {}\n", "expected one nn.model, found 0", place="model.mlir:1:1")
graph("\0\0\0", "expected one nn.model, found 0", place="model.mlir:1:1")
graph([("nn.linear %x, %router : (<tokens x hidden>, <experts x hidden>) -> <tokens x experts>",
        "nn.linear %x, %router : (<tokens x hidden>, <experts x hidden>) -> <tokens x hidden>"),
       ("%g, %s, %r, %load = nn.route %logits", "%g, %s, %r, %load = nn.route ^%logits")],
      "use of value '%logits' expects different type than prior uses: '!nn.tensor<tokens x experts>' vs "
      "'!nn.tensor<tokens x hidden>'")
graph([(block_end("moe"), "^nn.yield %down : <tokens*top_k x hidden>\n  }\n\n  nn.block @moe")],
      "'nn.yield' op (C1) yields '!nn.tensor<tokens*top_k x hidden>', 'nn.block' has results '!nn.tensor<tokens x "
      "hidden>'")
graph([('nn.metric ratio "accuracy" %hits', '^nn.metric ratio "loss" %hits')],
      "'nn.metric' op reports metric 'loss' as 'loss', as which another number is reported; give it another name",
      prefix=True)
warning(GRAPH, [], "nothing uses parameter 'unused'; it is left out",
        model=[("%next = nn.shift", "%u = ^nn.param \"unused\" : <hidden>\n    %next = nn.shift")])
warning(GRAPH, [], "nothing uses parameter 'self_attn.unused'; it is left out",
        model=[("%q      = nn.call @queries", "%u = ^nn.param \"unused\" : <hidden>\n    %q      = nn.call @queries")])
