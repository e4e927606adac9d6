//===- Fixture.h - a small manifest made by hand ---------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_TEST_UNIT_COMPILER_INSPECT_FIXTURE_H
#define CONTRAFLOW_TEST_UNIT_COMPILER_INSPECT_FIXTURE_H

#include "runtime/abi/Manifest.h"

namespace contraflow::test {

/// Two layers of one kind, one micro-batch:
///
///   row        0 begin  1 forward a  2 forward b  3 backward b  4 backward a  5 optimizer
///   saved a             [----------------------------------------]
///   saved b                          [------------]
///   workspace                                     [-]
inline abi::Manifest makeManifest() {
  abi::Manifest manifest;
  manifest.model = "hand<made>";
  manifest.batch = 2;
  manifest.seq = 8;
  manifest.vocab = 5;
  manifest.arenaBytes = 1024;
  manifest.maxLiveBytes = 896;
  manifest.flopsPerStep = 340;
  manifest.regions["parameters"] = {0, 256};
  manifest.parameters = {{"a.w", {8}, 0, false, abi::Init::Normal, true, true, "layer"},
                         {"b.w", {8}, 64, false, abi::Init::Normal, true, true, "layer"},
                         {"b.bias", {4}, 128, false, abi::Init::Zeros, false, false, "layer"}};
  manifest.functions = {"step.begin", "layer.forward", "layer.backward_input", "layer.optimizer"};
  manifest.operations["layer.forward"] = {
      {"linear", "q", 40, 20, 4}, {"add", "", 5, 8, 4}, {"add", "", 5, 8, 4}};
  manifest.operations["layer.backward_input"] = {{"linear_input_grad", "q", 80, 24, 20},
                                                 {"add", "", 10, 8, 4}};
  manifest.operations["layer.optimizer"] = {{"adamw", "q", 30, 16, 12}};
  manifest.programs["train"] = {
      {0, {}, -1, "", "step", "begin"},           {1, {}, 0, "layer", "a", "forward"},
      {1, {}, 0, "layer", "b", "forward"},        {2, {}, 0, "layer", "b", "backward_input"},
      {2, {}, 0, "layer", "a", "backward_input"}, {3, {}, -1, "layer", "a", "optimizer"},
      {3, {}, -1, "layer", "b", "optimizer"}};
  manifest.programs["generate"] = {};
  manifest.memory["train"] = {{"parameters", "parameters", 0, 256, 0, 7, true},
                              {"a", "saved", 256, 250, 1, 4},
                              {"b", "saved", 512, 256, 2, 3},
                              {"layer.backward_input", "workspace", 896, 128, 3, 3},
                              {"nobody", "activation", 896, 64, 2, 1}};
  return manifest;
}

} // namespace contraflow::test

#endif
