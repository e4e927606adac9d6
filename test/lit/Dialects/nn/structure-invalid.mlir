// RUN: contraflow-opt %s -split-input-file -verify-diagnostics
// One model or block per numbered constraint.

// expected-error @below {{'nn.model' op (C1) holds 0 graphs, expected 1}}
nn.model @model_c1 for ["x"] {
}

// -----

nn.model @model_c2_config for ["x"] {
  nn.config hidden = "hidden_size" : dim
  // expected-error @below {{'nn.let' op (C2) 'hidden' is declared already}}
  nn.let hidden = 4
  nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {}
}

// -----

nn.model @model_c2_predefined for ["x"] {
  // expected-error @below {{'nn.config' op (C2) 'batch' is declared already}}
  nn.config batch = "batch" : dim
  nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {}
}

// -----

nn.model @model_c2_dimension for ["x"] {
  nn.config hidden = "hidden_size" : dim
  // expected-error @below {{'nn.block' op (C2) 'hidden' is declared already}}
  nn.block @b<hidden>(%x: <tokens x hidden>) -> () {
    nn.yield
  }
  nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {}
}

// -----

nn.model @model_c2_variable for ["x"] {
  nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {
    nn.repeat i = 0 to 2 {
      // expected-error @below {{'nn.repeat' op (C2) 'i' is declared already}}
      nn.repeat i = 0 to 2 {
      }
    }
  }
}

// -----

nn.model @model_c3_in_a_type for ["x"] {
  nn.config hidden = "hidden_size" : dim
  // expected-error @below {{'nn.block' op (C3) uses 'hiden', which is not declared; did you mean 'hidden'?}}
  nn.block @b(%x: <tokens x hiden>) -> () {
    nn.yield
  }
  nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {}
}

// -----

nn.model @model_c3_before_its_declaration for ["x"] {
  // expected-error @below {{'nn.let' op (C3) uses 'hidden', which is not declared}}
  nn.let twice = 2*hidden
  nn.config hidden = "hidden_size" : dim
  nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {}
}

// -----

nn.model @model_c3_in_an_attribute for ["x"] {
  nn.block @b(%x: <tokens x 4>, %w: <4>) -> (<tokens x 4>) {
    // expected-error @below {{'nn.rms_norm' op (C3) uses 'eps', which is not declared}}
    %y = nn.rms_norm %x, %w eps(eps) : <tokens x 4>, <4>
    nn.yield %y : <tokens x 4>
  }
  nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {}
}

// -----

nn.model @model_c3_in_a_name for ["x"] {
  nn.block @b() -> () {
    nn.yield
  }
  nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {
    nn.repeat i = 0 to 2 {
      // expected-error @below {{'nn.call' op (C3) uses 'j', which is not declared}}
      nn.call @b() prefix("layers.{j}") : () -> ()
    }
  }
}

// -----

nn.model @model_c3_of_another_block for ["x"] {
  nn.block @a<width>() -> () {
    nn.yield
  }
  // expected-error @below {{'nn.block' op (C3) uses 'width', which is not declared}}
  nn.block @b(%x: <tokens x width>) -> () {
    nn.yield
  }
  nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {}
}

// -----

nn.model @model_braces for ["x"] {
  nn.block @b() -> () {
    nn.yield
  }
  nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {
    // expected-error @below {{'nn.call' op (C3) name "layers.{0" has a brace without a partner}}
    nn.call @b() prefix("layers.{0") : () -> ()
  }
}

// -----

nn.model @config_c1 for ["x"] {
  // expected-error @below {{'nn.config' op (C1) needs key paths that are not empty}}
  nn.config hidden = "" : dim
  nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {}
}

// -----

nn.model @config_c2 for ["x"] {
  // expected-error @below {{'nn.config' op (C2) 'one_of' lists integers, booleans or text, found [1.500000e+00]}}
  nn.config act = "act" : one_of[1.5]
  nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {}
}

// -----

nn.model @config_c3 for ["x"] {
  // expected-error @below {{'nn.config' op (C3) 'min' and 'max' are for dim, int and float, found bool}}
  nn.config tied = "tied" : bool max(1)
  nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {}
}

