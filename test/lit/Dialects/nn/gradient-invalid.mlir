// RUN: contraflow-opt %s -split-input-file -verify-diagnostics
// Gradients, accumulation and the optimizer. What a gradient shares with its forward operation is tested there.

func.func @embedding_weight_grad_c1(%g: !nn.tensor<4 x 8>, %i: !nn.tensor<3 : i32>) {
  // expected-error @below {{'nn.embedding_weight_grad' op (C1) rows of grad must equal elements of ids, found 4 and 3}}
  %d = nn.embedding_weight_grad %g, %i : (<4 x 8>, <3 : i32>) -> <9 x 8>
  return
}

// -----

func.func @embedding_weight_grad_c2(%g: !nn.tensor<4 x 8>, %i: !nn.tensor<4 : i32>) {
  // expected-error @below {{'nn.embedding_weight_grad' op (C2) columns of output must equal columns of grad, found 7 and 8}}
  %d = nn.embedding_weight_grad %g, %i : (<4 x 8>, <4 : i32>) -> <9 x 7>
  return
}

// -----

func.func @linear_input_grad_c1(%g: !nn.tensor<4 x 3>, %w: !nn.tensor<2 x 8>) {
  // expected-error @below {{'nn.linear_input_grad' op (C1) columns of grad must equal rows of weight, found 3 and 2}}
  %d = nn.linear_input_grad %g, %w : (<4 x 3>, <2 x 8>) -> <4 x 8>
  return
}

// -----

func.func @linear_input_grad_c2(%g: !nn.tensor<4 x 3>, %w: !nn.tensor<3 x 8>) {
  // expected-error @below {{'nn.linear_input_grad' op (C2) result #0 must be '!nn.tensor<4 x 8>', found '!nn.tensor<4 x 3>'}}
  %d = nn.linear_input_grad %g, %w : (<4 x 3>, <3 x 8>) -> <4 x 3>
  return
}

// -----

func.func @linear_weight_grad_c1(%g: !nn.tensor<4 x 3>, %x: !nn.tensor<5 x 8>) {
  // expected-error @below {{'nn.linear_weight_grad' op (C1) rows of grad must equal rows of input, found 4 and 5}}
  %d = nn.linear_weight_grad %g, %x : (<4 x 3>, <5 x 8>) -> <3 x 8>
  return
}

// -----

func.func @linear_weight_grad_c2(%g: !nn.tensor<4 x 3>, %x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.linear_weight_grad' op (C2) result #0 must be '!nn.tensor<3 x 8>', found '!nn.tensor<8 x 3>'}}
  %d = nn.linear_weight_grad %g, %x : (<4 x 3>, <4 x 8>) -> <8 x 3>
  return
}

// -----

func.func @grouped_linear_input_grad_c1(%g: !nn.tensor<4 x 3>, %w: !nn.tensor<2 x 5 x 8>, %r: !nn.tensor<15 : i32>) {
  // expected-error @below {{'nn.grouped_linear_input_grad' op (C1) columns of grad must equal dimension 1 of weight, found 3 and 5}}
  %d = nn.grouped_linear_input_grad %g, %w, %r : (<4 x 3>, <2 x 5 x 8>, <15 : i32>) -> <4 x 8>
  return
}

// -----

func.func @grouped_linear_input_grad_c2(%g: !nn.tensor<4 x 5>, %w: !nn.tensor<2 x 5 x 8>, %r: !nn.tensor<16 : i32>) {
  // expected-error @below {{'nn.grouped_linear_input_grad' op (C2) elements of routing must equal 3 * rows + experts + 1, found 16 and 15}}
  %d = nn.grouped_linear_input_grad %g, %w, %r : (<4 x 5>, <2 x 5 x 8>, <16 : i32>) -> <4 x 8>
  return
}

// -----

func.func @grouped_linear_input_grad_c3(%g: !nn.tensor<4 x 5>, %w: !nn.tensor<2 x 5 x 8>, %r: !nn.tensor<15 : i32>) {
  // expected-error @below {{'nn.grouped_linear_input_grad' op (C3) result #0 must be '!nn.tensor<4 x 8>', found '!nn.tensor<4 x 5>'}}
  %d = nn.grouped_linear_input_grad %g, %w, %r : (<4 x 5>, <2 x 5 x 8>, <15 : i32>) -> <4 x 5>
  return
}

