// RUN: contraflow-opt %s -split-input-file -verify-diagnostics
// Tables, matrix products, normalisation, positions, attention and loss.

func.func @embedding_wants_ids(%ids: !nn.tensor<4>, %t: !nn.tensor<8 x 2>) {
  // expected-error @below {{'nn.embedding' op operand #0 must be i32 vector, but got '!nn.tensor<4>'}}
  %x = nn.embedding %ids, %t : (<4>, <8 x 2>) -> <4 x 2>
  return
}

// -----

func.func @embedding_c1(%ids: !nn.tensor<4 : i32>, %t: !nn.tensor<8 x 2>) {
  // expected-error @below {{'nn.embedding' op (C1) result #0 must be '!nn.tensor<4 x 2>', found '!nn.tensor<4 x 8>'}}
  %x = nn.embedding %ids, %t : (<4 : i32>, <8 x 2>) -> <4 x 8>
  return
}

// -----

func.func @linear_wants_a_matrix(%x: !nn.tensor<4>, %w: !nn.tensor<8 x 4>) {
  // expected-error @below {{'nn.linear' op operand #0 must be f32 matrix <rows x columns>, but got '!nn.tensor<4>'}}
  %y = nn.linear %x, %w : (<4>, <8 x 4>) -> <4 x 8>
  return
}

// -----

func.func @linear_c1(%x: !nn.tensor<4 x 3>, %w: !nn.tensor<8 x 5>) {
  // expected-error @below {{'nn.linear' op (C1) columns of input must equal columns of weight, found 3 and 5}}
  %y = nn.linear %x, %w : (<4 x 3>, <8 x 5>) -> <4 x 8>
  return
}

// -----

func.func @linear_c1_unbound(%x: !nn.tensor<tokens x heads*(nope + rope)>, %w: !nn.tensor<hidden x heads*nope + rope>) {
  // expected-error @below {{'nn.linear' op (C1) columns of input must equal columns of weight, found heads*nope + heads*rope and heads*nope + rope}}
  %y = nn.linear %x, %w : (<tokens x heads*(nope + rope)>, <hidden x heads*nope + rope>) -> <tokens x hidden>
  return
}

// -----

func.func @linear_c2(%x: !nn.tensor<4 x 3>, %w: !nn.tensor<8 x 3>) {
  // expected-error @below {{'nn.linear' op (C2) result #0 must be '!nn.tensor<4 x 8>', found '!nn.tensor<4 x 7>'}}
  %y = nn.linear %x, %w : (<4 x 3>, <8 x 3>) -> <4 x 7>
  return
}

// -----

func.func @grouped_linear_c1(%x: !nn.tensor<4 x 3>, %w: !nn.tensor<2 x 8 x 5>, %r: !nn.tensor<15 : i32>) {
  // expected-error @below {{'nn.grouped_linear' op (C1) columns of input must equal dimension 2 of weight, found 3 and 5}}
  %y = nn.grouped_linear %x, %w, %r : (<4 x 3>, <2 x 8 x 5>, <15 : i32>) -> <4 x 8>
  return
}

// -----

func.func @grouped_linear_c2(%x: !nn.tensor<4 x 3>, %w: !nn.tensor<2 x 8 x 3>, %r: !nn.tensor<14 : i32>) {
  // expected-error @below {{'nn.grouped_linear' op (C2) elements of routing must equal 3 * rows + experts + 1, found 14 and 15}}
  %y = nn.grouped_linear %x, %w, %r : (<4 x 3>, <2 x 8 x 3>, <14 : i32>) -> <4 x 8>
  return
}

// -----

func.func @grouped_linear_c3(%x: !nn.tensor<4 x 3>, %w: !nn.tensor<2 x 8 x 3>, %r: !nn.tensor<15 : i32>) {
  // expected-error @below {{'nn.grouped_linear' op (C3) result #0 must be '!nn.tensor<4 x 8>', found '!nn.tensor<4 x 3>'}}
  %y = nn.grouped_linear %x, %w, %r : (<4 x 3>, <2 x 8 x 3>, <15 : i32>) -> <4 x 3>
  return
}

