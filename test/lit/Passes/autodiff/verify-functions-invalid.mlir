// RUN: contraflow-opt %s -autodiff-verify-functions -split-input-file -verify-diagnostics

nn.block @c1(%x: <2>) -> (<2>) {
  nn.yield %x : <2>
}
// expected-error@+1 {{'func.func' op (C1) argument 0 has no 'nn.role'}}
func.func @c1.forward(%x: !nn.tensor<2>) -> (!nn.tensor<2> {nn.role = #nn.role<output, "0">}) {
  %y = nn.copy %x : <2>
  return %y : !nn.tensor<2>
}
// expected-error@+1 {{'func.func' op (C1) argument 0 is 'saved "y"', which 'evaluate' does not have}}
func.func @c1.evaluate(%x: !nn.tensor<2> {nn.role = #nn.role<saved, "y">}) -> (!nn.tensor<2> {nn.role = #nn.role<output, "0">}) {
  %y = nn.copy %x : <2>
  return %y : !nn.tensor<2>
}
// expected-error@+1 {{'func.func' op (C1) two arguments are 'input "x"'}}
func.func @c1.backward_input(%x: !nn.tensor<2> {nn.role = #nn.role<input, "x">}, %z: !nn.tensor<2> {nn.role = #nn.role<input, "x">}) {
  return
}

// -----

nn.block @c1_body(%x: <2>) -> () {
  nn.yield
}
// expected-error@+1 {{'func.func' op (C1) has no body}}
func.func private @c1_body.forward(!nn.tensor<2>)

// -----

nn.block @c2(%x: <2>) -> () {
  %w = nn.param "w" : <2>
  %v = nn.param "v" : <2>
  nn.yield
}
// expected-error@+1 {{'func.func' op (C2) result 0 is 'grad "w"', which is always tied}}
func.func @c2.backward_weight(%a: !nn.tensor<2> {nn.role = #nn.role<grad, "w">}) -> (!nn.tensor<2> {nn.role = #nn.role<grad, "w">}) {
  %y = nn.accumulate %a, %a : <2>
  return %y : !nn.tensor<2>
}
// expected-error@+1 {{'func.func' op (C2) result 0 is 'output "0"', which is never tied}}
func.func @c2.forward(%a: !nn.tensor<2> {nn.role = #nn.role<input, "x">}) -> (!nn.tensor<2> {nn.role = #nn.role<output, "0", tied = 0>}) {
  %y = nn.copy %a : <2>
  return %y : !nn.tensor<2>
}
// expected-error@+1 {{'func.func' op (C2) result 0 is 'grad "w"', but argument 0, to which it is tied, is not}}
func.func @c2.backward_input(%a: !nn.tensor<2> {nn.role = #nn.role<grad, "v">}) -> (!nn.tensor<2> {nn.role = #nn.role<grad, "w", tied = 0>}) {
  %y = nn.accumulate %a, %a : <2>
  return %y : !nn.tensor<2>
}

// -----

nn.block @c3(%x: <2>) -> (<2>, <2>) {
  nn.yield %x, %x : <2>, <2>
}
// expected-error@+1 {{'func.func' op (C3) result 0 is an argument}}
func.func @c3.forward(%x: !nn.tensor<2> {nn.role = #nn.role<input, "x">}) -> (!nn.tensor<2> {nn.role = #nn.role<output, "0">}) {
  return %x : !nn.tensor<2>
}
// expected-error@+1 {{'func.func' op (C3) result 1 is returned twice}}
func.func @c3.evaluate(%x: !nn.tensor<2> {nn.role = #nn.role<input, "x">}) -> (!nn.tensor<2> {nn.role = #nn.role<output, "0">}, !nn.tensor<2> {nn.role = #nn.role<output, "1">}) {
  %y = nn.copy %x : <2>
  return %y, %y : !nn.tensor<2>, !nn.tensor<2>
}

// -----

nn.block @c4(%x: <1>) -> () {
  nn.yield
}
func.func private @print()
func.func @c4.forward(%x: !nn.tensor<1> {nn.role = #nn.role<input, "x">}) {
  // expected-error@+1 {{'func.call' op (C4) has side effects}}
  func.call @print() : () -> ()
  return
}

// -----

nn.block @c5(%x: <2>) -> (<2>) {
  nn.yield %x : <2>
}
func.func @c5.forward(%x: !nn.tensor<2> {nn.role = #nn.role<input, "x">}) -> (!nn.tensor<2> {nn.role = #nn.role<output, "0">}) {
  %y = nn.tanh %x : <2>
  return %y : !nn.tensor<2>
}
// expected-error@+1 {{'func.func' op (C5) takes the saved value "y", which 'c5.forward' does not save}}
func.func @c5.backward_input(%y: !nn.tensor<2> {nn.role = #nn.role<saved, "y">}) -> (!nn.tensor<2> {nn.role = #nn.role<input_grad, "x">}) {
  %d = nn.copy %y : <2>
  return %d : !nn.tensor<2>
}

// -----

nn.block @c5_types(%x: <2>) -> () {
  nn.yield
}
func.func @c5_types.forward(%x: !nn.tensor<2> {nn.role = #nn.role<input, "x">}) -> (!nn.tensor<2> {nn.role = #nn.role<saved, "y">}) {
  %y = nn.tanh %x : <2>
  return %y : !nn.tensor<2>
}
// expected-error@+1 {{'func.func' op (C5) takes the saved value "y" as '!nn.tensor<1 x 2>', but 'c5_types.forward' saves '!nn.tensor<2>'}}
func.func @c5_types.backward_input(%y: !nn.tensor<1 x 2> {nn.role = #nn.role<saved, "y">}) -> (!nn.tensor<2> {nn.role = #nn.role<input_grad, "x">}) {
  %d = nn.reshape %y : <1 x 2> -> <2>
  return %d : !nn.tensor<2>
}

// -----

nn.block @c5_unused(%x: <2>) -> () {
  nn.yield
}
// expected-error@+1 {{'func.func' op (C5) saves "y", which no backward function takes}}
func.func @c5_unused.forward(%x: !nn.tensor<2> {nn.role = #nn.role<input, "x">}) -> (!nn.tensor<2> {nn.role = #nn.role<saved, "y">}) {
  %y = nn.tanh %x : <2>
  return %y : !nn.tensor<2>
}

// -----

nn.block @c6(%x: <2>) -> () {
  // expected-error@+1 {{'nn.param' op (C6) 'w' is accumulated by 0 backward functions, expected 1}}
  %w = nn.param "w" : <2>
  nn.yield
}
func.func @c6.forward(%x: !nn.tensor<2> {nn.role = #nn.role<input, "x">}) {
  return
}

// -----

nn.block @c6_twice(%x: <2>) -> () {
  // expected-error@+1 {{'nn.param' op (C6) 'w' is accumulated by 2 backward functions, expected 1}}
  %w = nn.param "w" : <2>
  nn.yield
}
func.func @c6_twice.forward(%x: !nn.tensor<2> {nn.role = #nn.role<input, "x">}) {
  return
}
func.func @c6_twice.backward_input(%a: !nn.tensor<2> {nn.role = #nn.role<grad, "w">}) -> (!nn.tensor<2> {nn.role = #nn.role<grad, "w", tied = 0>}) {
  %y = nn.accumulate %a, %a : <2>
  return %y : !nn.tensor<2>
}
func.func @c6_twice.backward_weight(%a: !nn.tensor<2> {nn.role = #nn.role<grad, "w">}) -> (!nn.tensor<2> {nn.role = #nn.role<grad, "w", tied = 0>}) {
  %y = nn.accumulate %a, %a : <2>
  return %y : !nn.tensor<2>
}

// -----

nn.block @c7(%x: <2>) -> (<2>) {
  nn.yield %x : <2>
}
// expected-error@+1 {{'func.func' op (C7) has 'input "z"', but the block has none of that name}}
func.func @c7.forward(%x: !nn.tensor<2> {nn.role = #nn.role<input, "z">}) -> (!nn.tensor<2> {nn.role = #nn.role<output, "0">}) {
  %y = nn.copy %x : <2>
  return %y : !nn.tensor<2>
}

// -----

nn.block @c7_types(%x: <2>) -> (<2>) {
  nn.yield %x : <2>
}
// expected-error@+1 {{'func.func' op (C7) has 'output "0"' of type '!nn.tensor<1 x 2>', but the block's has type '!nn.tensor<2>'}}
func.func @c7_types.forward(%x: !nn.tensor<2> {nn.role = #nn.role<input, "x">}) -> (!nn.tensor<1 x 2> {nn.role = #nn.role<output, "0">}) {
  %y = nn.reshape %x : <2> -> <1 x 2>
  return %y : !nn.tensor<1 x 2>
}

// -----

nn.block @c7_both(%x: <2>) -> (<2>) {
  nn.yield %x : <2>
}
// The first type that is wrong is reported, and nothing after it.
// expected-error@+1 {{'func.func' op (C7) has 'input "x"' of type '!nn.tensor<3>', but the block's has type '!nn.tensor<2>'}}
func.func @c7_both.forward(%x: !nn.tensor<3> {nn.role = #nn.role<input, "x">}) -> (!nn.tensor<3> {nn.role = #nn.role<output, "0">}) {
  %y = nn.copy %x : <3>
  return %y : !nn.tensor<3>
}