// -----

func.func @grouped_linear_weight_grad_c1(%g: !nn.tensor<4 x 3>, %x: !nn.tensor<5 x 8>, %r: !nn.tensor<15 : i32>) {
  // expected-error @below {{'nn.grouped_linear_weight_grad' op (C1) rows of grad must equal rows of input, found 4 and 5}}
  %d = nn.grouped_linear_weight_grad %g, %x, %r : (<4 x 3>, <5 x 8>, <15 : i32>) -> <2 x 3 x 8>
  return
}

// -----

func.func @grouped_linear_weight_grad_c2(%g: !nn.tensor<4 x 3>, %x: !nn.tensor<4 x 8>, %r: !nn.tensor<15 : i32>) {
  // expected-error @below {{'nn.grouped_linear_weight_grad' op (C2) result #0 must be '!nn.tensor<2 x 3 x 8>', found '!nn.tensor<3 x 3 x 8>'}}
  %d = nn.grouped_linear_weight_grad %g, %x, %r : (<4 x 3>, <4 x 8>, <15 : i32>) -> <3 x 3 x 8>
  return
}

// -----

func.func @rms_norm_input_grad_c1(%g: !nn.tensor<4 x 6>, %w: !nn.tensor<4>) {
  // expected-error @below {{'nn.rms_norm_input_grad' op (C1) columns of input must be a multiple of elements of weight, found 6 and 4}}
  %d = nn.rms_norm_input_grad %g, %g, %w eps(0.0) : <4 x 6>, <4>
  return
}

// -----

func.func @rms_norm_input_grad_c2(%g: !nn.tensor<4 x 6>, %w: !nn.tensor<6>) {
  // expected-error @below {{'nn.rms_norm_input_grad' op (C2) eps must be at least 0, found -0.5}}
  %d = nn.rms_norm_input_grad %g, %g, %w eps(-0.5) : <4 x 6>, <6>
  return
}

// -----

func.func @rms_norm_weight_grad_c1(%g: !nn.tensor<4 x 6>) {
  // expected-error @below {{'nn.rms_norm_weight_grad' op (C1) columns of input must be a multiple of elements of output, found 6 and 4}}
  %d = nn.rms_norm_weight_grad %g, %g eps(0.0) : <4 x 6> -> <4>
  return
}

// -----

func.func @rms_norm_weight_grad_c2(%g: !nn.tensor<4 x 6>) {
  // expected-error @below {{'nn.rms_norm_weight_grad' op (C2) eps must be at least 0, found -0.5}}
  %d = nn.rms_norm_weight_grad %g, %g eps(-0.5) : <4 x 6> -> <6>
  return
}

// -----

func.func @rope_input_grad_c2(%x: !nn.tensor<4 x 6>) {
  // expected-error @below {{'nn.rope_input_grad' op (C2) the number of columns must be a multiple of head_dim, found 6 and 4}}
  %y = nn.rope_input_grad %x head_dim(4) seq(4) theta(10000.0) : <4 x 6>
  return
}

// -----

func.func @attention_input_grad_c3(%q: !nn.tensor<4 x 8>, %k: !nn.tensor<4 x 4>, %l: !nn.tensor<4 x 2>) {
  // expected-error @below {{'nn.attention_input_grad' op (C3) columns of query times kv_heads must equal columns of key times heads, found 16 and 8}}
  %a, %b, %c = nn.attention_input_grad %k, %q, %k, %k, %k, %l heads(2) kv_heads(2) seq(4) scale(1.0) : <4 x 4>, <4 x 8>, <4 x 4>, <4 x 4>, <4 x 2>
  return
}

// -----

func.func @attention_input_grad_c8_rows(%q: !nn.tensor<4 x 4>, %l: !nn.tensor<4 x 2>, %d: !nn.tensor<5 x 2>) {
  // expected-error @below {{'nn.attention_input_grad' op (C8) rows of lse_grad must equal rows of lse, found 5 and 4}}
  %a, %b, %c = nn.attention_input_grad %q, %q, %q, %q, %q, %l lse_grad(%d : <5 x 2>) heads(2) kv_heads(2) seq(4) scale(1.0) : <4 x 4>, <4 x 4>, <4 x 4>, <4 x 4>, <4 x 2>
  return
}

