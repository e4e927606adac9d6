// RUN: contraflow-interpret %s | FileCheck %s
// CHECK: 3 functions as expected

// Two ranks with two experts each, three tokens with two choices each. The table of nn.route begins with the experts of the choices;
// nothing else of it matters here.
module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 2, ep = 2>} {

// Rank 0: token 0 -> experts 0, 1 (rank 0, once); token 1 -> 1, 2 (both ranks); token 2 -> 3, 2 (rank 1, once).
// Rank 1: token 0 -> 0, 3 (both);                 token 1 -> 2, 3 (rank 1);     token 2 -> 0, 1 (rank 0).
func.func @one_round() {
  %routing = "test.per_rank"() {values = [
      dense<[0, 1, 1, 2, 3, 2,  0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0]> : tensor<23xi32>,
      dense<[0, 3, 2, 3, 0, 1,  0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0]> : tensor<23xi32>]} : () -> !nn.tensor<23 : i32>
  %round = "test.per_rank"() {values = [dense<0> : tensor<1xi32>]} : () -> !nn.tensor<1 : i32>
  // Room for 6 rows and 12 choices: all 3 tokens of both ranks fit, so there is one piece. 2 + 2*1*2 + 3*1 entries.
  %layout = comm.layout %routing over ep tokens(3) top_k(2) rows(6) choices(12) : <23 : i32> -> <9 : i32>
  "test.expect"(%layout) {values = [dense<[0, 1,  2, 2,  2, 2,  1, 3, 2]> : tensor<9xi32>,
                                    dense<[1, 1,  2, 2,  2, 2,  3, 2, 1]> : tensor<9xi32>]} : (!nn.tensor<9 : i32>) -> ()

  %x = "test.per_rank"() {values = [dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>,
                                    dense<[[10.0, 20.0], [30.0, 40.0], [50.0, 60.0]]> : tensor<3x2xf32>]} : () -> !nn.tensor<3 x 2>
  %choices = "test.per_rank"() {values = [dense<[0, 1, 1, 2, 3, 2]> : tensor<6xi32>, dense<[0, 3, 2, 3, 0, 1]> : tensor<6xi32>]} : () -> !nn.tensor<6 : i32>
  %in:2 = comm.dispatch %x, %choices by %layout round(%round) over ep tokens(3) rows(6)
      : (<3 x 2>, <6 : i32>) by <9 : i32> -> (<6 x 2>, <12 : i32>)
  // Rank 0 has tokens 0 and 1 of rank 0, then 0 and 2 of rank 1. What no row fills is not written.
  "test.expect"(%in#1) {values = [dense<[0, 1, 1, 2, 0, 3, 0, 1, -1, -1, -1, -1]> : tensor<12xi32>,
                                  dense<[1, 2, 3, 2, 0, 3, 2, 3, -1, -1, -1, -1]> : tensor<12xi32>]} : (!nn.tensor<12 : i32>) -> ()
  "test.expect"(%in#0) {values = [
      dense<[[1.0, 2.0], [3.0, 4.0], [10.0, 20.0], [50.0, 60.0], [0x7FC00000, 0x7FC00000], [0x7FC00000, 0x7FC00000]]> : tensor<6x2xf32>,
      dense<[[3.0, 4.0], [5.0, 6.0], [10.0, 20.0], [30.0, 40.0], [0x7FC00000, 0x7FC00000], [0x7FC00000, 0x7FC00000]]> : tensor<6x2xf32>]} : (!nn.tensor<6 x 2>) -> ()

  // Rows of rank 0's experts 0 and 1, of rank 1's experts 2 and 3; other choices have none.
  %local = comm.local_routing %in#1 by %layout experts(2) rows(8) : <12 : i32>, <9 : i32> -> <35 : i32>
  "test.expect"(%local) {values = [
      dense<[0, 1, 1, -1, 0, -1, 0, 1, -1, -1, -1, -1,  0, 3, 4, -1, 1, -1, 2, 5, -1, -1, -1, -1,  0, 4, 6, 1, 2, 7, -1, -1,  0, 3, 6]> : tensor<35xi32>,
      dense<[-1, 0, 1, 0, -1, 1, 0, 1, -1, -1, -1, -1,  -1, 0, 3, 1, -1, 4, 2, 5, -1, -1, -1, -1,  1, 3, 6, 2, 5, 7, -1, -1,  0, 3, 6]> : tensor<35xi32>]} : (!nn.tensor<35 : i32>) -> ()

  // Each token is there as often as it was sent: once or twice.
  %back = comm.combine %in#0 by %layout round(%round) over ep tokens(3) rows(6) : (<6 x 2>) by <9 : i32> -> (<3 x 2>)
  "test.expect"(%back) {values = [dense<[[1.0, 2.0], [6.0, 8.0], [5.0, 6.0]]> : tensor<3x2xf32>,
                                  dense<[[20.0, 40.0], [30.0, 40.0], [50.0, 60.0]]> : tensor<3x2xf32>]} : (!nn.tensor<3 x 2>) -> ()
  return
}

