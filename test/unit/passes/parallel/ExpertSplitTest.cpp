//===- ExpertSplitTest.cpp - several ranks compute what one does ----------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/parallel/ExpertSplit.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "passes/autodiff/BlockFunctions.h"
#include "passes/fusion/Passes.h"
#include "test/support/MeshInterpreter.h"
#include "gtest/gtest.h"

#include <map>
#include <random>

namespace contraflow::parallel {
namespace {

using test::Array;
using test::RankArrays;
/// What functions take and give, on each rank, by `kind:name`.
using Arrays = std::map<std::string, RankArrays>;

constexpr int64_t kExperts = 8;

// A layer as models have it: a router with a bias, balance loss, gated experts, a shared part, a residual
// stream.
constexpr const char *kBlock = R"(nn.block @moe(%x: <13 x 6>, %ids: <13 : i32>) -> (<13 x 6>) {
  %norm_weight = nn.param "norm.weight" init(ones) : <6>
  %norm = nn.rms_norm %x, %norm_weight eps(1.0e-6) : <13 x 6>, <6>
  %gate = nn.param "gate.weight" : <8 x 6>
  %logits = nn.linear %norm, %gate : (<13 x 6>, <8 x 6>) -> <13 x 8>
  %bias = nn.param "bias" init(zeros) buffer : <8>
  %g, %s, %r, %load = nn.route %logits bias(%bias : <8>) valid(%ids : <13 : i32>) top_k(3) groups(4) group_limit(3)
    group_score("top2sum") score("sigmoid") normalize(true) scale(2.5) : <13 x 8>
  nn.update %bias, %load rate(0.001) : <8>
  %balance = nn.balance_loss %s valid(%ids : <13 : i32>) top_k(3) seq(13) : <13 x 8>
  nn.loss "balance" weight(0.5) %balance : <1>
  %rows = nn.permute %norm, %r top_k(3) : (<13 x 6>, <126 : i32>) -> <39 x 6>
  %wg = nn.param "experts.{e}.gate_proj.weight" over e : <8 x 5 x 6>
  %wu = nn.param "experts.{e}.up_proj.weight" over e : <8 x 5 x 6>
  %wd = nn.param "experts.{e}.down_proj.weight" over e : <8 x 6 x 5>
  %a = nn.grouped_linear %rows, %wg, %r : (<39 x 6>, <8 x 5 x 6>, <126 : i32>) -> <39 x 5>
  %b = nn.grouped_linear %rows, %wu, %r : (<39 x 6>, <8 x 5 x 6>, <126 : i32>) -> <39 x 5>
  %h = nn.swiglu %a, %b : <39 x 5>
  %y = nn.grouped_linear %h, %wd, %r : (<39 x 5>, <8 x 6 x 5>, <126 : i32>) -> <39 x 6>
  %sum = nn.unpermute %y, %r, %g : (<39 x 6>, <126 : i32>, <13 x 3>) -> <13 x 6>
  %ws = nn.param "shared.weight" : <6 x 6>
  %shared = nn.linear %norm, %ws : (<13 x 6>, <6 x 6>) -> <13 x 6>
  %both = nn.add %sum, %shared : <13 x 6>
  %out = nn.add %x, %both : <13 x 6>
  nn.yield %out : <13 x 6>
})";

std::string keyOf(nn::RoleAttr role) {
  return (stringifyRoleKind(role.getKind()) + ":" + role.getName()).str();
}