// -----

func.func @attention_input_grad_c8_columns(%q: !nn.tensor<4 x 4>, %l: !nn.tensor<4 x 2>, %d: !nn.tensor<4 x 1>) {
  // expected-error @below {{'nn.attention_input_grad' op (C8) columns of lse_grad must equal columns of lse, found 1 and 2}}
  %a, %b, %c = nn.attention_input_grad %q, %q, %q, %q, %q, %l lse_grad(%d : <4 x 1>) heads(2) kv_heads(2) seq(4) scale(1.0) : <4 x 4>, <4 x 4>, <4 x 4>, <4 x 4>, <4 x 2>
  return
}

// -----

func.func @gelu_input_grad_c1(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.gelu_input_grad' op (C1) approximate must be "none" or "tanh", found "erf"}}
  %z = nn.gelu_input_grad %x, %x approximate("erf") : <4 x 8>
  return
}

// -----

func.func @reduce_sum_c1(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.reduce_sum' op (C1) output cannot be repeated to the type of input, found '!nn.tensor<4>' and '!nn.tensor<4 x 8>'}}
  %z = nn.reduce_sum %x : <4 x 8> -> <4>
  return
}

// -----

func.func @slice_input_grad_c1(%g: !nn.tensor<4 x 6>) {
  // expected-error @below {{'nn.slice_input_grad' op (C1) columns of output must be a multiple of heads, found 9 and 2}}
  %d = nn.slice_input_grad %g heads(2) offset(0) : <4 x 6> -> <4 x 9>
  return
}

// -----

func.func @slice_input_grad_c2(%g: !nn.tensor<4 x 6>) {
  // expected-error @below {{'nn.slice_input_grad' op (C2) heads * offset + columns of grad must be at most columns of output, found 10 and 8}}
  %d = nn.slice_input_grad %g heads(2) offset(2) : <4 x 6> -> <4 x 8>
  return
}

// -----

func.func @slice_input_grad_c3(%g: !nn.tensor<4 x 6>) {
  // expected-error @below {{'nn.slice_input_grad' op (C3) rows of grad must equal rows of output, found 4 and 3}}
  %d = nn.slice_input_grad %g offset(0) : <4 x 6> -> <3 x 8>
  return
}

// -----

func.func @broadcast_input_grad_c1(%g: !nn.tensor<4 x 6>) {
  // expected-error @below {{'nn.broadcast_input_grad' op (C1) heads must be an integer of at least 1, found 0}}
  %d = nn.broadcast_input_grad %g heads(0) : <4 x 6> -> <4 x 3>
  return
}

// -----

func.func @broadcast_input_grad_c2(%g: !nn.tensor<4 x 6>) {
  // expected-error @below {{'nn.broadcast_input_grad' op (C2) columns of grad must equal heads times columns of output, found 6 and 4}}
  %d = nn.broadcast_input_grad %g heads(2) : <4 x 6> -> <4 x 2>
  return
}

// -----

func.func @route_input_grad_c1(%s: !nn.tensor<4 x 8>, %r: !nn.tensor<33 : i32>) {
  // expected-error @below {{'nn.route_input_grad' op (C1) a gradient of the gates or of the scores is needed, found none}}
  %d = nn.route_input_grad %s, %r top_k(2) score("sigmoid") normalize(true) scale(1.0) : <4 x 8>, <33 : i32>
  return
}

// -----

func.func @route_input_grad_c2(%s: !nn.tensor<4 x 8>, %r: !nn.tensor<33 : i32>, %g: !nn.tensor<4 x 3>) {
  // expected-error @below {{'nn.route_input_grad' op (C2) columns of the gates must equal top_k, found 3 and 2}}
  %d = nn.route_input_grad %s, %r gates(%g : <4 x 3>) top_k(2) score("sigmoid") normalize(true) scale(1.0) : <4 x 8>, <33 : i32>
  return
}

// -----

