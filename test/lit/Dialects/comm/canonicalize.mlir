// RUN: contraflow-opt %s -canonicalize -cse -split-input-file | FileCheck %s

// A collective of one rank is its operand.
module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 8, ep = 1>} {
// CHECK-LABEL: func.func @single
// CHECK-SAME: (%[[X:.+]]: !nn.tensor<8 x 3>)
// CHECK-NEXT: return %[[X]], %[[X]], %[[X]], %[[X]]
func.func @single(%x: !nn.tensor<8 x 3>) -> (!nn.tensor<8 x 3>, !nn.tensor<8 x 3>, !nn.tensor<8 x 3>, !nn.tensor<8 x 3>) {
  %sum = comm.all_reduce %x over ep : <8 x 3>
  %shard = comm.reduce_scatter %x over ep : <8 x 3> -> <8 x 3>
  %whole = comm.all_gather %x over pp : <8 x 3> -> <8 x 3>
  %received = comm.all_to_all %x over ep : <8 x 3>
  return %sum, %shard, %whole, %received : !nn.tensor<8 x 3>, !nn.tensor<8 x 3>, !nn.tensor<8 x 3>, !nn.tensor<8 x 3>
}

// Other ranks wait for a collective, whether its result is used here or not; and for each of two that are alike.
// CHECK-LABEL: func.func @kept
// CHECK-COUNT-2: comm.all_reduce
// CHECK-NOT: comm.all_reduce
func.func @kept(%x: !nn.tensor<8 x 3>) {
  %a = comm.all_reduce %x over dp : <8 x 3>
  %b = comm.all_reduce %x over dp : <8 x 3>
  return
}
}