// -----

func.func @rms_norm_c1(%x: !nn.tensor<4 x 6>, %w: !nn.tensor<4>) {
  // expected-error @below {{'nn.rms_norm' op (C1) columns of input must be a multiple of elements of weight, found 6 and 4}}
  %y = nn.rms_norm %x, %w eps(1.0e-6) : <4 x 6>, <4>
  return
}

// -----

func.func @rms_norm_c2(%x: !nn.tensor<4 x 6>, %w: !nn.tensor<6>) {
  // expected-error @below {{'nn.rms_norm' op (C2) eps must be at least 0, found -1.0}}
  %y = nn.rms_norm %x, %w eps(-1.0) : <4 x 6>, <6>
  return
}

// -----

func.func @rms_norm_c2_text(%x: !nn.tensor<4 x 6>, %w: !nn.tensor<6>) {
  // expected-error @below {{'nn.rms_norm' op (C2) eps must be a number, found "small"}}
  %y = nn.rms_norm %x, %w eps("small") : <4 x 6>, <6>
  return
}

// -----

func.func @rope_c1(%x: !nn.tensor<4 x 6>) {
  // expected-error @below {{'nn.rope' op (C1) head_dim must be a multiple of 2, found 3 and 2}}
  %y = nn.rope %x head_dim(3) seq(4) theta(10000.0) : <4 x 6>
  return
}

// -----

func.func @rope_c1_zero(%x: !nn.tensor<4 x 6>) {
  // expected-error @below {{'nn.rope' op (C1) head_dim must be an integer of at least 2, found 0}}
  %y = nn.rope %x head_dim(0) seq(4) theta(10000.0) : <4 x 6>
  return
}

// -----

func.func @rope_c2(%x: !nn.tensor<4 x 6>) {
  // expected-error @below {{'nn.rope' op (C2) the number of columns must be a multiple of head_dim, found 6 and 4}}
  %y = nn.rope %x head_dim(4) seq(4) theta(10000.0) : <4 x 6>
  return
}

// -----

func.func @rope_c3(%x: !nn.tensor<4 x 6>) {
  // expected-error @below {{'nn.rope' op (C3) the number of rows must be a multiple of seq, found 4 and 3}}
  %y = nn.rope %x head_dim(2) seq(3) theta(10000.0) : <4 x 6>
  return
}

// -----

func.func @rope_c4(%x: !nn.tensor<4 x 6>) {
  // expected-error @below {{'nn.rope' op (C4) theta must be greater than 1, found 1}}
  %y = nn.rope %x head_dim(2) seq(4) theta(1) : <4 x 6>
  return
}

// -----

func.func @rope_c5(%x: !nn.tensor<4 x 6>) {
  // expected-error @below {{'nn.rope' op (C5) style must be "interleaved" or "half", found "whole"}}
  %y = nn.rope %x head_dim(2) seq(4) theta(10000.0) style("whole") : <4 x 6>
  return
}

// -----

func.func @rope_c6(%x: !nn.tensor<4 x 6>) {
  // expected-error @below {{'nn.rope' op (C6) factor must be positive, found 0.0}}
  %y = nn.rope %x head_dim(2) seq(4) theta(10000.0) yarn(factor = 0.0, beta_fast = 32, beta_slow = 1, original_length = 64, attention_factor = 1) : <4 x 6>
  return
}

// -----

func.func @rope_c7(%x: !nn.tensor<16777216 x 16>) {
  // expected-error @below {{'nn.rope' op (C7) the angles for seq 16777216 must take at most 256 MiB, found 1536 MiB}}
  %y = nn.rope %x head_dim(16) seq(16777216) theta(10000.0) : <16777216 x 16>
  return
}