/// The functions of the block on a mesh, with the experts spread over ranks or not.
class Functions {
public:
  Functions(abi::Mesh mesh, bool isSplit, double bound, bool isMerged) : mesh(mesh) {
    context.loadDialect<nn::NNDialect, comm::CommDialect, mlir::func::FuncDialect, mlir::arith::ArithDialect,
                        mlir::math::MathDialect>();
    module = mlir::parseSourceString<mlir::ModuleOp>(kBlock, &context);
    auto attribute = comm::MeshAttr::get(&context, mesh.pp, mesh.dp, mesh.ep);
    comm::CommDialect::MeshAttrHelper(&context).setAttr(*module, attribute);
    auto block = *module->getOps<nn::BlockOp>().begin();
    autodiff::BlockUse use = {{true}, 1};
    auto built = autodiff::BlockFunctions::build(block, &use);
    mlir::OpBuilder builder = mlir::OpBuilder::atBlockEnd(module->getBody());
    forward = (*built)->buildForward(builder);
    evaluate = (*built)->buildEvaluate(builder, /*keepLosses=*/true);
    if (isMerged)
      backward = {(*built)->buildBackward(builder)};
    else
      backward = {(*built)->buildBackwardInput(builder), (*built)->buildBackwardWeight(builder)};
    block.erase();
    if (isSplit)
      counts = *splitExperts(forward, evaluate, backward, {mesh.ep, bound});
    EXPECT_TRUE(succeeded(mlir::verify(*module)));
    mlir::PassManager passes(&context);
    passes.nest<mlir::func::FuncOp>().addPass(fusion::createBuildKernelsPass());
    EXPECT_TRUE(succeeded(passes.run(*module)));
  }

  /// Calls a function with what `values` has under the name of each argument, else with zeros; adds its
  /// results.
  void run(mlir::func::FuncOp function, Arrays &values) {
    std::vector<RankArrays> arguments;
    for (unsigned i = 0; i < function.getNumArguments(); ++i) {
      auto found = values.find(keyOf(autodiff::getArgumentRole(function, i)));
      auto type = llvm::cast<nn::TensorType>(function.getArgument(i).getType());
      arguments.push_back(found != values.end() ? found->second
                                                : RankArrays(mesh.getWorld(), Array(type.getStaticShape())));
    }
    auto results = test::interpretOnMesh(function, arguments);
    ASSERT_TRUE(succeeded(results));
    for (unsigned i = 0; i < function.getNumResults(); ++i)
      values[keyOf(autodiff::getResultRole(function, i))] = (*results)[i];
  }

  Arrays runAll(Arrays values) {
    run(forward, values);
    for (mlir::func::FuncOp function : backward)
      run(function, values);
    Arrays evaluated = values;
    run(evaluate, evaluated);
    values["evaluated"] = evaluated["output:0"];
    return values;
  }

  abi::Mesh mesh;
  SplitCounts counts;

private:
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::func::FuncOp forward, evaluate;
  llvm::SmallVector<mlir::func::FuncOp> backward;
};

/// Random tokens of each rank, and parameters that all ranks have alike.
Arrays makeArguments(const abi::Mesh &mesh, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, 0.7);
  Arrays values;
  auto add = [&](const std::string &key, llvm::ArrayRef<int64_t> shape, bool isShared) {
    for (int64_t rank = 0; rank < mesh.getWorld(); ++rank) {
      Array array(shape);
      for (double &x : array.data)
        x = normal(random);
      values[key].push_back(isShared && rank > 0 ? values[key][0] : array);
    }
  };
  add("input:x", {13, 6}, false);
  add("output_grad:0", {13, 6}, false);
  add("param:norm.weight", {6}, true);
  add("param:gate.weight", {8, 6}, true);
  add("param:bias", {8}, true);
  add("param:shared.weight", {6, 6}, true);
  add("param:experts.{e}.gate_proj.weight", {8, 5, 6}, true);
  add("param:experts.{e}.up_proj.weight", {8, 5, 6}, true);
  add("param:experts.{e}.down_proj.weight", {8, 6, 5}, true);
  for (int64_t rank = 0; rank < mesh.getWorld(); ++rank) {
    Array ids({13});
    for (double &id : ids.data)
      id = random() % 5 == 0 ? -1 : 1;
    values["input:ids"].push_back(ids);
  }
  return values;
}

bool isOfExperts(llvm::StringRef key) { return key.contains("experts."); }

/// The share of experts that a rank has.
Array shareOf(const Array &whole, const abi::Mesh &mesh, int64_t rank) {
  int64_t experts = kExperts / mesh.ep, size = whole.size() / mesh.ep;
  std::vector<int64_t> shape = whole.shape;
  shape[0] = experts;
  Array share(shape);
  std::copy_n(whole.data.begin() + mesh.getIndex(rank, abi::MeshAxis::Ep) * size, size, share.data.begin());
  return share;
}

