// RUN: contraflow-interpret %s | FileCheck %s
// CHECK: 6 functions as expected

// Ranks 0 and 1, 2 and 3 are groups of ep; 0 and 2, 1 and 3 groups of edp.
module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 4, ep = 2>} {

func.func @all_reduce_dp() {
  %x = "test.per_rank"() {values = [dense<[1.0, 10.0]> : tensor<2xf32>, dense<[2.0, 20.0]> : tensor<2xf32>,
                                    dense<[3.0, 30.0]> : tensor<2xf32>, dense<[4.0, 40.0]> : tensor<2xf32>]} : () -> !nn.tensor<2>
  %sum = comm.all_reduce %x over dp : <2>
  "test.expect"(%sum) {values = [dense<[10.0, 100.0]> : tensor<2xf32>]} : (!nn.tensor<2>) -> ()
  return
}

func.func @all_reduce_ep_and_edp() {
  %x = "test.per_rank"() {values = [dense<1.0> : tensor<1xf32>, dense<2.0> : tensor<1xf32>,
                                    dense<3.0> : tensor<1xf32>, dense<4.0> : tensor<1xf32>]} : () -> !nn.tensor<1>
  %ep = comm.all_reduce %x over ep : <1>
  "test.expect"(%ep) {values = [dense<3.0> : tensor<1xf32>, dense<3.0> : tensor<1xf32>,
                                dense<7.0> : tensor<1xf32>, dense<7.0> : tensor<1xf32>]} : (!nn.tensor<1>) -> ()
  %edp = comm.all_reduce %x over edp : <1>
  "test.expect"(%edp) {values = [dense<4.0> : tensor<1xf32>, dense<6.0> : tensor<1xf32>,
                                 dense<4.0> : tensor<1xf32>, dense<6.0> : tensor<1xf32>]} : (!nn.tensor<1>) -> ()
  return
}

func.func @reduce_scatter_then_all_gather() {
  %x = "test.per_rank"() {values = [dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>, dense<[[5.0, 6.0], [7.0, 8.0]]> : tensor<2x2xf32>,
                                    dense<0.0> : tensor<2x2xf32>, dense<[[0.0, 0.0], [0.0, 1.0]]> : tensor<2x2xf32>]} : () -> !nn.tensor<2 x 2>
  %shard = comm.reduce_scatter %x over ep : <2 x 2> -> <1 x 2>
  "test.expect"(%shard) {values = [dense<[[6.0, 8.0]]> : tensor<1x2xf32>, dense<[[10.0, 12.0]]> : tensor<1x2xf32>,
                                   dense<[[0.0, 0.0]]> : tensor<1x2xf32>, dense<[[0.0, 1.0]]> : tensor<1x2xf32>]} : (!nn.tensor<1 x 2>) -> ()
  %whole = comm.all_gather %shard over ep : <1 x 2> -> <2 x 2>
  %sum = comm.all_reduce %x over ep : <2 x 2>
  // Behind each other, the parts of a sum are the sum.
  %minus = nn.scale %sum by(-1.0) : <2 x 2>
  %difference = nn.add %whole, %minus : <2 x 2>
  "test.expect"(%difference) {values = [dense<0.0> : tensor<2x2xf32>]} : (!nn.tensor<2 x 2>) -> ()
  return
}

func.func @reduce_scatter_dp() {
  %x = "test.per_rank"() {values = [dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>, dense<[10.0, 20.0, 30.0, 40.0]> : tensor<4xf32>,
                                    dense<[100.0, 200.0, 300.0, 400.0]> : tensor<4xf32>, dense<0.0> : tensor<4xf32>]} : () -> !nn.tensor<4>
  %shard = comm.reduce_scatter %x over dp : <4> -> <1>
  "test.expect"(%shard) {values = [dense<111.0> : tensor<1xf32>, dense<222.0> : tensor<1xf32>,
                                   dense<333.0> : tensor<1xf32>, dense<444.0> : tensor<1xf32>]} : (!nn.tensor<1>) -> ()
  return
}

func.func @all_gather_edp() {
  %x = "test.per_rank"() {values = [dense<0> : tensor<1xi32>, dense<1> : tensor<1xi32>,
                                    dense<2> : tensor<1xi32>, dense<3> : tensor<1xi32>]} : () -> !nn.tensor<1 : i32>
  %whole = comm.all_gather %x over edp : <1 : i32> -> <2 : i32>
  "test.expect"(%whole) {values = [dense<[0, 2]> : tensor<2xi32>, dense<[1, 3]> : tensor<2xi32>,
                                   dense<[0, 2]> : tensor<2xi32>, dense<[1, 3]> : tensor<2xi32>]} : (!nn.tensor<2 : i32>) -> ()
  return
}

func.func @all_to_all() {
  %x = "test.per_rank"() {values = [dense<[0, 1, 2, 3]> : tensor<4xi32>, dense<[10, 11, 12, 13]> : tensor<4xi32>,
                                    dense<[20, 21, 22, 23]> : tensor<4xi32>, dense<[30, 31, 32, 33]> : tensor<4xi32>]} : () -> !nn.tensor<4 : i32>
  %received = comm.all_to_all %x over dp : <4 : i32>
  "test.expect"(%received) {values = [dense<[0, 10, 20, 30]> : tensor<4xi32>, dense<[1, 11, 21, 31]> : tensor<4xi32>,
                                      dense<[2, 12, 22, 32]> : tensor<4xi32>, dense<[3, 13, 23, 33]> : tensor<4xi32>]} : (!nn.tensor<4 : i32>) -> ()
  // Two at a time in groups of ep; twice is once there and back.
  %pairs = comm.all_to_all %x over ep : <4 : i32>
  "test.expect"(%pairs) {values = [dense<[0, 1, 10, 11]> : tensor<4xi32>, dense<[2, 3, 12, 13]> : tensor<4xi32>,
                                   dense<[20, 21, 30, 31]> : tensor<4xi32>, dense<[22, 23, 32, 33]> : tensor<4xi32>]} : (!nn.tensor<4 : i32>) -> ()
  %back = comm.all_to_all %pairs over ep : <4 : i32>
  "test.expect"(%back) {values = [dense<[0, 1, 2, 3]> : tensor<4xi32>, dense<[10, 11, 12, 13]> : tensor<4xi32>,
                                  dense<[20, 21, 22, 23]> : tensor<4xi32>, dense<[30, 31, 32, 33]> : tensor<4xi32>]} : (!nn.tensor<4 : i32>) -> ()
  return
}
}