// -----

nn.model @config_c4 for ["x"] {
  nn.config tied = "tied" : bool
  // expected-error @below {{'nn.config' op (C4) 'unless' needs a 'default'}}
  nn.config hidden = "hidden_size" : dim unless tied
  nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {}
}

// -----

nn.model @config_kind for ["x"] {
  // expected-error @below {{expected dim, int, float, bool, text or one_of, found 'size'}}
  nn.config act = "act" : size
}

// -----

nn.block @block_c1(%x: <8 x 4>) -> (<8 x 4>) {
  // expected-error @below {{'nn.yield' op (C1) yields nothing, 'nn.block' has results '!nn.tensor<8 x 4>'}}
  nn.yield
}

// -----

// expected-error @below {{custom op 'nn.block' (C1) body must end with nn.yield}}
nn.block @block_c1_without_yield(%x: <8 x 4>) -> (<8 x 4>) {
  %y = nn.silu %x : <8 x 4>
}

// -----

// expected-error @below {{'nn.block' op (C2) 'a' is declared already}}
nn.block @block_c2<a, a>() -> () {
  nn.yield
}

// -----

nn.block @block_c3(%x: <8 x 4>) -> () {
  nn.if true {
    // expected-error @below {{'nn.output' op (C3) must not be in a block}}
    nn.output "logits" %x : <8 x 4>
  }
  nn.yield
}

// -----

nn.block @a() -> () {
  nn.yield
}
nn.block @call_c1() -> () {
  // expected-error @below {{'nn.call' op (C1) '@b' is no block; did you mean '@a'?}}
  nn.call @b() : () -> ()
  nn.yield
}

// -----

nn.block @a<width>(%x: <8 x width>) -> () {
  nn.yield
}
nn.block @call_c2(%x: <8 x 4>) -> () {
  // expected-error @below {{'nn.call' op (C2) '@a' takes 1 dimensions and 0 blocks, found 0 and 0}}
  nn.call @a(%x) : (<8 x 4>) -> ()
  nn.yield
}

// -----

nn.block @a<width>(%x: <8 x width>) -> () {
  nn.yield
}
nn.block @b(@f)(%x: <8 x 4>) -> () {
  nn.call @f(%x) : (<8 x 4>) -> ()
  nn.yield
}
nn.block @call_c2_of_a_given_block(%x: <8 x 4>) -> () {
  // expected-error @below {{'nn.call' op (C2) '@a' takes 1 dimensions and 0 blocks, found 0 and 0}}
  nn.call @b(@a)(%x) : (<8 x 4>) -> ()
  nn.yield
}

// -----

nn.block @call_c2_of_a_block_parameter(@f)(%x: <8 x 4>) -> () {
  // expected-error @below {{'nn.call' op (C2) '@f' takes 0 dimensions and 0 blocks, found 1 and 0}}
  nn.call @f<4>(%x) : (<8 x 4>) -> ()
  nn.yield
}

// -----

nn.block @a<width>(%x: <8 x 2*width>) -> () {
  nn.yield
}
nn.block @call_c3(%x: <8 x 4>) -> () {
  // expected-error @below {{'nn.call' op (C3) operand 0 is '!nn.tensor<8 x 4>', '@a' has '!nn.tensor<8 x 6>'}}
  nn.call @a<3>(%x) : (<8 x 4>) -> ()
  nn.yield
}

// -----

nn.model @call_c3_unbound for ["x"] {
  nn.config nope = "nope" : dim
  nn.config rope = "rope" : dim
  nn.block @a<width>(%x: <tokens x 2*width>) -> () {
    nn.yield
  }
  nn.block @b(%x: <tokens x 2*nope + 2*rope>, %y: <tokens x 2*nope + rope>) -> () {
    nn.call @a<nope + rope>(%x) : (<tokens x 2*nope + 2*rope>) -> ()
    // expected-error @below {{'nn.call' op (C3) operand 0 is '!nn.tensor<tokens x 2*nope + rope>', '@a' has '!nn.tensor<tokens x 2*nope + 2*rope>'}}
    nn.call @a<nope + rope>(%y) : (<tokens x 2*nope + rope>) -> ()
    nn.yield
  }
  nn.graph(%tokens: <tokens : i32>, %starts: <tokens : i32>) {}
}