// All tokens choose expert 3: rank 1 is sent 4 from both, and has room for 4. Two rounds, and the sum of both is complete.
func.func @two_rounds() {
  %routing = "test.per_rank"() {values = [dense<[3, 3, 3, 3,  0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0, 0]> : tensor<17xi32>]} : () -> !nn.tensor<17 : i32>
  // Pieces of min(4/2, 9/(2*1)) = 2 tokens: 2 of them. 2 + 2*2*2 + 4*1 entries.
  %layout = comm.layout %routing over ep tokens(4) top_k(1) rows(4) choices(9) : <17 : i32> -> <14 : i32>
  "test.expect"(%layout) {values = [dense<[0, 2,  0, 2, 0, 2,  0, 0, 0, 0,  2, 2, 2, 2]> : tensor<14xi32>,
                                    dense<[1, 2,  0, 2, 0, 2,  2, 2, 2, 2,  2, 2, 2, 2]> : tensor<14xi32>]} : (!nn.tensor<14 : i32>) -> ()
  %x = "test.per_rank"() {values = [dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>, dense<[5.0, 6.0, 7.0, 8.0]> : tensor<4xf32>]} : () -> !nn.tensor<4>

  %first = "test.per_rank"() {values = [dense<0> : tensor<1xi32>]} : () -> !nn.tensor<1 : i32>
  %in_0 = comm.dispatch %x by %layout round(%first) over ep tokens(4) rows(4) : (<4>) by <14 : i32> -> (<4>)
  "test.expect"(%in_0) {values = [dense<0x7FC00000> : tensor<4xf32>, dense<[1.0, 2.0, 5.0, 6.0]> : tensor<4xf32>]} : (!nn.tensor<4>) -> ()
  %twice_0 = nn.scale %in_0 by(2.0) : <4>
  %half = comm.combine %twice_0 by %layout round(%first) over ep tokens(4) rows(4) : (<4>) by <14 : i32> -> (<4>)
  "test.expect"(%half) {values = [dense<[2.0, 4.0, 0x7FC00000, 0x7FC00000]> : tensor<4xf32>,
                                  dense<[10.0, 12.0, 0x7FC00000, 0x7FC00000]> : tensor<4xf32>]} : (!nn.tensor<4>) -> ()

  %second = "test.per_rank"() {values = [dense<1> : tensor<1xi32>]} : () -> !nn.tensor<1 : i32>
  %in_1 = comm.dispatch %x by %layout round(%second) over ep tokens(4) rows(4) : (<4>) by <14 : i32> -> (<4>)
  %twice_1 = nn.scale %in_1 by(2.0) : <4>
  %y = comm.combine %twice_1 by %layout round(%second) over ep tokens(4) rows(4) into(%half : <4>) : (<4>) by <14 : i32> -> (<4>)
  "test.expect"(%y) {values = [dense<[2.0, 4.0, 6.0, 8.0]> : tensor<4xf32>, dense<[10.0, 12.0, 14.0, 16.0]> : tensor<4xf32>]} : (!nn.tensor<4>) -> ()
  return
}

