// RUN: contraflow-opt %s -autodiff-verify-functions | FileCheck %s

// Functions that a person wrote: instead of saving the result of tanh, the backward computes it again.
nn.block @f(%x: <3 x 2>) -> (<3 x 5>) {
  %w = nn.param "w" : <5 x 2>
  %b = nn.param "b" init(zeros) : <5>
  %y = nn.tanh %x : <3 x 2>
  %z = nn.linear %y, %w : (<3 x 2>, <5 x 2>) -> <3 x 5>
  nn.yield %z : <3 x 5>
}

// CHECK-LABEL: func.func @f.forward
func.func @f.forward(%x: !nn.tensor<3 x 2> {nn.role = #nn.role<input, "x">}, %w: !nn.tensor<5 x 2> {nn.role = #nn.role<param, "w">})
    -> (!nn.tensor<3 x 5> {nn.role = #nn.role<output, "0">}) attributes {nn.without_gradient = ["b"]} {
  %y = nn.tanh %x : <3 x 2>
  %z = nn.linear %y, %w : (<3 x 2>, <5 x 2>) -> <3 x 5>
  return %z : !nn.tensor<3 x 5>
}
// CHECK-LABEL: func.func @f.backward_input
func.func @f.backward_input(
    %x: !nn.tensor<3 x 2> {nn.role = #nn.role<input, "x">}, %w: !nn.tensor<5 x 2> {nn.role = #nn.role<param, "w">},
    %d: !nn.tensor<3 x 5> {nn.role = #nn.role<output_grad, "0">})
    -> (!nn.tensor<3 x 2> {nn.role = #nn.role<input_grad, "x">}, !nn.tensor<3 x 2> {nn.role = #nn.role<saved_input, "y">}) {
  %y = nn.tanh %x : <3 x 2>
  %dy = nn.linear_input_grad %d, %w : (<3 x 5>, <5 x 2>) -> <3 x 2>
  %dx = nn.tanh_input_grad %dy, %y : <3 x 2>
  return %dx, %y : !nn.tensor<3 x 2>, !nn.tensor<3 x 2>
}
// CHECK-LABEL: func.func @f.backward_weight
func.func @f.backward_weight(
    %y: !nn.tensor<3 x 2> {nn.role = #nn.role<saved_input, "y">}, %d: !nn.tensor<3 x 5> {nn.role = #nn.role<output_grad, "0">},
    %acc: !nn.tensor<5 x 2> {nn.role = #nn.role<grad, "w">}) -> (!nn.tensor<5 x 2> {nn.role = #nn.role<grad, "w", tied = 2>}) {
  %dw = nn.linear_weight_grad %d, %y : (<3 x 5>, <3 x 2>) -> <5 x 2>
  %sum = nn.accumulate %acc, %dw : <5 x 2>
  return %sum : !nn.tensor<5 x 2>
}