func.func @route_input_grad_c2_scores(%s: !nn.tensor<4 x 8>, %r: !nn.tensor<33 : i32>, %g: !nn.tensor<4 x 3>) {
  // expected-error @below {{'nn.route_input_grad' op (C2) the gradient of the scores must have their type, found '!nn.tensor<4 x 3>' and '!nn.tensor<4 x 8>'}}
  %d = nn.route_input_grad %s, %r scores(%g : <4 x 3>) top_k(2) score("sigmoid") normalize(true) scale(1.0) : <4 x 8>, <33 : i32>
  return
}

// -----

func.func @route_input_grad_c3(%s: !nn.tensor<4 x 8>, %r: !nn.tensor<34 : i32>) {
  // expected-error @below {{'nn.route_input_grad' op (C3) elements of routing must equal 3 * rows + experts + 1, found 34 and 33}}
  %d = nn.route_input_grad %s, %r scores(%s : <4 x 8>) top_k(2) score("sigmoid") normalize(true) scale(1.0) : <4 x 8>, <34 : i32>
  return
}

// -----

func.func @route_input_grad_c4(%s: !nn.tensor<4 x 8>, %r: !nn.tensor<33 : i32>) {
  // expected-error @below {{'nn.route_input_grad' op (C4) score must be "sigmoid" or "softmax", found "relu"}}
  %d = nn.route_input_grad %s, %r scores(%s : <4 x 8>) top_k(2) score("relu") normalize(true) scale(1.0) : <4 x 8>, <33 : i32>
  return
}

// -----

func.func @permute_input_grad_c1(%g: !nn.tensor<7 x 8>, %r: !nn.tensor<33 : i32>) {
  // expected-error @below {{'nn.permute_input_grad' op (C1) rows of grad must equal rows of output times top_k, found 7 and 8}}
  %d = nn.permute_input_grad %g, %r top_k(2) : (<7 x 8>, <33 : i32>) -> <4 x 8>
  return
}

// -----

func.func @permute_input_grad_c2(%g: !nn.tensor<8 x 8>, %r: !nn.tensor<33 : i32>) {
  // expected-error @below {{'nn.permute_input_grad' op (C2) columns of grad must equal columns of output, found 8 and 7}}
  %d = nn.permute_input_grad %g, %r top_k(2) : (<8 x 8>, <33 : i32>) -> <4 x 7>
  return
}

// -----

func.func @unpermute_rows_grad_c1(%g: !nn.tensor<5 x 8>, %r: !nn.tensor<33 : i32>, %w: !nn.tensor<4 x 2>) {
  // expected-error @below {{'nn.unpermute_rows_grad' op (C1) rows of grad must equal rows of gates, found 5 and 4}}
  %d = nn.unpermute_rows_grad %g, %r, %w : (<5 x 8>, <33 : i32>, <4 x 2>) -> <8 x 8>
  return
}

// -----

func.func @unpermute_rows_grad_c2(%g: !nn.tensor<4 x 8>, %r: !nn.tensor<33 : i32>, %w: !nn.tensor<4 x 2>) {
  // expected-error @below {{'nn.unpermute_rows_grad' op (C2) result #0 must be '!nn.tensor<8 x 8>', found '!nn.tensor<4 x 8>'}}
  %d = nn.unpermute_rows_grad %g, %r, %w : (<4 x 8>, <33 : i32>, <4 x 2>) -> <4 x 8>
  return
}

// -----

func.func @unpermute_gates_grad_c1(%g: !nn.tensor<4 x 8>, %y: !nn.tensor<8 x 7>, %r: !nn.tensor<33 : i32>) {
  // expected-error @below {{'nn.unpermute_gates_grad' op (C1) columns of grad must equal columns of rows, found 8 and 7}}
  %d = nn.unpermute_gates_grad %g, %y, %r : (<4 x 8>, <8 x 7>, <33 : i32>) -> <4 x 2>
  return
}

// -----

func.func @unpermute_gates_grad_c2(%g: !nn.tensor<4 x 8>, %y: !nn.tensor<8 x 8>, %r: !nn.tensor<33 : i32>) {
  // expected-error @below {{'nn.unpermute_gates_grad' op (C2) rows of rows must equal elements of output, found 8 and 12}}
  %d = nn.unpermute_gates_grad %g, %y, %r : (<4 x 8>, <8 x 8>, <33 : i32>) -> <4 x 3>
  return
}

// -----