// Expert e multiplies by e + 1. What the ranks make of it together is what one would make alone: the sum of gates * (e + 1) * x.
func.func @experts() {
  %routing = "test.per_rank"() {values = [
      dense<[0, 1, 1, 2, 3, 2,  0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0]> : tensor<23xi32>,
      dense<[0, 3, 2, 3, 0, 1,  0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0]> : tensor<23xi32>]} : () -> !nn.tensor<23 : i32>
  %choices = "test.per_rank"() {values = [dense<[0, 1, 1, 2, 3, 2]> : tensor<6xi32>, dense<[0, 3, 2, 3, 0, 1]> : tensor<6xi32>]} : () -> !nn.tensor<6 : i32>
  %x = "test.per_rank"() {values = [dense<[[1.0], [2.0], [3.0]]> : tensor<3x1xf32>, dense<[[10.0], [20.0], [30.0]]> : tensor<3x1xf32>]} : () -> !nn.tensor<3 x 1>
  %gates = "test.per_rank"() {values = [dense<[[0.5, 0.5], [1.0, 2.0], [1.0, 1.0]]> : tensor<3x2xf32>, dense<1.0> : tensor<3x2xf32>]} : () -> !nn.tensor<3 x 2>
  %w = "test.per_rank"() {values = [dense<[[[1.0]], [[2.0]]]> : tensor<2x1x1xf32>, dense<[[[3.0]], [[4.0]]]> : tensor<2x1x1xf32>]} : () -> !nn.tensor<2 x 1 x 1>
  %round = "test.per_rank"() {values = [dense<0> : tensor<1xi32>]} : () -> !nn.tensor<1 : i32>

  %layout = comm.layout %routing over ep tokens(3) top_k(2) rows(6) choices(12) : <23 : i32> -> <9 : i32>
  %in:3 = comm.dispatch %x, %gates, %choices by %layout round(%round) over ep tokens(3) rows(6)
      : (<3 x 1>, <3 x 2>, <6 : i32>) by <9 : i32> -> (<6 x 1>, <6 x 2>, <12 : i32>)
  %local = comm.local_routing %in#2 by %layout experts(2) rows(8) : <12 : i32>, <9 : i32> -> <35 : i32>
  %rows = nn.permute %in#0, %local top_k(2) room(8) : (<6 x 1>, <35 : i32>) -> <8 x 1>
  %h = nn.grouped_linear %rows, %w, %local choices(12) : (<8 x 1>, <2 x 1 x 1>, <35 : i32>) -> <8 x 1>
  %partial = nn.unpermute %h, %local, %in#1 room(8) : (<8 x 1>, <35 : i32>, <6 x 2>) -> <6 x 1>
  %y = comm.combine %partial by %layout round(%round) over ep tokens(3) rows(6) : (<6 x 1>) by <9 : i32> -> (<3 x 1>)
  "test.expect"(%y) {values = [dense<[[1.5], [16.0], [21.0]]> : tensor<3x1xf32>, dense<[[50.0], [140.0], [90.0]]> : tensor<3x1xf32>]} : (!nn.tensor<3 x 1>) -> ()

  // Backwards: gradients of y go where rows went, those of x and of the gates come back.
  %dy = "test.per_rank"() {values = [dense<1.0> : tensor<3x1xf32>]} : () -> !nn.tensor<3 x 1>
  %dy_in = comm.dispatch %dy by %layout round(%round) over ep tokens(3) rows(6) : (<3 x 1>) by <9 : i32> -> (<6 x 1>)
  %dh = nn.unpermute_rows_grad %dy_in, %local, %in#1 room(8) : (<6 x 1>, <35 : i32>, <6 x 2>) -> <8 x 1>
  %dgates = nn.unpermute_gates_grad %dy_in, %h, %local room(8) : (<6 x 1>, <8 x 1>, <35 : i32>) -> <6 x 2>
  %drows = nn.grouped_linear_input_grad %dh, %w, %local choices(12) : (<8 x 1>, <2 x 1 x 1>, <35 : i32>) -> <8 x 1>
  %dx_in = nn.permute_input_grad %drows, %local top_k(2) room(8) : (<8 x 1>, <35 : i32>) -> <6 x 1>
  %d:2 = comm.combine %dx_in, %dgates by %layout round(%round) over ep tokens(3) rows(6) : (<6 x 1>, <6 x 2>) by <9 : i32> -> (<3 x 1>, <3 x 2>)
  "test.expect"(%d#0) {values = [dense<[[1.5], [8.0], [7.0]]> : tensor<3x1xf32>, dense<[[5.0], [7.0], [3.0]]> : tensor<3x1xf32>]} : (!nn.tensor<3 x 1>) -> ()
  "test.expect"(%d#1) {values = [dense<[[1.0, 2.0], [4.0, 6.0], [12.0, 9.0]]> : tensor<3x2xf32>,
                                 dense<[[10.0, 40.0], [60.0, 80.0], [30.0, 60.0]]> : tensor<3x2xf32>]} : (!nn.tensor<3 x 2>) -> ()
  // Each expert: the sum over its rows of gate * x, wherever they come from.
  %dw = nn.grouped_linear_weight_grad %dh, %rows, %local choices(12) : (<8 x 1>, <8 x 1>, <35 : i32>) -> <2 x 1 x 1>
  "test.expect"(%dw) {values = [dense<[[[40.5]], [[32.5]]]> : tensor<2x1x1xf32>, dense<[[[27.0]], [[33.0]]]> : tensor<2x1x1xf32>]} : (!nn.tensor<2 x 1 x 1>) -> ()
  return
}
}