/// What a rank has where experts are spread: its share of parameters.
Arrays shareParameters(Arrays values, const abi::Mesh &mesh) {
  for (auto &[key, arrays] : values)
    if (isOfExperts(key))
      for (int64_t rank = 0; rank < mesh.getWorld(); ++rank)
        arrays[rank] = shareOf(arrays[rank], mesh, rank);
  return values;
}

/// What a rank's share of a gradient must be: experts see the tokens of all ranks that share them.
Array expectedGradient(const RankArrays &single, const abi::Mesh &mesh, int64_t rank) {
  std::vector<int64_t> group = mesh.getGroup(rank, abi::MeshAxis::Ep);
  Array sum = shareOf(single[group[0]], mesh, rank);
  for (size_t i = 1; i < group.size(); ++i) {
    Array share = shareOf(single[group[i]], mesh, rank);
    for (int64_t k = 0; k < sum.size(); ++k)
      sum[k] += share[k];
  }
  return sum;
}

void expectNear(const Array &found, const Array &wanted, const std::string &what) {
  ASSERT_EQ(found.shape, wanted.shape) << what;
  for (int64_t i = 0; i < found.size(); ++i)
    ASSERT_NEAR(found[i], wanted[i], 1e-12 * (1 + std::abs(wanted[i]))) << what << " element " << i;
}

void expectParity(abi::Mesh mesh, bool isMerged, unsigned seed) {
  // Enough room for whatever comes: one round.
  Functions single(mesh, false, 0, isMerged), spread(mesh, true, 100, isMerged);
  Arrays arguments = makeArguments(mesh, seed);
  Arrays wanted = single.runAll(arguments), found = spread.runAll(shareParameters(arguments, mesh));
  int compared = 0;
  for (const auto &[key, arrays] : wanted) {
    llvm::StringRef kind = llvm::StringRef(key).split(':').first;
    if (kind != "output" && kind != "input_grad" && kind != "grad" && kind != "loss" && kind != "load" &&
        kind != "evaluated")
      continue;
    for (int64_t rank = 0; rank < mesh.getWorld(); ++rank) {
      std::string what = key + " on rank " + std::to_string(rank);
      expectNear(found[key][rank], isOfExperts(key) ? expectedGradient(arrays, mesh, rank) : arrays[rank],
                 what);
      ++compared;
    }
  }
  // Output, its evaluation, gradient of x, six gradients of parameters, loss, load.
  EXPECT_EQ(compared, 11 * mesh.getWorld());
}

TEST(ExpertSplit, RanksComputeWhatOneDoes) {
  unsigned seed = 0;
  for (abi::Mesh mesh : {abi::Mesh{1, 2, 2}, {1, 4, 2}, {1, 4, 4}, {1, 8, 8}, {1, 8, 4}, {2, 2, 2}})
    for (bool isMerged : {false, true})
      expectParity(mesh, isMerged, ++seed);
}

TEST(ExpertSplit, SendsAsLittleAsItCan) {
  // Forward and evaluation: rows, gates and choices in one message there, one back. Backward: gradients in
  // one there, in one back.
  EXPECT_EQ(Functions({1, 4, 4}, true, 100, false).counts.dispatched, 3);
  EXPECT_EQ(Functions({1, 4, 4}, true, 100, false).counts.combined, 3);
}

TEST(ExpertSplit, RoomIsBoundedByWhatCanCome) {
  // Twice an even load: 2 * 4096 * 8 choices.
  abi::RoutedLayout layout = computeRoom(4096, 8, 256, {64, 2.0});
  EXPECT_EQ(layout.rows, 2 * 4096 * 8);
  EXPECT_EQ(layout.choices, 2 * 4096 * 8);
  EXPECT_EQ(layout.experts, 4);
  // All tokens of two ranks, each with one choice here at most.
  layout = computeRoom(100, 4, 2, {2, 100.0});
  EXPECT_EQ(layout.rows, 200);
  EXPECT_EQ(layout.choices, 200);
  // One token of each rank.
  layout = computeRoom(100, 4, 64, {8, 0.0});
  EXPECT_EQ(layout.rows, 8);
  EXPECT_EQ(layout.choices, 8 * 4);
}

} // namespace
} // namespace contraflow::parallel