func.func @balance_loss_input_grad_c2(%g: !nn.tensor<1>, %s: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.balance_loss_input_grad' op (C2) top_k must be at most columns of scores, found 9 and 8}}
  %b = nn.balance_loss_input_grad %g, %s top_k(9) seq(4) : <4 x 8>
  return
}

// -----

func.func @cross_entropy_input_grad_c1(%g: !nn.tensor<1>, %l: !nn.tensor<4 x 8>, %t: !nn.tensor<4 : i32>, %e: !nn.tensor<5>) {
  // expected-error @below {{'nn.cross_entropy_input_grad' op (C1) elements of lse must equal rows of logits, found 5 and 4}}
  %d = nn.cross_entropy_input_grad %g, %l, %t, %e : <4 x 8>, <4 : i32>, <5>
  return
}

// -----

func.func @cross_entropy_input_grad_c1_lse_grad(%g: !nn.tensor<1>, %l: !nn.tensor<4 x 8>, %t: !nn.tensor<4 : i32>, %e: !nn.tensor<4>, %h: !nn.tensor<8>) {
  // expected-error @below {{'nn.cross_entropy_input_grad' op (C1) elements of lse_grad must equal rows of logits, found 8 and 4}}
  %d = nn.cross_entropy_input_grad %g, %l, %t, %e lse_grad(%h : <8>) : <4 x 8>, <4 : i32>, <4>
  return
}

// -----

func.func @mean_input_grad_c1(%g: !nn.tensor<1>, %t: !nn.tensor<8 : i32>) {
  // expected-error @below {{'nn.mean_input_grad' op (C1) elements of valid must equal rows of output, found 8 and 4}}
  %d = nn.mean_input_grad %g valid(%t : <8 : i32>) : <4 x 8>
  return
}

// -----

func.func @fill_c1() {
  // expected-error @below {{'nn.fill' op (C1) with must be a number, found "one"}}
  %d = nn.fill with("one") : <1>
  return
}

// -----

func.func @clip_factor_c1(%n: !nn.tensor<1>, %s: !nn.tensor<16>) {
  // expected-error @below {{'nn.clip_factor' op (C1) max_norm must be at least 0, found -1.0}}
  %t = nn.clip_factor %n, %s max_norm(-1.0)
  return
}

// -----

func.func @clip_factor_wants_step_scalars(%n: !nn.tensor<1>, %s: !nn.tensor<15>) {
  // expected-error @below {{'nn.clip_factor' op operand #1 must be step scalars <16>, but got '!nn.tensor<15>'}}
  %t = "nn.clip_factor"(%n, %s) <{max_norm = #nn.expr<1.0>}> : (!nn.tensor<1>, !nn.tensor<15>) -> !nn.tensor<15>
  return
}

// -----

func.func @adamw_c1(%p: !nn.tensor<4 x 8>, %s: !nn.tensor<16>) {
  // expected-error @below {{'nn.adamw' op (C1) beta2 must be less than 1, found 1.0}}
  %a, %b, %c = nn.adamw %p, %p, %p, %p, %s beta1(0.9) beta2(1.0) eps(1.0e-8) weight_decay(0.1) : <4 x 8>
  return
}

// -----

func.func @adamw_c2(%p: !nn.tensor<4 x 8>, %s: !nn.tensor<16>) {
  // expected-error @below {{'nn.adamw' op (C2) weight_decay must be at least 0, found -0.1}}
  %a, %b, %c = nn.adamw %p, %p, %p, %p, %s beta1(0.9) beta2(0.95) eps(1.0e-8) weight_decay(-0.1) : <4 x 8>
  return
}

// -----

func.func @ema_c1(%p: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.ema' op (C1) decay must be less than 1, found 1.0}}
  %e = nn.ema %p, %p decay(1.0) : <4 x 8>
  return
}

// -----

func.func @attention_input_grad_c9(%x: !nn.tensor<4 x 6>, %l: !nn.tensor<4 x 2>) {
  // expected-error @below {{'nn.attention_input_grad' op (C9) dropout is 0.1, but there is no random key}}
  %a, %b, %c = nn.attention_input_grad %x, %x, %x, %x, %x, %l heads(2) kv_heads(2) seq(4) scale(1.0) dropout(0.1)
      : <4 x 6>, <4 x 6>, <4 x 6>, <4 x 6>, <4 x 2>
  return
}
