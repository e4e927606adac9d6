// RUN: contraflow-opt %s -split-input-file -verify-diagnostics
// Sums, products, activation functions, and moving columns.

func.func @add_c1(%x: !nn.tensor<4 x 8>, %y: !nn.tensor<4>) {
  // expected-error @below {{'nn.add' op (C1) rhs cannot be repeated to the type of lhs, found '!nn.tensor<4>' and '!nn.tensor<4 x 8>'}}
  %z = nn.add %x, %y : <4 x 8>, <4>
  return
}

// -----

func.func @sub_c1(%x: !nn.tensor<8>, %y: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.sub' op (C1) rhs cannot be repeated to the type of lhs, found '!nn.tensor<4 x 8>' and '!nn.tensor<8>'}}
  %z = nn.sub %x, %y : <8>, <4 x 8>
  return
}

// -----

func.func @mul_c1(%x: !nn.tensor<n x h>, %y: !nn.tensor<h x 1>) {
  // expected-error @below {{'nn.mul' op (C1) rhs cannot be repeated to the type of lhs, found '!nn.tensor<h x 1>' and '!nn.tensor<n x h>'}}
  %z = nn.mul %x, %y : <n x h>, <h x 1>
  return
}

// -----

func.func @swiglu_wants_one_type(%x: !nn.tensor<4 x 8>, %y: !nn.tensor<4 x 7>) {
  // expected-error @below {{'nn.swiglu' op requires the same type for all operands and results}}
  %z = "nn.swiglu"(%x, %y) : (!nn.tensor<4 x 8>, !nn.tensor<4 x 7>) -> !nn.tensor<4 x 8>
  return
}

// -----

func.func @scale_c1(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.scale' op (C1) by must be a number, found "two"}}
  %z = nn.scale %x by("two") : <4 x 8>
  return
}

// -----

func.func @gelu_c1(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.gelu' op (C1) approximate must be "none" or "tanh", found "erf"}}
  %z = nn.gelu %x approximate("erf") : <4 x 8>
  return
}

// -----

func.func @concat_c1(%x: !nn.tensor<4 x 8>, %y: !nn.tensor<4 x 6>) {
  // expected-error @below {{'nn.concat' op (C1) columns of rhs must be a multiple of heads, found 6 and 4}}
  %z = nn.concat %x, %y heads(4) : (<4 x 8>, <4 x 6>) -> <4 x 14>
  return
}

// -----

func.func @concat_c2(%x: !nn.tensor<4 x 8>, %y: !nn.tensor<5 x 8>) {
  // expected-error @below {{'nn.concat' op (C2) rows of lhs must equal rows of rhs, found 4 and 5}}
  %z = nn.concat %x, %y : (<4 x 8>, <5 x 8>) -> <4 x 16>
  return
}

// -----

func.func @concat_c3(%x: !nn.tensor<n x heads*a>, %y: !nn.tensor<n x heads*b>) {
  // expected-error @below {{'nn.concat' op (C3) result #0 must be '!nn.tensor<n x a*heads + b*heads>', found '!nn.tensor<n x a + b>'}}
  %z = nn.concat %x, %y heads(heads) : (<n x heads*a>, <n x heads*b>) -> <n x a + b>
  return
}

// -----

func.func @slice_c1(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.slice' op (C1) columns of input must be a multiple of heads, found 8 and 3}}
  %z = nn.slice %x heads(3) offset(0) size(1) : <4 x 8> -> <4 x 3>
  return
}

// -----

func.func @slice_c2(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.slice' op (C2) heads * (offset + size) must be at most columns of input, found 10 and 8}}
  %z = nn.slice %x heads(2) offset(3) size(2) : <4 x 8> -> <4 x 4>
  return
}

// -----

func.func @slice_c2_offset(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.slice' op (C2) offset must be an integer of at least 0, found -1}}
  %z = nn.slice %x offset(-1) size(2) : <4 x 8> -> <4 x 2>
  return
}

// -----

func.func @slice_c3(%x: !nn.tensor<n x 2*a>) {
  // expected-error @below {{'nn.slice' op (C3) result #0 must be '!nn.tensor<n x a>', found '!nn.tensor<n x b>'}}
  %z = nn.slice %x offset(0) size(a) : <n x 2*a> -> <n x b>
  return
}

// -----

func.func @broadcast_c1(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.broadcast' op (C1) heads must be an integer of at least 1, found 0}}
  %z = nn.broadcast %x heads(0) : <4 x 8> -> <4 x 8>
  return
}

// -----

func.func @broadcast_c2(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.broadcast' op (C2) result #0 must be '!nn.tensor<4 x 16>', found '!nn.tensor<4 x 8>'}}
  %z = nn.broadcast %x heads(2) : <4 x 8> -> <4 x 8>
  return
}

// -----

func.func @reshape_c1(%x: !nn.tensor<n x h*d>) {
  // expected-error @below {{'nn.reshape' op (C1) elements of input must equal elements of output, found d*h*n and h*n}}
  %z = nn.reshape %x : <n x h*d> -> <n x h>
  return
}

// -----

func.func @dropout_c1(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.dropout' op (C1) p must be less than 1, found 1.0}}
  %z = nn.dropout %x p(1.0) : <4 x 8>
  return
}

// -----

func.func @dropout_c1_negative(%x: !nn.tensor<4 x 8>) {
  // expected-error @below {{'nn.dropout' op (C1) p must be at least 0, found -0.5}}
  %z = nn.dropout %x p(-0.5) : <4 x 8>
  return
}

// -----

func.func @dropout_wants_a_key(%x: !nn.tensor<4 x 8>, %k: !nn.tensor<5 : i32>) {
  // expected-error @below {{'nn.dropout' op operand #1 must be random key <4 : i32>, but got '!nn.tensor<5 : i32>'}}
  %z = nn.dropout %x p(0.5) random(%k : <5 : i32>) : <4 x 8>
  return
}
