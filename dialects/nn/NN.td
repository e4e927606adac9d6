//===- NN.td - everything of the dialect, for the table generator ---------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef CONTRAFLOW_DIALECTS_NN_NN_TD
#define CONTRAFLOW_DIALECTS_NN_NN_TD

include "dialects/nn/NNTypes.td"
include "dialects/nn/NNKernel.td"
include "dialects/nn/NNStructure.td"
include "dialects/nn/NNOps.td"
include "dialects/nn/NNGradOps.td"

#endif