// -----

nn.block @a() -> (<8 x 4>) {
  %w = nn.param "w" : <8 x 4>
  nn.yield %w : <8 x 4>
}
nn.block @call_c3_results() -> () {
  // expected-error @below {{'nn.call' op (C3) has 0 results, '@a' has 1}}
  nn.call @a() : () -> ()
  nn.yield
}

// -----

nn.block @if_c1(%x: <8 x 4>) -> () {
  %y = nn.if true -> <8 x 4> {
    nn.yield %x : <8 x 4>
  } else {
    %w = nn.param "w" : <8 x 3>
    // expected-error @below {{'nn.yield' op (C1) yields '!nn.tensor<8 x 3>', 'nn.if' has results '!nn.tensor<8 x 4>'}}
    nn.yield %w : <8 x 3>
  }
  nn.yield
}

// -----

nn.block @if_c1_without_else(%x: <8 x 4>) -> () {
  // expected-error @below {{'nn.if' op (C1) has results and must have an else branch}}
  %y = nn.if true -> <8 x 4> {
    nn.yield %x : <8 x 4>
  }
  nn.yield
}

// -----

nn.block @repeat_c1(%x: <8 x 4>) -> () {
  %y = nn.repeat i = 0 to 2 carry(%z = %x : <8 x 4>) {
    %w = nn.param "w" : <8 x 3>
    // expected-error @below {{'nn.yield' op (C1) yields '!nn.tensor<8 x 3>', 'nn.repeat' has results '!nn.tensor<8 x 4>'}}
    nn.yield %w : <8 x 3>
  }
  nn.yield
}

// -----

nn.graph @graph_c1(%tokens: <8 : i32>, %starts: <8 : i32>) {
  %w = nn.param "w" : <16 x 4>
  // expected-error @below {{'nn.embedding' op (C1) must be in a block, a graph only calls blocks}}
  %x = nn.embedding %tokens, %w : (<8 : i32>, <16 x 4>) -> <8 x 4>
}

// -----

// expected-error @below {{'nn.graph' op (C2) takes token ids and document starts, both <tokens : i32>}}
nn.graph @graph_c2(%tokens: <8 : i32>) {
}

// -----

nn.block @param_c1() -> () {
  // expected-error @below {{'nn.param' op (C1) must be f32, found '!nn.tensor<8 : i32>'}}
  %w = nn.param "w" : <8 : i32>
  nn.yield
}

// -----

nn.block @param_c2() -> () {
  // expected-error @below {{'nn.param' op (C2) 'over e' needs '{e}' in the name and two dimensions, found "experts.weight" and '!nn.tensor<8 x 4>'}}
  %w = nn.param "experts.weight" over e : <8 x 4>
  nn.yield
}

// -----

nn.block @param_c3() -> () {
  // expected-error @below {{'nn.param' op (C3) braces must hold expressions, found "w.{1 +}"}}
  %w = nn.param "w.{1 +}" : <8 x 4>
  nn.yield
}

// -----

nn.block @param_init() -> () {
  // expected-error @below {{expected normal, ones or zeros, found 'twos'}}
  %w = nn.param "w" init(twos) : <8 x 4>
  nn.yield
}

// -----

nn.graph @shift_c1(%tokens: <8 : i32>, %starts: <8 : i32>) {
  // expected-error @below {{'nn.shift' op (C1) by must be an integer of at least 0, found -1}}
  %x = nn.shift %tokens by(-1) seq(4) : <8 : i32>
}

// -----

nn.graph @shift_c1_beyond_the_sequence(%tokens: <8 : i32>, %starts: <8 : i32>) {
  // expected-error @below {{'nn.shift' op (C1) by must be less than seq, found 4 and 4: no token would be left}}
  %x = nn.shift %tokens by(4) seq(4) : <8 : i32>
}

// -----

