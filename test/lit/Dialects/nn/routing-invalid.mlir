// RUN: contraflow-opt %s -split-input-file -verify-diagnostics
// Mixture of experts.

func.func @route_c1(%l: !nn.tensor<4 x 8>, %b: !nn.tensor<4>) {
  // expected-error @below {{'nn.route' op (C1) elements of bias must equal columns of logits, found 4 and 8}}
  %g, %s, %r, %n = nn.route %l bias(%b : <4>) top_k(2) score("sigmoid") normalize(true) scale(1.0) : <4 x 8>
  return
}

// -----

func.func @route_c2(%l: !nn.tensor<4 x 8>, %i: !nn.tensor<8 : i32>) {
  // expected-error @below {{'nn.route' op (C2) elements of valid must equal rows of logits, found 8 and 4}}
  %g, %s, %r, %n = nn.route %l valid(%i : <8 : i32>) top_k(2) score("sigmoid") normalize(true) scale(1.0) : <4 x 8>
  return
}

// -----

func.func @route_c3(%l: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.route' op (C3) columns of logits must be a multiple of groups, found 8 and 3}}
  %g, %s, %r, %n = nn.route %l top_k(2) groups(3) score("sigmoid") normalize(true) scale(1.0) : <4 x 8>
  return
}

// -----

func.func @route_c3_limit(%l: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.route' op (C3) group_limit must be at most groups, found 3 and 2}}
  %g, %s, %r, %n = nn.route %l top_k(2) groups(2) group_limit(3) score("sigmoid") normalize(true) scale(1.0) : <4 x 8>
  return
}

// -----

func.func @route_c4(%l: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.route' op (C4) top_k * groups must be at most group_limit * experts, found 12 and 8}}
  %g, %s, %r, %n = nn.route %l top_k(3) groups(4) group_limit(1) score("sigmoid") normalize(true) scale(1.0) : <4 x 8>
  return
}

// -----

func.func @route_c5(%l: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.route' op (C5) score must be "sigmoid" or "softmax", found "tanh"}}
  %g, %s, %r, %n = nn.route %l top_k(2) score("tanh") normalize(true) scale(1.0) : <4 x 8>
  return
}

// -----

func.func @route_c5_small_groups(%l: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.route' op (C5) 2 * groups of top2sum must be at most experts, found 16 and 8}}
  %g, %s, %r, %n = nn.route %l top_k(2) groups(8) group_limit(2) group_score("top2sum") score("sigmoid") normalize(true) scale(1.0) : <4 x 8>
  return
}

// -----

func.func @route_c6(%l: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.route' op (C6) normalize must be true or false, found 2}}
  %g, %s, %r, %n = nn.route %l top_k(2) score("sigmoid") normalize(2) scale(1.0) : <4 x 8>
  return
}

// -----

