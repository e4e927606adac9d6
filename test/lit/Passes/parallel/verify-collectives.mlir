// RUN: contraflow-opt %s --split-input-file --parallel-verify-collectives --verify-diagnostics

module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 2, ep = 1>} {
  func.func @valid(%x: !nn.tensor<4> {nn.role = #nn.role<grad, "x">}) -> (!nn.tensor<4> {nn.role = #nn.role<grad, "x", tied = 0>}) {
    %sum = comm.all_reduce %x over dp : <4>
    return %sum : !nn.tensor<4>
  }
}

// -----

module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 2, ep = 1>} {
  func.func @verify_collectives_c1(%x: !nn.tensor<4>, %here: i1) -> !nn.tensor<4> {
    cf.cond_br %here, ^sum, ^none
  ^sum:
    // expected-error @below {{'comm.all_reduce' op (C1) is not in the only block of a function, so that not every rank need reach it}}
    %sum = comm.all_reduce %x over dp : <4>
    return %sum : !nn.tensor<4>
  ^none:
    return %x : !nn.tensor<4>
  }
}

// -----

module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 2, ep = 1>} {
  func.func @verify_collectives_c2(%x: !nn.tensor<4>) -> !nn.tensor<4> {
    // expected-error @below {{'nn.silu' op (C2) stands in 'verify_collectives_c2' beside collectives, expected collectives only}}
    %y = nn.silu %x : <4>
    %sum = comm.all_reduce %y over dp : <4>
    return %sum : !nn.tensor<4>
  }
}

// -----

module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 2, ep = 1>} {
  // expected-error @below {{'func.func' op (C3) returns an argument as result 1, expected a collective's}}
  func.func @verify_collectives_c3(%x: !nn.tensor<4>) -> (!nn.tensor<4>, !nn.tensor<4>) {
    %sum = comm.all_reduce %x over dp : <4>
    return %sum, %x : !nn.tensor<4>, !nn.tensor<4>
  }
}

// -----

module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 2, ep = 1>} {
  // expected-error @below {{'func.func' op (C3) result 0 is tied to argument 1, but is no sum of it}}
  func.func @verify_collectives_c3_tied(%x: !nn.tensor<4> {nn.role = #nn.role<grad, "x">}, %y: !nn.tensor<4> {nn.role = #nn.role<grad, "y">})
      -> (!nn.tensor<4> {nn.role = #nn.role<grad, "y", tied = 1>}) {
    %sum = comm.all_reduce %x over dp : <4>
    return %sum : !nn.tensor<4>
  }
}
