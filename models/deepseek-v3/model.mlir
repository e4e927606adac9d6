// DeepSeek-V3 (arXiv 2412.19437, section 2) and DeepSeek-V2 (arXiv 2405.04434). Names of parameters and of configuration
// keys are those of Hugging Face, and so are the defaults of keys that a config.json may leave out.
//
// Tensors are <rows x columns>, one row per token. A weight is <out x in>.
nn.model @deepseek for ["deepseek_v3", "deepseek_v2"] {

  //===--- Sizes ----------------------------------------------------------===//

  nn.let v3 = model_type == "deepseek_v3"

  nn.config vocab  = "vocab_size"          : dim
  nn.config hidden = "hidden_size"         : dim
  nn.config ffn    = "intermediate_size"   : dim
  nn.config layers = "num_hidden_layers"   : int min(1)
  nn.config heads  = "num_attention_heads" : dim

  nn.config nope    = "qk_nope_head_dim" : dim default 128
  nn.config rope    = "qk_rope_head_dim" : dim default 64
  nn.config v_dim   = "v_head_dim"       : dim default 128
  nn.config q_rank  = "q_lora_rank"      : dim optional default 1536  // null: queries are not compressed
  nn.config kv_rank = "kv_lora_rank"     : dim default 512

  nn.config experts      = "n_routed_experts"      : dim default if(v3, 256, 64)
  nn.config shared       = "n_shared_experts"      : int optional default if(v3, 1, 2)
  nn.config top_k        = "num_experts_per_tok"   : dim max(experts) default if(v3, 8, 6)
  nn.config expert_ffn   = "moe_intermediate_size" : dim default if(v3, 2048, 1407)
  nn.config dense_layers = "first_k_dense_replace" : int max(layers) default min(layers, if(v3, 3, 0))
  nn.config mtp_depth    = "num_nextn_predict_layers" : int default 0

  //===--- Numbers and choices --------------------------------------------===//

  nn.config eps            = "rms_norm_eps"        : float default 1.0e-6
  nn.config tied           = "tie_word_embeddings" : bool default false
  nn.config attention_bias = "attention_bias"      : bool default false
  nn.config mlp_bias       = "mlp_bias"            : bool default false
  nn.config document_mask  = run "document_mask"   : bool default false  // documents of one sequence do not see each other
  nn.let latent_eps = 1.0e-6                                             // of the norms between the low-rank projections
  nn.let ffn_bias = mlp_bias and not v3                                  // transformers: of deepseek_v2, and not of experts

  // Only these are implemented; anything else in config.json is an error.
  nn.config activation     = "hidden_act"     : one_of["silu"] default "silu"
  nn.config moe_every      = "moe_layer_freq" : one_of[1] default 1
  nn.config kv_heads       = "num_key_value_heads" : dim min(heads) max(heads) default heads  // a latent has no groups of heads

  // Routing. transformers normalises gates in deepseek_v3 only, whatever norm_topk_prob says.
  nn.config score       = "scoring_func"   : one_of["sigmoid", "softmax"] default if(v3, "sigmoid", "softmax")
  nn.config method      = "topk_method"    : one_of["noaux_tc", "group_limited_greedy", "greedy"] default if(v3, "noaux_tc", "greedy")
  nn.config n_group     = "n_group"        : dim optional default if(v3, 8, 1)
  nn.config topk_group  = "topk_group"     : dim optional default if(v3, 4, 1)
  nn.config norm_topk   = "norm_topk_prob" : bool default v3
  nn.config route_scale = "routed_scaling_factor" : float default if(v3, 2.5, 1.0)
  nn.let selection_bias = method == "noaux_tc"
  nn.let groups      = if(method == "greedy" or not has(n_group), 1, n_group)
  nn.let group_limit = if(groups == 1 and not has(topk_group), 1, if(method == "greedy" or not has(n_group), 1, topk_group))
  nn.let group_score = if(selection_bias and (groups > 1), "top2sum", "max")
  nn.let normalize   = norm_topk and v3

  // Rotary positions, with or without YaRN (arXiv 2309.00071).
  nn.config theta        = ["rope_theta", "rope_scaling.rope_theta", "rope_parameters.rope_theta"] : float default 10000.0
  nn.config interleaved  = "rope_interleave"         : bool default true
  nn.config positions    = "max_position_embeddings" : int min(1) default if(v3, 4096, 2048)
  // A factor without a type, and YaRN without a factor, are errors.
  nn.config some_factor  = ["rope_scaling.factor", "rope_parameters.factor"] : float optional
  nn.config rope_type    = ["rope_scaling.rope_type", "rope_scaling.type", "rope_parameters.rope_type", "rope_parameters.type"]
                         : one_of["default", "yarn"] default "default" unless has(some_factor)
  nn.let yarn = rope_type == "yarn"
  nn.config yarn_factor  = ["rope_scaling.factor", "rope_parameters.factor"] : float min(1) default 1.0 unless yarn
  nn.config beta_fast    = ["rope_scaling.beta_fast", "rope_parameters.beta_fast"]           : float default 32.0
  nn.config beta_slow    = ["rope_scaling.beta_slow", "rope_parameters.beta_slow"]           : float default 1.0
  nn.config mscale       = ["rope_scaling.mscale", "rope_parameters.mscale"]                 : float default 0.0
  nn.config mscale_all   = ["rope_scaling.mscale_all_dim", "rope_parameters.mscale_all_dim"] : float default 0.0
  nn.config rope_factor  = ["rope_scaling.attention_factor", "rope_parameters.attention_factor"] : float optional
  nn.config trained_on   = ["rope_scaling.original_max_position_embeddings", "rope_parameters.original_max_position_embeddings"]
                         : int min(1) default positions
  nn.config yarn_rounds  = ["rope_scaling.truncate", "rope_parameters.truncate"] : one_of[true] default true
  nn.let stretch  = if(yarn, yarn_factor, 1.0)
  nn.let yarn_log = if((stretch > 1), 0.1*log(stretch), 0.0)
  // What cosines and sines are multiplied by.
  nn.let rope_scale = if(not yarn, 1.0, if(has(rope_factor), rope_factor,
                         if(mscale*mscale_all == 0, yarn_log + 1, (yarn_log*mscale + 1)/(yarn_log*mscale_all + 1))))
  nn.let softmax_scale = (yarn_log*mscale_all + 1)*(yarn_log*mscale_all + 1)/sqrt(nope + rope)

  // What training adds.
  nn.config mtp_weight    = run "loss.mtp_weight"    : float min(0) default 0.3
  nn.config balance_alpha = run "loss.balance_alpha" : float min(0) default 0.0
  nn.config bias_rate     = run "bias_update_rate"   : float min(0) default 0.001
  // Dropout in training: of the embedding and of what attention and feed-forward add; of attention probabilities.
  nn.config hidden_dropout    = run "dropout.hidden"    : float min(0) max(0.999999) default 0.0
  nn.config config_dropout    = "attention_dropout"     : float min(0) max(0.999999) default 0.0
  nn.config attention_dropout = run "dropout.attention" : float min(0) max(0.999999) default config_dropout

  //===--- Projections and norms ------------------------------------------===//

  nn.block @project<in, out, bias>(%x: <tokens x in>) -> (<tokens x out>) {
    %w = nn.param "weight" : <out x in>
    %y = nn.linear %x, %w : (<tokens x in>, <out x in>) -> <tokens x out>
    %z = nn.if bias -> <tokens x out> {
      %b = nn.param "bias" init(zeros) : <out>
      %s = nn.add %y, %b : <tokens x out>, <out>
      nn.yield %s : <tokens x out>
    } else {
      nn.yield %y : <tokens x out>
    }
    nn.yield %z : <tokens x out>
  }

  nn.block @norm<width, epsilon>(%x: <tokens x width>) -> (<tokens x width>) {
    %w = nn.param "weight" init(ones) : <width>
    %y = nn.rms_norm %x, %w eps(epsilon) : <tokens x width>, <width>
    nn.yield %y : <tokens x width>
  }

  //===--- Multi-head latent attention, section 2.1.1 ---------------------===//

  // Positions of `count` heads that lie side by side.
  nn.block @rotate<count>(%x: <tokens x count*rope>) -> (<tokens x count*rope>) {
    %y = nn.rope %x head_dim(rope) seq(seq) theta(theta) style(if(interleaved, "interleaved", "half"))
         yarn(factor = stretch, beta_fast = beta_fast, beta_slow = beta_slow, original_length = trained_on,
              attention_factor = rope_scale) : <tokens x count*rope>
    nn.yield %y : <tokens x count*rope>
  }

  nn.block @queries(%x: <tokens x hidden>) -> (<tokens x heads*(nope + rope)>) {
    %q = nn.if has(q_rank) -> <tokens x heads*(nope + rope)> {
      %c = nn.call @project<hidden, q_rank, attention_bias>(%x) prefix("q_a_proj") : (<tokens x hidden>) -> (<tokens x q_rank>)
      %n = nn.call @norm<q_rank, latent_eps>(%c) prefix("q_a_layernorm") : (<tokens x q_rank>) -> (<tokens x q_rank>)
      %y = nn.call @project<q_rank, heads*(nope + rope), false>(%n) prefix("q_b_proj")
         : (<tokens x q_rank>) -> (<tokens x heads*(nope + rope)>)
      nn.yield %y : <tokens x heads*(nope + rope)>
    } else {
      %y = nn.call @project<hidden, heads*(nope + rope), false>(%x) prefix("q_proj")
         : (<tokens x hidden>) -> (<tokens x heads*(nope + rope)>)
      nn.yield %y : <tokens x heads*(nope + rope)>
    }
    nn.yield %q : <tokens x heads*(nope + rope)>
  }

  nn.block @attention(%x: <tokens x hidden>, %starts: <tokens : i32>) -> (<tokens x hidden>) {
    // Per head, a query is a part without position and a rotated part.
    %q      = nn.call @queries(%x) : (<tokens x hidden>) -> (<tokens x heads*(nope + rope)>)
    %q_nope = nn.slice %q heads(heads) offset(0) size(nope) : <tokens x heads*(nope + rope)> -> <tokens x heads*nope>
    %q_flat = nn.slice %q heads(heads) offset(nope) size(rope) : <tokens x heads*(nope + rope)> -> <tokens x heads*rope>
    %q_rope = nn.call @rotate<heads>(%q_flat) : (<tokens x heads*rope>) -> (<tokens x heads*rope>)
    %query  = nn.concat %q_nope, %q_rope heads(heads)
            : (<tokens x heads*nope>, <tokens x heads*rope>) -> <tokens x heads*(nope + rope)>

    // Keys and values come from one latent; the rotated part of a key is one for all heads.
    %latent = nn.call @project<hidden, kv_rank + rope, attention_bias>(%x) prefix("kv_a_proj_with_mqa")
            : (<tokens x hidden>) -> (<tokens x kv_rank + rope>)
    %c      = nn.slice %latent offset(0) size(kv_rank) : <tokens x kv_rank + rope> -> <tokens x kv_rank>
    %k_flat = nn.slice %latent offset(kv_rank) size(rope) : <tokens x kv_rank + rope> -> <tokens x rope>
    %k_one  = nn.call @rotate<1>(%k_flat) : (<tokens x rope>) -> (<tokens x rope>)
    %k_rope = nn.broadcast %k_one heads(heads) : <tokens x rope> -> <tokens x heads*rope>
    %n      = nn.call @norm<kv_rank, latent_eps>(%c) prefix("kv_a_layernorm") : (<tokens x kv_rank>) -> (<tokens x kv_rank>)
    %kv     = nn.call @project<kv_rank, heads*(nope + v_dim), false>(%n) prefix("kv_b_proj")
            : (<tokens x kv_rank>) -> (<tokens x heads*(nope + v_dim)>)
    %k_nope = nn.slice %kv heads(heads) offset(0) size(nope) : <tokens x heads*(nope + v_dim)> -> <tokens x heads*nope>
    %value  = nn.slice %kv heads(heads) offset(nope) size(v_dim) : <tokens x heads*(nope + v_dim)> -> <tokens x heads*v_dim>
    %key    = nn.concat %k_nope, %k_rope heads(heads)
            : (<tokens x heads*nope>, <tokens x heads*rope>) -> <tokens x heads*(nope + rope)>

    %mixed = nn.if document_mask -> <tokens x heads*v_dim> {
      %o, %lse = nn.attention %query, %key, %value starts(%starts : <tokens : i32>) causal
          heads(heads) kv_heads(heads) seq(seq) scale(softmax_scale) dropout(attention_dropout)
        : (<tokens x heads*(nope + rope)>, <tokens x heads*(nope + rope)>, <tokens x heads*v_dim>)
        -> (<tokens x heads*v_dim>, <tokens x heads>)
      nn.yield %o : <tokens x heads*v_dim>
    } else {
      %o, %lse = nn.attention %query, %key, %value causal
          heads(heads) kv_heads(heads) seq(seq) scale(softmax_scale) dropout(attention_dropout)
        : (<tokens x heads*(nope + rope)>, <tokens x heads*(nope + rope)>, <tokens x heads*v_dim>)
        -> (<tokens x heads*v_dim>, <tokens x heads>)
      nn.yield %o : <tokens x heads*v_dim>
    }
    %y = nn.call @project<heads*v_dim, hidden, attention_bias>(%mixed) prefix("o_proj")
       : (<tokens x heads*v_dim>) -> (<tokens x hidden>)
    nn.yield %y : <tokens x hidden>
  }

  //===--- Feed-forward, section 2.1.2 ------------------------------------===//

  // %ids are the tokens of the rows; a row of no token (-1) counts in no load and in no balance loss.
  nn.block @mlp<inner>(%x: <tokens x hidden>, %ids: <tokens : i32>) -> (<tokens x hidden>) {
    %gate = nn.call @project<hidden, inner, ffn_bias>(%x) prefix("gate_proj") : (<tokens x hidden>) -> (<tokens x inner>)
    %up   = nn.call @project<hidden, inner, ffn_bias>(%x) prefix("up_proj") : (<tokens x hidden>) -> (<tokens x inner>)
    %h    = nn.swiglu %gate, %up : <tokens x inner>
    %y    = nn.call @project<inner, hidden, ffn_bias>(%h) prefix("down_proj") : (<tokens x inner>) -> (<tokens x hidden>)
    nn.yield %y : <tokens x hidden>
  }

  // Each token goes to top_k experts: tokens*top_k rows, sorted by expert, enter the grouped projections.
  nn.block @routed(%x: <tokens x hidden>, %ids: <tokens : i32>) -> (<tokens x hidden>) {
    %router = nn.param "gate.weight" : <experts x hidden>
    %logits = nn.linear %x, %router : (<tokens x hidden>, <experts x hidden>) -> <tokens x experts>
    %gates, %scores, %routing = nn.if selection_bias
        -> <tokens x top_k>, <tokens x experts>, <3*tokens*top_k + experts + 1 : i32> {
      %bias = nn.param "gate.e_score_correction_bias" init(zeros) buffer : <experts>
      %g, %s, %r, %load = nn.route %logits bias(%bias : <experts>) valid(%ids : <tokens : i32>) top_k(top_k)
          groups(groups) group_limit(group_limit) group_score(group_score) score(score) normalize(normalize)
          scale(route_scale) : <tokens x experts>
      nn.metric load "load" %load : <experts>
      nn.if not (bias_rate == 0) {
        nn.update %bias, %load rate(bias_rate) : <experts>
      }
      nn.yield %g, %s, %r : <tokens x top_k>, <tokens x experts>, <3*tokens*top_k + experts + 1 : i32>
    } else {
      %g, %s, %r, %load = nn.route %logits valid(%ids : <tokens : i32>) top_k(top_k)
          groups(groups) group_limit(group_limit) group_score(group_score) score(score) normalize(normalize)
          scale(route_scale) : <tokens x experts>
      nn.metric load "load" %load : <experts>
      nn.yield %g, %s, %r : <tokens x top_k>, <tokens x experts>, <3*tokens*top_k + experts + 1 : i32>
    }
    nn.if not (balance_alpha == 0) {
      %balance = nn.balance_loss %scores valid(%ids : <tokens : i32>) top_k(top_k) seq(seq) : <tokens x experts>
      nn.loss "balance" weight(balance_alpha) %balance : <1>
      nn.metric mean "balance_loss" %balance : <1>
    }

    %w_gate = nn.param "experts.{e}.gate_proj.weight" over e : <experts x expert_ffn x hidden>
    %w_up   = nn.param "experts.{e}.up_proj.weight" over e : <experts x expert_ffn x hidden>
    %w_down = nn.param "experts.{e}.down_proj.weight" over e : <experts x hidden x expert_ffn>
    %rows = nn.permute %x, %routing top_k(top_k)
          : (<tokens x hidden>, <3*tokens*top_k + experts + 1 : i32>) -> <tokens*top_k x hidden>
    %gate = nn.grouped_linear %rows, %w_gate, %routing
          : (<tokens*top_k x hidden>, <experts x expert_ffn x hidden>, <3*tokens*top_k + experts + 1 : i32>)
          -> <tokens*top_k x expert_ffn>
    %up   = nn.grouped_linear %rows, %w_up, %routing
          : (<tokens*top_k x hidden>, <experts x expert_ffn x hidden>, <3*tokens*top_k + experts + 1 : i32>)
          -> <tokens*top_k x expert_ffn>
    %h    = nn.swiglu %gate, %up : <tokens*top_k x expert_ffn>
    %down = nn.grouped_linear %h, %w_down, %routing
          : (<tokens*top_k x expert_ffn>, <experts x hidden x expert_ffn>, <3*tokens*top_k + experts + 1 : i32>)
          -> <tokens*top_k x hidden>
    %y    = nn.unpermute %down, %routing, %gates
          : (<tokens*top_k x hidden>, <3*tokens*top_k + experts + 1 : i32>, <tokens x top_k>) -> <tokens x hidden>
    nn.yield %y : <tokens x hidden>
  }

  nn.block @moe(%x: <tokens x hidden>, %ids: <tokens : i32>) -> (<tokens x hidden>) {
    %routed = nn.call @routed(%x, %ids) : (<tokens x hidden>, <tokens : i32>) -> (<tokens x hidden>)
    %y = nn.if has(shared) and (shared > 0) -> <tokens x hidden> {
      %s = nn.call @mlp<shared*expert_ffn>(%x, %ids) prefix("shared_experts")
         : (<tokens x hidden>, <tokens : i32>) -> (<tokens x hidden>)
      %sum = nn.add %routed, %s : <tokens x hidden>
      nn.yield %sum : <tokens x hidden>
    } else {
      nn.yield %routed : <tokens x hidden>
    }
    nn.yield %y : <tokens x hidden>
  }

  //===--- Layers ---------------------------------------------------------===//

  nn.block @layer(@feed_forward)(%x: <tokens x hidden>, %ids: <tokens : i32>, %starts: <tokens : i32>) -> (<tokens x hidden>) {
    %a = nn.call @norm<hidden, eps>(%x) prefix("input_layernorm") : (<tokens x hidden>) -> (<tokens x hidden>)
    %b = nn.call @attention(%a, %starts) prefix("self_attn") : (<tokens x hidden>, <tokens : i32>) -> (<tokens x hidden>)
    %b2 = nn.dropout %b p(hidden_dropout) : <tokens x hidden>
    %c = nn.add %x, %b2 : <tokens x hidden>
    %d = nn.call @norm<hidden, eps>(%c) prefix("post_attention_layernorm") : (<tokens x hidden>) -> (<tokens x hidden>)
    %e = nn.call @feed_forward(%d, %ids) prefix("mlp") : (<tokens x hidden>, <tokens : i32>) -> (<tokens x hidden>)
    %e2 = nn.dropout %e p(hidden_dropout) : <tokens x hidden>
    %y = nn.add %c, %e2 : <tokens x hidden>
    nn.yield %y : <tokens x hidden>
  }

  nn.block @embed(%ids: <tokens : i32>, %table: <vocab x hidden> param) -> (<tokens x hidden>) {
    %x = nn.embedding %ids, %table : (<tokens : i32>, <vocab x hidden>) -> <tokens x hidden>
    %y = nn.dropout %x p(hidden_dropout) : <tokens x hidden>
    nn.yield %y : <tokens x hidden>
  }

  nn.block @predict(%h: <tokens x hidden>, %targets: <tokens : i32>, %head: <vocab x hidden> param) -> (<tokens x vocab>) {
    %n = nn.call @norm<hidden, eps>(%h) prefix("model.norm") : (<tokens x hidden>) -> (<tokens x hidden>)
    %logits = nn.linear %n, %head : (<tokens x hidden>, <vocab x hidden>) -> <tokens x vocab>
    %loss, %lse = nn.cross_entropy %logits, %targets : <tokens x vocab>, <tokens : i32>
    nn.loss "main" weight(1) %loss : <1>
    %hits = nn.accuracy %logits, %targets : <tokens x vocab>, <tokens : i32>
    nn.metric ratio "accuracy" %hits : <2>
    nn.yield %logits : <tokens x vocab>
  }

  // One depth of multi-token prediction, section 2.2: %ids are the tokens that lie ahead, %targets those after them.
  // As in the released weights, the embedding comes first in what eh_proj reads. mtp_accuracy estimates the
  // acceptance rate of section 5.4.3, on the text at hand.
  nn.block @mtp(%previous: <tokens x hidden>, %ids: <tokens : i32>, %targets: <tokens : i32>, %starts: <tokens : i32>,
                %table: <vocab x hidden> param, %head: <vocab x hidden> param) -> (<tokens x hidden>, <tokens x vocab>) {
    %e = nn.embedding %ids, %table : (<tokens : i32>, <vocab x hidden>) -> <tokens x hidden>
    %x = nn.dropout %e p(hidden_dropout) : <tokens x hidden>
    %a = nn.call @norm<hidden, eps>(%x) prefix("enorm") : (<tokens x hidden>) -> (<tokens x hidden>)
    %b = nn.call @norm<hidden, eps>(%previous) prefix("hnorm") : (<tokens x hidden>) -> (<tokens x hidden>)
    %c = nn.concat %a, %b : (<tokens x hidden>, <tokens x hidden>) -> <tokens x 2*hidden>
    %d = nn.call @project<2*hidden, hidden, false>(%c) prefix("eh_proj") : (<tokens x 2*hidden>) -> (<tokens x hidden>)
    %h = nn.call @layer(@moe)(%d, %ids, %starts)
       : (<tokens x hidden>, <tokens : i32>, <tokens : i32>) -> (<tokens x hidden>)
    %n = nn.call @norm<hidden, eps>(%h) prefix("shared_head.norm") : (<tokens x hidden>) -> (<tokens x hidden>)
    %logits = nn.linear %n, %head : (<tokens x hidden>, <vocab x hidden>) -> <tokens x vocab>
    %loss, %lse = nn.cross_entropy %logits, %targets : <tokens x vocab>, <tokens : i32>
    %share = nn.scale %loss by(1/mtp_depth) : <1>
    nn.loss "mtp" weight(mtp_weight) %share : <1>
    %hits = nn.accuracy %logits, %targets : <tokens x vocab>, <tokens : i32>
    nn.metric ratio "mtp_accuracy" %hits : <2>
    nn.yield %h, %logits : <tokens x hidden>, <tokens x vocab>
  }

  //===--- The model ------------------------------------------------------===//

  nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {
    %table = nn.param "model.embed_tokens.weight" : <vocab x hidden>
    %head = nn.if tied -> <vocab x hidden> {
      nn.yield %table : <vocab x hidden>
    } else {
      %w = nn.param "lm_head.weight" : <vocab x hidden>
      nn.yield %w : <vocab x hidden>
    }

    %h0 = nn.call @embed(%tokens, %table) : (<tokens : i32>, <vocab x hidden>) -> (<tokens x hidden>)
    %h1 = nn.repeat i = 0 to min(dense_layers, layers) carry(%x = %h0 : <tokens x hidden>) {
      %y = nn.call @layer(@mlp<ffn>)(%x, %tokens, %starts) prefix("model.layers.{i}")
         : (<tokens x hidden>, <tokens : i32>, <tokens : i32>) -> (<tokens x hidden>)
      nn.yield %y : <tokens x hidden>
    }
    %h2 = nn.repeat i = dense_layers to layers carry(%x = %h1 : <tokens x hidden>) {
      %y = nn.call @layer(@moe)(%x, %tokens, %starts) prefix("model.layers.{i}")
         : (<tokens x hidden>, <tokens : i32>, <tokens : i32>) -> (<tokens x hidden>)
      nn.yield %y : <tokens x hidden>
    }
    %next = nn.shift %tokens starts(%starts : <tokens : i32>) by(1) seq(seq) : <tokens : i32>
    %logits = nn.call @predict(%h2, %next, %head)
            : (<tokens x hidden>, <tokens : i32>, <vocab x hidden>) -> (<tokens x vocab>)
    nn.output "logits" %logits : <tokens x vocab>

    // Depth k reads the hidden state of depth k - 1 and the token k places ahead, and predicts the one after that.
    %last = nn.repeat k = 1 to mtp_depth + 1 carry(%previous = %h2 : <tokens x hidden>) {
      %ids = nn.shift %tokens starts(%starts : <tokens : i32>) by(k) seq(seq) : <tokens : i32>
      %targets = nn.shift %tokens starts(%starts : <tokens : i32>) by(k + 1) seq(seq) : <tokens : i32>
      %h, %mtp_logits = nn.call @mtp(%previous, %ids, %targets, %starts, %table, %head)
          prefix("model.layers.{layers + k - 1}")
        : (<tokens x hidden>, <tokens : i32>, <tokens : i32>, <tokens : i32>, <vocab x hidden>, <vocab x hidden>)
        -> (<tokens x hidden>, <tokens x vocab>)
      nn.output "mtp_logits_{k}" %mtp_logits : <tokens x vocab>
      nn.yield %h : <tokens x hidden>
    }
  }
}