func.func @route_c7(%l: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.route' op (C7) result #0 must be '!nn.tensor<4 x 2>', found '!nn.tensor<4 x 8>'}}
  %g, %s, %r, %n = "nn.route"(%l) <{top_k = #nn.expr<2>, score = #nn.expr<"sigmoid">, normalize = #nn.expr<true>, scale = #nn.expr<1>, operandSegmentSizes = array<i32: 1, 0, 0>}> : (!nn.tensor<4 x 8>) -> (!nn.tensor<4 x 8>, !nn.tensor<4 x 8>, !nn.tensor<33 : i32>, !nn.tensor<8>)
  return
}

// -----

func.func @permute_c1(%x: !nn.tensor<4 x 8>, %r: !nn.tensor<25 : i32>) {
  // expected-error @below {{'nn.permute' op (C1) 2 * choices + rows + 2 must be at most elements of routing, found 26 and 25}}
  %y = nn.permute %x, %r top_k(2) : (<4 x 8>, <25 : i32>) -> <8 x 8>
  return
}

// -----

func.func @permute_c2(%x: !nn.tensor<4 x 8>, %r: !nn.tensor<33 : i32>) {
  // expected-error @below {{'nn.permute' op (C2) result #0 must be '!nn.tensor<8 x 8>', found '!nn.tensor<4 x 8>'}}
  %y = nn.permute %x, %r top_k(2) : (<4 x 8>, <33 : i32>) -> <4 x 8>
  return
}

// -----

func.func @unpermute_c1(%x: !nn.tensor<7 x 8>, %r: !nn.tensor<33 : i32>, %g: !nn.tensor<4 x 2>) {
  // expected-error @below {{'nn.unpermute' op (C1) rows of input must equal elements of gates, found 7 and 8}}
  %y = nn.unpermute %x, %r, %g : (<7 x 8>, <33 : i32>, <4 x 2>) -> <4 x 8>
  return
}

// -----

func.func @unpermute_c2(%x: !nn.tensor<8 x 8>, %r: !nn.tensor<25 : i32>, %g: !nn.tensor<4 x 2>) {
  // expected-error @below {{'nn.unpermute' op (C2) 2 * choices + rows + 2 must be at most elements of routing, found 26 and 25}}
  %y = nn.unpermute %x, %r, %g : (<8 x 8>, <25 : i32>, <4 x 2>) -> <4 x 8>
  return
}

// -----

func.func @unpermute_c3(%x: !nn.tensor<8 x 8>, %r: !nn.tensor<33 : i32>, %g: !nn.tensor<4 x 2>) {
  // expected-error @below {{'nn.unpermute' op (C3) result #0 must be '!nn.tensor<4 x 8>', found '!nn.tensor<8 x 8>'}}
  %y = nn.unpermute %x, %r, %g : (<8 x 8>, <33 : i32>, <4 x 2>) -> <8 x 8>
  return
}

// -----

func.func @balance_loss_c1(%s: !nn.tensor<4 x 8>, %i: !nn.tensor<8 : i32>) {
  // expected-error @below {{'nn.balance_loss' op (C1) elements of valid must equal rows of scores, found 8 and 4}}
  %b = nn.balance_loss %s valid(%i : <8 : i32>) top_k(2) seq(4) : <4 x 8>
  return
}

// -----

func.func @balance_loss_c2(%s: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.balance_loss' op (C2) top_k must be at most columns of scores, found 9 and 8}}
  %b = nn.balance_loss %s top_k(9) seq(4) : <4 x 8>
  return
}

// -----

func.func @balance_loss_c3(%s: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.balance_loss' op (C3) the number of rows must be a multiple of seq, found 4 and 3}}
  %b = nn.balance_loss %s top_k(2) seq(3) : <4 x 8>
  return
}

// -----

func.func @bias_update_c1(%b: !nn.tensor<8>) {
  // expected-error @below {{'nn.bias_update' op (C1) rate must be a number, found true}}
  %c = nn.bias_update %b, %b rate(true) : <8>
  return
}

// -----

// The table of one of several ranks: choices and room for rows are counted apart.
func.func @permute_c1_room(%x: !nn.tensor<4 x 8>, %r: !nn.tensor<28 : i32>) {
  // expected-error @below {{'nn.permute' op (C1) 2 * choices + rows + 2 must be at most elements of routing, found 30 and 28}}
  %y = nn.permute %x, %r top_k(2) room(12) : (<4 x 8>, <28 : i32>) -> <12 x 8>
  return
}

// -----

func.func @permute_c2_room(%x: !nn.tensor<4 x 8>, %r: !nn.tensor<33 : i32>) {
  // expected-error @below {{'nn.permute' op (C2) result #0 must be '!nn.tensor<12 x 8>', found '!nn.tensor<8 x 8>'}}
  %y = nn.permute %x, %r top_k(2) room(12) : (<4 x 8>, <33 : i32>) -> <8 x 8>
  return
}

// -----

func.func @unpermute_c1_room(%x: !nn.tensor<8 x 8>, %r: !nn.tensor<33 : i32>, %g: !nn.tensor<4 x 2>) {
  // expected-error @below {{'nn.unpermute' op (C1) rows of input must equal room, found 8 and 12}}
  %y = nn.unpermute %x, %r, %g room(12) : (<8 x 8>, <33 : i32>, <4 x 2>) -> <4 x 8>
  return
}

// -----

func.func @grouped_linear_c2_choices(%x: !nn.tensor<12 x 8>, %w: !nn.tensor<2 x 5 x 8>, %r: !nn.tensor<39 : i32>) {
  // expected-error @below {{'nn.grouped_linear' op (C2) elements of routing must equal 2 * choices + rows + experts + 1, found 39 and 31}}
  %y = nn.grouped_linear %x, %w, %r choices(8) : (<12 x 8>, <2 x 5 x 8>, <39 : i32>) -> <12 x 5>
  return
}
