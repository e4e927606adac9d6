// RUN: contraflow-opt %s --parallel-insert-dispatch -split-input-file -verify-diagnostics

module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 3, ep = 3>} {
func.func @moe.forward(%x: !nn.tensor<6 x 4> {nn.role = #nn.role<input, "x">}, %logits: !nn.tensor<6 x 4> {nn.role = #nn.role<input, "logits">})
    -> (!nn.tensor<12 x 4> {nn.role = #nn.role<output, "0">}) {
  // expected-error @below {{'nn.route' op has 4 experts, which 3 ranks cannot share evenly}}
  %g, %s, %r, %l = nn.route %logits top_k(2) score("sigmoid") normalize(true) scale(1.0) : <6 x 4>
  %rows = nn.permute %x, %r top_k(2) : (<6 x 4>, <41 : i32>) -> <12 x 4>
  return %rows : !nn.tensor<12 x 4>
}
}

// -----

module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 2, ep = 2>} {
func.func @moe.forward(%x: !nn.tensor<6 x 4> {nn.role = #nn.role<input, "x">}, %r: !nn.tensor<41 : i32> {nn.role = #nn.role<input, "r">})
    -> (!nn.tensor<12 x 4> {nn.role = #nn.role<output, "0">}) {
  // expected-error @below {{'nn.permute' op reads a routing table that no nn.route of this block makes}}
  %rows = nn.permute %x, %r top_k(2) : (<6 x 4>, <41 : i32>) -> <12 x 4>
  return %rows : !nn.tensor<12 x 4>
}
}
