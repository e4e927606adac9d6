// RUN: contraflow-opt %s -verify-roundtrip | FileCheck %s

// CHECK: module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 8, ep = 4>}
module attributes {comm.mesh = #comm.mesh<pp = 1, dp = 8, ep = 4>} {

// CHECK-LABEL: func.func @whole
func.func @whole(%x: !nn.tensor<8 x 3>, %counts: !nn.tensor<4 : i32>) {
  // CHECK: %[[SUM:.+]] = comm.all_reduce %{{.+}} over edp : <8 x 3>
  %sum = comm.all_reduce %x over edp : <8 x 3>
  // CHECK: %[[SHARD:.+]] = comm.reduce_scatter %[[SUM]] over dp : <8 x 3> -> <1 x 3>
  %shard = comm.reduce_scatter %sum over dp : <8 x 3> -> <1 x 3>
  // CHECK: comm.all_gather %[[SHARD]] over dp : <1 x 3> -> <8 x 3>
  %whole = comm.all_gather %shard over dp : <1 x 3> -> <8 x 3>
  // CHECK: comm.all_to_all %{{.+}} over ep : <4 : i32>
  %received = comm.all_to_all %counts over ep : <4 : i32>
  return
}

// 6 tokens, 2 of 8 experts each: 12 choices, a table of 3*12 + 8 + 1. Two experts on each of 4 ranks.
// CHECK-LABEL: func.func @routed
func.func @routed(%routing: !nn.tensor<45 : i32>, %x: !nn.tensor<6 x 5>, %gates: !nn.tensor<6 x 2>, %choices: !nn.tensor<12 : i32>,
                  %round: !nn.tensor<1 : i32>, %old: !nn.tensor<6 x 5>) {
  // Room for 8 rows and 16 choices: pieces of min(8/4, 16/(4*2)) = 2 tokens, so 2 + 2*3*4 + 6 entries.
  // CHECK: %[[LAYOUT:.+]] = comm.layout %{{.+}} over ep tokens(6) top_k(2) rows(8) choices(16) : <45 : i32> -> <32 : i32>
  %layout = comm.layout %routing over ep tokens(6) top_k(2) rows(8) choices(16) : <45 : i32> -> <32 : i32>
  // CHECK: %[[IN:.+]]:3 = comm.dispatch %{{.+}}, %{{.+}}, %{{.+}} by %[[LAYOUT]] round(%[[ROUND:.+]]) over ep tokens(6) rows(8) : (<6 x 5>, <6 x 2>, <12 : i32>) by <32 : i32> -> (<8 x 5>, <8 x 2>, <16 : i32>)
  %in:3 = comm.dispatch %x, %gates, %choices by %layout round(%round) over ep tokens(6) rows(8)
      : (<6 x 5>, <6 x 2>, <12 : i32>) by <32 : i32> -> (<8 x 5>, <8 x 2>, <16 : i32>)
  // CHECK: comm.choices %{{.+}} : <45 : i32> -> <12 : i32>
  %experts = comm.choices %routing : <45 : i32> -> <12 : i32>
  // CHECK: comm.local_routing %[[IN]]#2 by %[[LAYOUT]] experts(2) rows(16) : <16 : i32>, <32 : i32> -> <51 : i32>
  %local = comm.local_routing %in#2 by %layout experts(2) rows(16) : <16 : i32>, <32 : i32> -> <51 : i32>
  // CHECK: comm.combine %[[IN]]#0 by %[[LAYOUT]] round(%[[ROUND]]) over ep tokens(6) rows(8) : (<8 x 5>) by <32 : i32> -> (<6 x 5>)
  %y = comm.combine %in#0 by %layout round(%round) over ep tokens(6) rows(8) : (<8 x 5>) by <32 : i32> -> (<6 x 5>)
  // CHECK: comm.combine {{.+}} rows(8) into(%{{.+}} : <6 x 5>) : (<8 x 5>) by <32 : i32> -> (<6 x 5>)
  %z = comm.combine %in#0 by %layout round(%round) over ep tokens(6) rows(8) into(%old : <6 x 5>)
      : (<8 x 5>) by <32 : i32> -> (<6 x 5>)
  return
}
}
