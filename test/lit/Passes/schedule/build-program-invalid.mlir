// RUN: contraflow-opt %s --split-input-file --schedule-build-program --verify-diagnostics

// expected-error @below {{found no 'nn.graph @train', expected a module whose dimensions are bound}}
module {
}

// -----

module {
  // expected-error @below {{'func.func' op argument 0 has no 'nn.role'}}
  func.func private @f(!nn.tensor<4>)
  nn.graph @train(%tokens: <4 : i32>, %starts: <4 : i32>) {
  }
}

// -----

module {
  nn.block @embed(%ids: <4 : i32>) -> (<4 x 16>) {
    %table = nn.param "weight" : <8 x 16>
    %x = nn.embedding %ids, %table : (<4 : i32>, <8 x 16>) -> <4 x 16>
    nn.yield %x : <4 x 16>
  }
  nn.graph @train(%tokens: <4 : i32>, %starts: <4 : i32>) {
    // expected-error @below {{'nn.call' op calls 'embed', which has no function '.forward'}}
    %x = nn.call @embed(%tokens) : (<4 : i32>) -> (<4 x 16>)
  }
}

// -----

module {
  func.func private @embed.forward()
  nn.block @embed(%ids: <4 : i32>) -> (<4 x 16>) {
    // expected-error @below {{'nn.param' op names 'table.weight', which another parameter is named already}}
    %table = nn.param "table.weight" : <8 x 16>
    %x = nn.embedding %ids, %table : (<4 : i32>, <8 x 16>) -> <4 x 16>
    nn.yield %x : <4 x 16>
  }
  nn.graph @train(%tokens: <4 : i32>, %starts: <4 : i32>) {
    %x = nn.call @embed(%tokens) : (<4 : i32>) -> (<4 x 16>)
    %y = nn.call @embed(%tokens) : (<4 : i32>) -> (<4 x 16>)
  }
}

// -----

module {
  // expected-error @below {{'nn.graph' op needs a function 'step.begin', which the module does not have}}
  nn.graph @train(%tokens: <4 : i32>, %starts: <4 : i32>) {
  }
}

// -----

module {
  func.func private @step.begin()
  func.func private @embed.forward(!nn.tensor<4 : i32> {nn.role = #nn.role<input, "words">})
  nn.block @embed(%ids: <4 : i32>) -> () {
    nn.yield
  }
  // expected-error @below {{'nn.graph' op has nothing to pass to input 'words' of 'embed.forward'}}
  nn.graph @train(%tokens: <4 : i32>, %starts: <4 : i32>) {
    nn.call @embed(%tokens) : (<4 : i32>) -> ()
  }
}

// -----

module {
  func.func private @step.begin()
  func.func private @step.clip()
  nn.block @embed(%ids: <4 : i32>) -> () {
    %table = nn.param "weight" : <8 x 16>
    nn.yield
  }
  nn.graph @train(%tokens: <4 : i32>, %starts: <4 : i32>) {
  }
  nn.graph @generate(%tokens: <4 : i32>, %starts: <4 : i32>) {
    // expected-error @below {{'nn.call' op has a parameter 'a.weight' that '@train' has not}}
    nn.call @embed(%tokens) prefix("a") : (<4 : i32>) -> ()
  }
}

// -----

// What ranks do together is in a program, or it is an error: functions of collectives end here.
module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 2, ep = 1>} {
  func.func private @step.begin()
  func.func private @step.clip()
  nn.graph @train(%tokens: <4 : i32>, %starts: <4 : i32>) {
  }
  // expected-error @below {{'func.func' op 'step.other' has collectives that no program starts}}
  func.func @step.other(%x: !nn.tensor<4> {nn.role = #nn.role<loss, "x">}) -> (!nn.tensor<4> {nn.role = #nn.role<loss, "x", tied = 0>}) {
    %sum = comm.all_reduce %x over dp : <4>
    return %sum : !nn.tensor<4>
  }
}
