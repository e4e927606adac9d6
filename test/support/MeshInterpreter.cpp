//===- MeshInterpreter.cpp - all ranks in step, in double precision -------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "test/support/MeshInterpreter.h"

#include "llvm/ADT/TypeSwitch.h"
#include <cmath>
#include <limits>

using namespace mlir;

namespace contraflow::test {
namespace {

using comm::Axis;

Array makeUnwritten(Value value) {
  auto type = cast<nn::TensorType>(value.getType());
  double fill = type.getElementType().isF32() ? std::numeric_limits<double>::quiet_NaN() : -1.0;
  return Array(type.getStaticShape(), fill);
}

bool isEqual(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

class Interpreter {
public:
  Interpreter(func::FuncOp function, abi::Mesh mesh) : function(function), mesh(mesh) {}

  FailureOr<std::vector<RankArrays>> run(ArrayRef<RankArrays> arguments) {
    Block &body = function.getBody().front();
    for (auto [argument, arrays] : llvm::zip_equal(body.getArguments(), arguments))
      values[argument] = arrays;
    for (Operation &op : body.without_terminator())
      if (failed(step(op)))
        return failure();
    std::vector<RankArrays> results;
    for (Value value : body.getTerminator()->getOperands())
      results.push_back(values[value]);
    return results;
  }

private:
  int64_t getWorld() const { return mesh.getWorld(); }
  std::vector<int64_t> getGroup(int64_t rank, Axis axis) const {
    return mesh.getGroup(rank, comm::toMeshAxis(axis));
  }
  int64_t getIndex(int64_t rank, Axis axis) const { return mesh.getIndex(rank, comm::toMeshAxis(axis)); }
  const Array &at(Value value, int64_t rank) { return values[value][rank]; }

  LogicalResult step(Operation &op) {
    for (Value result : op.getResults())
      values[result] = RankArrays(getWorld(), makeUnwritten(result));
    return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
        .Case<nn::KernelOp, nn::ConstantTableOp, comm::AllReduceOp, comm::ReduceScatterOp, comm::AllGatherOp,
              comm::AllToAllOp, comm::LayoutOp, comm::DispatchOp, comm::CombineOp, comm::ChoicesOp,
              comm::LocalRoutingOp>([&](auto typed) { return execute(typed); })
        .Default([&](Operation *other) { return executeTestOp(*other); });
  }

  //===--------------------------------------------------------------------===//
  // On each rank alone
  //===--------------------------------------------------------------------===//

  LogicalResult execute(nn::KernelOp op) {
    for (int64_t rank = 0; rank < getWorld(); ++rank) {
      SmallVector<const Array *> inputs;
      for (Value input : op.getInputs())
        inputs.push_back(&at(input, rank));
      std::vector<Array> results;
      if (failed(interpretKernel(op, inputs, results)))
        return failure();
      for (auto [value, array] : llvm::zip_equal(op.getResults(), results))
        values[value][rank] = std::move(array);
    }
    return success();
  }

  LogicalResult execute(nn::ConstantTableOp op) {
    values[op.getResult()].assign(getWorld(), toArray(op.getElements()));
    return success();
  }

  LogicalResult executeTestOp(Operation &op) {
    auto list = op.getAttrOfType<ArrayAttr>("values");
    StringRef name = op.getName().getStringRef();
    if (!list || (name != "test.per_rank" && name != "test.expect"))
      return op.emitOpError("is not known here");
    if (list.size() != 1 && static_cast<int64_t>(list.size()) != getWorld())
      return op.emitOpError("has values for ") << list.size() << " ranks, expected 1 or " << getWorld();
    for (int64_t rank = 0; rank < getWorld(); ++rank) {
      Array array = toArray(cast<ElementsAttr>(list[list.size() == 1 ? 0 : rank]));
      if (name == "test.per_rank")
        values[op.getResult(0)][rank] = std::move(array);
      else if (failed(expect(op, rank, at(op.getOperand(0), rank), array)))
        return failure();
    }
    return success();
  }

  static LogicalResult expect(Operation &op, int64_t rank, const Array &found, const Array &wanted) {
    if (found.shape != wanted.shape)
      return op.emitOpError("compares tensors of different shapes");
    for (int64_t i = 0; i < found.size(); ++i)
      if (!isEqual(found[i], wanted[i]))
        return op.emitOpError("rank ")
               << rank << ": element " << i << " is " << found[i] << ", expected " << wanted[i];
    return success();
  }

  LogicalResult execute(comm::ChoicesOp op) {
    for (int64_t rank = 0; rank < getWorld(); ++rank) {
      Array &choices = values[op.getChoices()][rank];
      std::copy_n(at(op.getRouting(), rank).data.begin(), choices.size(), choices.data.begin());
    }
    return success();
  }

  LogicalResult execute(comm::LocalRoutingOp op) {
    int64_t experts = op.getExperts(), rows = op.getRows();
    for (int64_t rank = 0; rank < getWorld(); ++rank) {
      const Array &choices = at(op.getChoices(), rank);
      int64_t first = static_cast<int64_t>(at(op.getLayout(), rank)[0]) * experts, count = choices.size(),
              row = 0;
      Array &table = values[op.getRouting()][rank];
      for (int64_t expert = 0; expert < experts; ++expert) {
        table[2 * count + rows + expert] = row;
        for (int64_t i = 0; i < count; ++i) {
          if (choices[i] != first + expert)
            continue;
          if (row == rows)
            return op.emitOpError("rank ") << rank << " has room for " << rows << " rows only";
          table[i] = expert;
          table[count + i] = row;
          table[2 * count + row++] = i;
        }
      }
      table[2 * count + rows + experts] = row;
    }
    return success();
  }

  //===--------------------------------------------------------------------===//
  // Whole tensors
  //===--------------------------------------------------------------------===//

  Array sumOverGroup(Value input, int64_t rank, Axis axis) {
    std::vector<int64_t> group = getGroup(rank, axis);
    Array sum = at(input, group[0]);
    for (size_t member = 1; member < group.size(); ++member)
      for (int64_t i = 0; i < sum.size(); ++i)
        sum[i] += at(input, group[member])[i];
    return sum;
  }

  LogicalResult execute(comm::AllReduceOp op) {
    for (int64_t rank = 0; rank < getWorld(); ++rank)
      values[op.getOutput()][rank] = sumOverGroup(op.getInput(), rank, op.getAxis());
    return success();
  }

  LogicalResult execute(comm::ReduceScatterOp op) {
    for (int64_t rank = 0; rank < getWorld(); ++rank) {
      Array sum = sumOverGroup(op.getInput(), rank, op.getAxis());
      Array &shard = values[op.getOutput()][rank];
      std::copy_n(sum.data.begin() + getIndex(rank, op.getAxis()) * shard.size(), shard.size(),
                  shard.data.begin());
    }
    return success();
  }

  LogicalResult execute(comm::AllGatherOp op) {
    for (int64_t rank = 0; rank < getWorld(); ++rank) {
      auto out = values[op.getOutput()][rank].data.begin();
      for (int64_t member : getGroup(rank, op.getAxis()))
        out = std::copy(at(op.getInput(), member).data.begin(), at(op.getInput(), member).data.end(), out);
    }
    return success();
  }

  LogicalResult execute(comm::AllToAllOp op) {
    for (int64_t rank = 0; rank < getWorld(); ++rank) {
      std::vector<int64_t> group = getGroup(rank, op.getAxis());
      Array &output = values[op.getOutput()][rank];
      int64_t part = output.size() / group.size(), index = getIndex(rank, op.getAxis());
      for (size_t member = 0; member < group.size(); ++member)
        std::copy_n(at(op.getInput(), group[member]).data.begin() + index * part, part,
                    output.data.begin() + member * part);
    }
    return success();
  }

  //===--------------------------------------------------------------------===//
  // Routed rows
  //===--------------------------------------------------------------------===//

  struct Counts {
    std::vector<int64_t> rows, choices; // Of each piece.
  };

  /// What of the tokens of rank `from` goes to place `to` of the group.
  Counts countSent(comm::LayoutOp op, const abi::RoutedLayout &sizes, int64_t from, int64_t to) {
    Counts counts = {std::vector<int64_t>(sizes.getPieces()), std::vector<int64_t>(sizes.getPieces())};
    for (int64_t token = 0; token < sizes.tokens; ++token) {
      int64_t here = countChoices(op, sizes, from, token, to), piece = token / sizes.getPieceTokens();
      counts.rows[piece] += here > 0;
      counts.choices[piece] += here;
    }
    return counts;
  }

  /// Choices of a token whose experts lie at place `to` of the group.
  int64_t countChoices(comm::LayoutOp op, const abi::RoutedLayout &sizes, int64_t rank, int64_t token,
                       int64_t to) {
    const Array &routing = at(op.getRouting(), rank);
    int64_t count = 0;
    for (int64_t k = 0; k < sizes.topK; ++k)
      count += static_cast<int64_t>(routing[token * sizes.topK + k]) / sizes.experts == to;
    return count;
  }

  /// The most pieces of a round that a rank has room for: tried from all of them downwards.
  static int64_t fitPieces(const abi::RoutedLayout &sizes, const Counts &counts) {
    int64_t pieces = sizes.getPieces();
    for (int64_t m = pieces; m > 1; --m) {
      bool fits = true;
      for (int64_t begin = 0; begin < pieces; begin += m) {
        int64_t rows = 0, choices = 0;
        for (int64_t p = begin; p < std::min(begin + m, pieces); ++p) {
          rows += counts.rows[p];
          choices += counts.choices[p];
        }
        fits &= rows <= sizes.rows && choices <= sizes.choices;
      }
      if (fits)
        return m;
    }
    return 1;
  }

  LogicalResult execute(comm::LayoutOp op) {
    int64_t size = mesh.getSize(comm::toMeshAxis(op.getAxis()));
    abi::RoutedLayout sizes = op.getSizes(size);
    std::vector<int64_t> room(getWorld());
    for (int64_t rank = 0; rank < getWorld(); ++rank) {
      Array &table = values[op.getLayout()][rank];
      table = Array({sizes.getSize()});
      int64_t place = table.data[0] = getIndex(rank, op.getAxis());
      Counts sum = {std::vector<int64_t>(sizes.getPieces()), std::vector<int64_t>(sizes.getPieces())};
      for (auto [other, member] : llvm::enumerate(getGroup(rank, op.getAxis()))) {
        Counts sent = countSent(op, sizes, rank, other), received = countSent(op, sizes, member, place);
        for (int64_t p = 0; p < sizes.getPieces(); ++p) {
          table[sizes.getSent(p, other)] = sent.rows[p];
          table[sizes.getReceived(p, other)] = received.rows[p];
          sum.rows[p] += received.rows[p];
          sum.choices[p] += received.choices[p];
        }
      }
      room[rank] = fitPieces(sizes, sum);
      for (int64_t token = 0; token < sizes.tokens; ++token)
        for (int64_t other = 0; other < size; ++other)
          if (countChoices(op, sizes, rank, token, other) > 0)
            setBit(table[sizes.getMask(token) + other / 32], other % 32);
    }
    for (int64_t rank = 0; rank < getWorld(); ++rank) {
      int64_t least = sizes.getPieces();
      for (int64_t member : getGroup(rank, op.getAxis()))
        least = std::min(least, room[member]);
      values[op.getLayout()][rank][1] = abi::RoutedLayout::ceilDiv(sizes.getPieces(), least);
    }
    return success();
  }

  static void setBit(double &word, int64_t bit) {
    word = static_cast<int32_t>(static_cast<uint32_t>(static_cast<int64_t>(word)) | (uint32_t(1) << bit));
  }

  /// The tokens of `rank` that go to place `to` in a round, in order. Only the layout is looked at.
  SmallVector<int64_t> getSentTokens(Value layout, Value round, Axis axis, int64_t tokens, int64_t rank,
                                     int64_t to) {
    const Array &table = at(layout, rank);
    int64_t size = mesh.getSize(comm::toMeshAxis(axis)), words = (size + 31) / 32;
    int64_t pieces = (table.size() - 2 - tokens * words) / (2 * size), piece = (tokens + pieces - 1) / pieces;
    int64_t rounds = table[1], perRound = (pieces + rounds - 1) / rounds, number = at(round, rank)[0];
    SmallVector<int64_t> sent;
    for (int64_t token = number * perRound * piece; token < std::min(tokens, (number + 1) * perRound * piece);
         ++token) {
      auto word = static_cast<uint32_t>(
          static_cast<int64_t>(table[table.size() - (tokens - token) * words + to / 32]));
      if (word >> (to % 32) & 1)
        sent.push_back(token);
    }
    return sent;
  }

  LogicalResult execute(comm::DispatchOp op) {
    int64_t tokens = op.getTokens(), rows = op.getRows();
    for (int64_t rank = 0; rank < getWorld(); ++rank) {
      int64_t row = 0, place = getIndex(rank, op.getAxis());
      for (int64_t member : getGroup(rank, op.getAxis()))
        for (int64_t token :
             getSentTokens(op.getLayout(), op.getRound(), op.getAxis(), tokens, member, place)) {
          if (row == rows)
            return op.emitOpError("rank ") << rank << " has room for " << rows << " rows only";
          for (auto [input, output] : llvm::zip_equal(op.getInputs(), op.getOutputs())) {
            int64_t width = at(input, member).size() / tokens;
            std::copy_n(at(input, member).data.begin() + token * width, width,
                        values[output][rank].data.begin() + row * width);
          }
          ++row;
        }
    }
    return success();
  }

  /// The first row that place `from` sent to `rank` in this round: those of lower places come before.
  int64_t getFirstRow(comm::CombineOp op, int64_t rank, int64_t from) {
    int64_t row = 0;
    for (auto [place, member] : llvm::enumerate(getGroup(rank, op.getAxis())))
      if (static_cast<int64_t>(place) < from)
        row += getSentTokens(op.getLayout(), op.getRound(), op.getAxis(), op.getTokens(), member,
                             getIndex(rank, op.getAxis()))
                   .size();
    return row;
  }

  LogicalResult execute(comm::CombineOp op) {
    int64_t tokens = op.getTokens();
    for (int64_t rank = 0; rank < getWorld(); ++rank) {
      for (auto [output, into] : llvm::zip(op.getOutputs(), op.getInto()))
        values[output][rank] = at(into, rank);
      std::vector<bool> isFirst(tokens, true);
      for (auto [place, member] : llvm::enumerate(getGroup(rank, op.getAxis()))) {
        int64_t row = getFirstRow(op, member, getIndex(rank, op.getAxis()));
        for (int64_t token :
             getSentTokens(op.getLayout(), op.getRound(), op.getAxis(), tokens, rank, place)) {
          for (auto [input, output] : llvm::zip_equal(op.getInputs(), op.getOutputs()))
            addRow(values[output][rank], token, at(input, member), row, tokens, isFirst[token]);
          isFirst[token] = false;
          ++row;
        }
      }
    }
    return success();
  }

  static void addRow(Array &output, int64_t token, const Array &input, int64_t row, int64_t tokens,
                     bool isFirst) {
    int64_t width = output.size() / tokens;
    for (int64_t i = 0; i < width; ++i) {
      double &sum = output[token * width + i];
      sum = (isFirst ? 0.0 : sum) + input[row * width + i];
    }
  }

  func::FuncOp function;
  abi::Mesh mesh;
  llvm::DenseMap<Value, RankArrays> values;
};

} // namespace

FailureOr<std::vector<RankArrays>> interpretOnMesh(func::FuncOp function, ArrayRef<RankArrays> arguments) {
  std::optional<abi::Mesh> mesh = comm::getMesh(function);
  if (!mesh)
    return function.emitOpError("lies in no module with 'comm.mesh'");
  if (function.getNumArguments() != arguments.size())
    return function.emitOpError("has ")
           << function.getNumArguments() << " arguments, found " << arguments.size();
  return Interpreter(function, *mesh).run(arguments);
}

} // namespace contraflow::test