// -----

func.func @rope_all(%x: !nn.tensor<4 x 6>) {
  // expected-error @below {{'nn.rope' op (C1) head_dim must be a multiple of 2, found 3 and 2}}
  // expected-error @below {{'nn.rope' op (C3) the number of rows must be a multiple of seq, found 4 and 3}}
  // expected-error @below {{'nn.rope' op (C4) theta must be greater than 1, found 0.5}}
  // expected-error @below {{'nn.rope' op (C5) style must be "interleaved" or "half", found "whole"}}
  // expected-error @below {{'nn.rope' op (C6) factor must be positive, found 0.0}}
  %y = nn.rope %x head_dim(3) seq(3) theta(0.5) style("whole") yarn(factor = 0.0, beta_fast = 32, beta_slow = 1, original_length = 64, attention_factor = 1) : <4 x 6>
  return
}

// -----

func.func @attention_c1(%q: !nn.tensor<4 x 6>, %k: !nn.tensor<4 x 4>, %v: !nn.tensor<4 x 4>) {
  // expected-error @below {{'nn.attention' op (C1) heads must be a multiple of kv_heads, found 3 and 2}}
  %o, %l = nn.attention %q, %k, %v heads(3) kv_heads(2) seq(4) scale(1.0) : (<4 x 6>, <4 x 4>, <4 x 4>) -> (<4 x 6>, <4 x 3>)
  return
}

// -----

func.func @attention_c2(%q: !nn.tensor<4 x 4>, %k: !nn.tensor<8 x 4>, %v: !nn.tensor<4 x 4>) {
  // expected-error @below {{'nn.attention' op (C2) rows of key must equal rows of query, found 8 and 4}}
  %o, %l = nn.attention %q, %k, %v heads(2) kv_heads(2) seq(4) scale(1.0) : (<4 x 4>, <8 x 4>, <4 x 4>) -> (<4 x 4>, <4 x 2>)
  return
}

// -----

func.func @attention_c2_starts(%q: !nn.tensor<4 x 4>, %s: !nn.tensor<3 : i32>) {
  // expected-error @below {{'nn.attention' op (C2) elements of starts must equal rows of query, found 3 and 4}}
  %o, %l = nn.attention %q, %q, %q starts(%s : <3 : i32>) heads(2) kv_heads(2) seq(4) scale(1.0) : (<4 x 4>, <4 x 4>, <4 x 4>) -> (<4 x 4>, <4 x 2>)
  return
}

// -----

func.func @attention_c3(%q: !nn.tensor<4 x 8>, %k: !nn.tensor<4 x 4>, %v: !nn.tensor<4 x 4>) {
  // expected-error @below {{'nn.attention' op (C3) columns of query times kv_heads must equal columns of key times heads, found 16 and 8}}
  %o, %l = nn.attention %q, %k, %v heads(2) kv_heads(2) seq(4) scale(1.0) : (<4 x 8>, <4 x 4>, <4 x 4>) -> (<4 x 4>, <4 x 2>)
  return
}

// -----

func.func @attention_c3_unbound(%q: !nn.tensor<n x heads*d>, %k: !nn.tensor<n x kv*e>, %v: !nn.tensor<n x kv*d>) {
  // expected-error @below {{'nn.attention' op (C3) columns of query times kv_heads must equal columns of key times heads, found d*heads*kv and e*heads*kv}}
  %o, %l = nn.attention %q, %k, %v heads(heads) kv_heads(kv) scale(1.0) : (<n x heads*d>, <n x kv*e>, <n x kv*d>) -> (<n x heads*d>, <n x heads>)
  return
}

// -----

func.func @attention_c4(%q: !nn.tensor<4 x 4>) {
  // expected-error @below {{'nn.attention' op (C4) columns of output times kv_heads must equal columns of value times heads, found 12 and 8}}
  %o, %l = nn.attention %q, %q, %q heads(2) kv_heads(2) seq(4) scale(1.0) : (<4 x 4>, <4 x 4>, <4 x 4>) -> (<4 x 6>, <4 x 2>)
  return
}

