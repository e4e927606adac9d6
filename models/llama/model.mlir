// Llama: dense layers, grouped-query attention (arXiv 2307.09288). Names of parameters and of configuration keys are
// those of Hugging Face, and so are the defaults of keys that a config.json may leave out.
nn.model @llama for ["llama"] {

  nn.config vocab    = "vocab_size"          : dim
  nn.config hidden   = "hidden_size"         : dim
  nn.config ffn      = "intermediate_size"   : dim
  nn.config layers   = "num_hidden_layers"   : int min(1)
  nn.config heads    = "num_attention_heads" : dim
  nn.config kv_heads = "num_key_value_heads" : dim default heads
  nn.config head_dim = "head_dim"            : dim default hidden/heads

  nn.config eps            = "rms_norm_eps"        : float default 1.0e-6
  nn.config tied           = "tie_word_embeddings" : bool default false
  nn.config attention_bias = "attention_bias"      : bool default false
  nn.config mlp_bias       = "mlp_bias"            : bool default false
  nn.config document_mask  = run "document_mask"   : bool default false

  // Dropout in training: of the embedding and of what attention and feed-forward add; of attention probabilities.
  nn.config hidden_dropout    = run "dropout.hidden"    : float min(0) max(0.999999) default 0.0
  nn.config config_dropout    = "attention_dropout"     : float min(0) max(0.999999) default 0.0
  nn.config attention_dropout = run "dropout.attention" : float min(0) max(0.999999) default config_dropout

  // Only these are implemented; anything else in config.json is an error.
  nn.config activation = "hidden_act" : one_of["silu"] default "silu"

  // Rotary positions, with or without YaRN (arXiv 2309.00071).
  nn.config theta       = ["rope_theta", "rope_scaling.rope_theta", "rope_parameters.rope_theta"] : float default 10000.0
  nn.config positions   = "max_position_embeddings" : int min(1) default 2048
  // A factor without a type, and YaRN without a factor, are errors.
  nn.config some_factor = ["rope_scaling.factor", "rope_parameters.factor"] : float optional
  nn.config rope_type   = ["rope_scaling.rope_type", "rope_scaling.type", "rope_parameters.rope_type", "rope_parameters.type"]
                        : one_of["default", "yarn"] default "default" unless has(some_factor)
  nn.let yarn = rope_type == "yarn"
  nn.config yarn_factor = ["rope_scaling.factor", "rope_parameters.factor"] : float min(1) default 1.0 unless yarn
  nn.config beta_fast   = ["rope_scaling.beta_fast", "rope_parameters.beta_fast"]           : float default 32.0
  nn.config beta_slow   = ["rope_scaling.beta_slow", "rope_parameters.beta_slow"]           : float default 1.0
  nn.config mscale      = ["rope_scaling.mscale", "rope_parameters.mscale"]                 : float default 0.0
  nn.config mscale_all  = ["rope_scaling.mscale_all_dim", "rope_parameters.mscale_all_dim"] : float default 0.0
  nn.config rope_factor = ["rope_scaling.attention_factor", "rope_parameters.attention_factor"] : float optional
  nn.config trained_on  = ["rope_scaling.original_max_position_embeddings", "rope_parameters.original_max_position_embeddings"]
                        : int min(1) default positions
  nn.config yarn_rounds = ["rope_scaling.truncate", "rope_parameters.truncate"] : one_of[true] default true
  nn.let stretch  = if(yarn, yarn_factor, 1.0)
  nn.let yarn_log = if((stretch > 1), 0.1*log(stretch), 0.0)
  nn.let rope_scale = if(not yarn, 1.0, if(has(rope_factor), rope_factor,
                         if(mscale*mscale_all == 0, yarn_log + 1, (yarn_log*mscale + 1)/(yarn_log*mscale_all + 1))))

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

  nn.block @norm(%x: <tokens x hidden>) -> (<tokens x hidden>) {
    %w = nn.param "weight" init(ones) : <hidden>
    %y = nn.rms_norm %x, %w eps(eps) : <tokens x hidden>, <hidden>
    nn.yield %y : <tokens x hidden>
  }

  // Positions of `count` heads that lie side by side.
  nn.block @rotate<count>(%x: <tokens x count*head_dim>) -> (<tokens x count*head_dim>) {
    %y = nn.rope %x head_dim(head_dim) seq(seq) theta(theta) style("half")
         yarn(factor = stretch, beta_fast = beta_fast, beta_slow = beta_slow, original_length = trained_on,
              attention_factor = rope_scale) : <tokens x count*head_dim>
    nn.yield %y : <tokens x count*head_dim>
  }

  nn.block @attention(%x: <tokens x hidden>, %starts: <tokens : i32>) -> (<tokens x hidden>) {
    %q = nn.call @project<hidden, heads*head_dim, attention_bias>(%x) prefix("q_proj")
       : (<tokens x hidden>) -> (<tokens x heads*head_dim>)
    %k = nn.call @project<hidden, kv_heads*head_dim, attention_bias>(%x) prefix("k_proj")
       : (<tokens x hidden>) -> (<tokens x kv_heads*head_dim>)
    %v = nn.call @project<hidden, kv_heads*head_dim, attention_bias>(%x) prefix("v_proj")
       : (<tokens x hidden>) -> (<tokens x kv_heads*head_dim>)
    %q_rope = nn.call @rotate<heads>(%q) : (<tokens x heads*head_dim>) -> (<tokens x heads*head_dim>)
    %k_rope = nn.call @rotate<kv_heads>(%k) : (<tokens x kv_heads*head_dim>) -> (<tokens x kv_heads*head_dim>)
    %mixed = nn.if document_mask -> <tokens x heads*head_dim> {
      %o, %lse = nn.attention %q_rope, %k_rope, %v starts(%starts : <tokens : i32>) causal
          heads(heads) kv_heads(kv_heads) seq(seq) scale(1/sqrt(head_dim)) dropout(attention_dropout)
        : (<tokens x heads*head_dim>, <tokens x kv_heads*head_dim>, <tokens x kv_heads*head_dim>)
        -> (<tokens x heads*head_dim>, <tokens x heads>)
      nn.yield %o : <tokens x heads*head_dim>
    } else {
      %o, %lse = nn.attention %q_rope, %k_rope, %v causal
          heads(heads) kv_heads(kv_heads) seq(seq) scale(1/sqrt(head_dim)) dropout(attention_dropout)
        : (<tokens x heads*head_dim>, <tokens x kv_heads*head_dim>, <tokens x kv_heads*head_dim>)
        -> (<tokens x heads*head_dim>, <tokens x heads>)
      nn.yield %o : <tokens x heads*head_dim>
    }
    %y = nn.call @project<heads*head_dim, hidden, attention_bias>(%mixed) prefix("o_proj")
       : (<tokens x heads*head_dim>) -> (<tokens x hidden>)
    nn.yield %y : <tokens x hidden>
  }

  nn.block @mlp(%x: <tokens x hidden>) -> (<tokens x hidden>) {
    %gate = nn.call @project<hidden, ffn, mlp_bias>(%x) prefix("gate_proj") : (<tokens x hidden>) -> (<tokens x ffn>)
    %up   = nn.call @project<hidden, ffn, mlp_bias>(%x) prefix("up_proj") : (<tokens x hidden>) -> (<tokens x ffn>)
    %h    = nn.swiglu %gate, %up : <tokens x ffn>
    %y    = nn.call @project<ffn, hidden, mlp_bias>(%h) prefix("down_proj") : (<tokens x ffn>) -> (<tokens x hidden>)
    nn.yield %y : <tokens x hidden>
  }

  nn.block @layer(%x: <tokens x hidden>, %starts: <tokens : i32>) -> (<tokens x hidden>) {
    %a = nn.call @norm(%x) prefix("input_layernorm") : (<tokens x hidden>) -> (<tokens x hidden>)
    %b = nn.call @attention(%a, %starts) prefix("self_attn") : (<tokens x hidden>, <tokens : i32>) -> (<tokens x hidden>)
    %b2 = nn.dropout %b p(hidden_dropout) : <tokens x hidden>
    %c = nn.add %x, %b2 : <tokens x hidden>
    %d = nn.call @norm(%c) prefix("post_attention_layernorm") : (<tokens x hidden>) -> (<tokens x hidden>)
    %e = nn.call @mlp(%d) prefix("mlp") : (<tokens x hidden>) -> (<tokens x hidden>)
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
    %n = nn.call @norm(%h) prefix("model.norm") : (<tokens x hidden>) -> (<tokens x hidden>)
    %logits = nn.linear %n, %head : (<tokens x hidden>, <vocab x hidden>) -> <tokens x vocab>
    %loss, %lse = nn.cross_entropy %logits, %targets : <tokens x vocab>, <tokens : i32>
    nn.loss "main" weight(1) %loss : <1>
    %hits = nn.accuracy %logits, %targets : <tokens x vocab>, <tokens : i32>
    nn.metric ratio "accuracy" %hits : <2>
    nn.yield %logits : <tokens x vocab>
  }

  nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {
    %table = nn.param "model.embed_tokens.weight" : <vocab x hidden>
    %head = nn.if tied -> <vocab x hidden> {
      nn.yield %table : <vocab x hidden>
    } else {
      %w = nn.param "lm_head.weight" : <vocab x hidden>
      nn.yield %w : <vocab x hidden>
    }
    %h0 = nn.call @embed(%tokens, %table) : (<tokens : i32>, <vocab x hidden>) -> (<tokens x hidden>)
    %h = nn.repeat i = 0 to layers carry(%x = %h0 : <tokens x hidden>) {
      %y = nn.call @layer(%x, %starts) prefix("model.layers.{i}") : (<tokens x hidden>, <tokens : i32>) -> (<tokens x hidden>)
      nn.yield %y : <tokens x hidden>
    }
    %next = nn.shift %tokens starts(%starts : <tokens : i32>) by(1) seq(seq) : <tokens : i32>
    %logits = nn.call @predict(%h, %next, %head)
            : (<tokens x hidden>, <tokens : i32>, <vocab x hidden>) -> (<tokens x vocab>)
    nn.output "logits" %logits : <tokens x vocab>
  }
}