nn.graph @shift_c1_no_integer(%tokens: <8 : i32>, %starts: <8 : i32>) {
  // expected-error @below {{'nn.shift' op (C1) by must be an integer of at least 0, found 1.5}}
  %x = nn.shift %tokens by(1.5) seq(4) : <8 : i32>
}

// -----

nn.graph @shift_c2_no_number(%tokens: <8 : i32>, %starts: <8 : i32>) {
  // expected-error @below {{'nn.shift' op (C2) seq must be an integer of at least 1, found "four"}}
  %x = nn.shift %tokens by(1) seq("four") : <8 : i32>
}

// -----

nn.graph @shift_c2(%tokens: <8 : i32>, %starts: <8 : i32>) {
  // expected-error @below {{'nn.shift' op (C2) 8 ids are not sequences of 3}}
  %x = nn.shift %tokens by(1) seq(3) : <8 : i32>
}

// -----

nn.block @shift_c3(%ids: <8 : i32>, %starts: <4 : i32>) -> () {
  // expected-error @below {{'nn.shift' op (C3) starts must be as many as ids, found '!nn.tensor<4 : i32>' for '!nn.tensor<8 : i32>'}}
  %x = nn.shift %ids starts(%starts : <4 : i32>) by(1) seq(4) : <8 : i32>
  nn.yield
}

// -----

nn.block @loss_c1(%x: <1>) -> () {
  // expected-error @below {{'nn.loss' op (C1) needs a name}}
  nn.loss "" weight(1) %x : <1>
  nn.yield
}

// -----

nn.block @loss_c2(%x: <1>) -> () {
  // expected-error @below {{'nn.loss' op (C2) weight must be at least 0, found -0.5}}
  nn.loss "main" weight(-0.5) %x : <1>
  nn.yield
}

// -----

nn.block @metric_c1(%x: <1>) -> () {
  // expected-error @below {{'nn.metric' op (C1) needs a name}}
  nn.metric mean "" %x : <1>
  nn.yield
}

// -----

nn.block @metric_c2(%x: <2>) -> () {
  // expected-error @below {{'nn.metric' op (C2) the value of a 'mean' must be '<1>', found '!nn.tensor<2>'}}
  nn.metric mean "a" %x : <2>
  nn.yield
}

// -----

nn.block @metric_c2_ratio(%x: <n>) -> () {
  // expected-error @below {{'nn.metric' op (C2) the value of a 'ratio' must be '<2>', found '!nn.tensor<n>'}}
  nn.metric ratio "a" %x : <n>
  nn.yield
}

// -----

nn.block @loss_c2_no_number(%x: <1>) -> () {
  // expected-error @below {{'nn.loss' op (C2) weight must be a number, found true}}
  nn.loss "main" weight(true) %x : <1>
  nn.yield
}

// -----

nn.block @loss_c2_beyond_single_precision(%x: <1>) -> () {
  // expected-error @below {{'nn.loss' op (C2) weight must be a number that single precision holds, found 1.0e+300}}
  nn.loss "main" weight(1.0e300) %x : <1>
  nn.yield
}

// -----

nn.block @update_c2(%load: <8>) -> () {
  %w = nn.param "w" buffer : <8>
  // expected-error @below {{'nn.update' op (C2) rate must be at least 0, found -0.001}}
  nn.update %w, %load rate(-0.001) : <8>
  nn.yield
}

// -----

nn.block @update_c1(%load: <8>) -> () {
  %w = nn.param "w" : <8>
  // expected-error @below {{'nn.update' op (C1) the bias must be a parameter marked 'buffer'}}
  nn.update %w, %load rate(0.001) : <8>
  nn.yield
}

// -----

// A block sees none of another's names, nor does a name that one lacks come from the next.
nn.block @without_ids<hidden>(%x: <tokens x hidden>) -> () {
  // expected-error @below {{use of undeclared SSA value name}}
  nn.call @other(%ids) : (<tokens : i32>) -> ()
  nn.yield
}
nn.block @with_ids<hidden>(%ids: <tokens : i32>) -> () {
  nn.yield
}