// -----

func.func @attention_c4_lse(%q: !nn.tensor<4 x 4>) {
  // expected-error @below {{'nn.attention' op (C4) columns of lse must equal heads, found 1 and 2}}
  %o, %l = nn.attention %q, %q, %q heads(2) kv_heads(2) seq(4) scale(1.0) : (<4 x 4>, <4 x 4>, <4 x 4>) -> (<4 x 4>, <4 x 1>)
  return
}

// -----

func.func @attention_c5(%q: !nn.tensor<4 x 4>) {
  // expected-error @below {{'nn.attention' op (C5) the number of rows must be a multiple of seq, found 4 and 3}}
  %o, %l = nn.attention %q, %q, %q heads(2) kv_heads(2) seq(3) scale(1.0) : (<4 x 4>, <4 x 4>, <4 x 4>) -> (<4 x 4>, <4 x 2>)
  return
}

// -----

func.func @attention_c6(%q: !nn.tensor<4 x 4>) {
  // expected-error @below {{'nn.attention' op (C6) scale must be a number, found "one"}}
  %o, %l = nn.attention %q, %q, %q heads(2) kv_heads(2) seq(4) scale("one") : (<4 x 4>, <4 x 4>, <4 x 4>) -> (<4 x 4>, <4 x 2>)
  return
}

// -----

func.func @cross_entropy_c1(%l: !nn.tensor<4 x 8>, %t: !nn.tensor<3 : i32>) {
  // expected-error @below {{'nn.cross_entropy' op (C1) rows of logits must equal elements of targets, found 4 and 3}}
  %a, %b = nn.cross_entropy %l, %t : <4 x 8>, <3 : i32>
  return
}

// -----

func.func @accuracy_c1(%l: !nn.tensor<4 x 8>, %t: !nn.tensor<3 : i32>) {
  // expected-error @below {{'nn.accuracy' op (C1) rows of logits must equal elements of targets, found 4 and 3}}
  %a = nn.accuracy %l, %t : <4 x 8>, <3 : i32>
  return
}

// -----

func.func @cross_entropy_c2(%l: !nn.tensor<4 x 8>, %t: !nn.tensor<4 : i32>) {
  // expected-error @below {{'nn.cross_entropy' op (C2) result #1 must be '!nn.tensor<4>', found '!nn.tensor<8>'}}
  %a, %b = "nn.cross_entropy"(%l, %t) : (!nn.tensor<4 x 8>, !nn.tensor<4 : i32>) -> (!nn.tensor<1>, !nn.tensor<8>)
  return
}

// -----

func.func @mean_c1(%x: !nn.tensor<4 x 8>, %t: !nn.tensor<8 : i32>) {
  // expected-error @below {{'nn.mean' op (C1) elements of valid must equal rows of input, found 8 and 4}}
  %a = nn.mean %x valid(%t : <8 : i32>) : <4 x 8>
  return
}

// -----

func.func @mean_wants_rows(%x: !nn.tensor<4 x 8 x 2>) {
  // expected-error @below {{'nn.mean' op operand #0 must be f32 vector or matrix, but got '!nn.tensor<4 x 8 x 2>'}}
  %a = nn.mean %x : <4 x 8 x 2>
  return
}

// -----

func.func @attention_c7(%q: !nn.tensor<4 x 4>) {
  // expected-error @below {{'nn.attention' op (C7) dropout must be less than 1, found 1.0}}
  %o, %l = nn.attention %q, %q, %q heads(2) kv_heads(2) seq(4) scale(1.0) dropout(1.0) : (<4 x 4>, <4 x 4>, <4 x 4>) -> (<4 x 4>, <4 x 2>)
  return
}
